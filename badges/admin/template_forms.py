"""
The forms of a template's page. They make one document of the input, which the catalog saves.

The forms validate the fields and show errors beside them. They write no rows.
"""

from __future__ import annotations

import json
import re
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.admin.widgets import AdminTextInputWidget, AdminURLFieldWidget
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db.models import Count
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.criteria_tryout import read_criteria
from badges.admin.rule_forms import RulesForm
from badges.catalog.api import Document, export_template
from badges.catalog.criteria import criteria_of
from badges.catalog.documents import CRITERIA_KEY, in_reading_order
from badges.catalog.expiry import DAYS, EACH_YEAR, MONTHS, YEARS
from badges.catalog.models import BadgePenalty, BadgeRequirement, BadgeTemplate, TemplateIssuer
from badges.catalog.queries import expiry_of
from badges.catalog.validation import expiry_problem, providers

_no_spaces = RegexValidator(r"^\S+\Z", gettext_lazy("Write it without spaces."))
_slug = RegexValidator(
    r"^[^\s/\\?#]+\Z", gettext_lazy("Write it without spaces, slashes, question marks and number signs.")
)
_not_criteria = RegexValidator(
    rf"^{CRITERIA_KEY}\Z",
    gettext_lazy("This is the key of the criteria document; write another one."),
    inverse_match=True,
)

MOST_REQUIREMENTS = 100
MOST_PENALTIES = 50
FIELDS_OF_A_PAGE = 200  # the fields of the template, and a reserve for new requirements


class TemplateForm(forms.ModelForm):
    """The template itself. ``opened_revision`` is the newest revision at the time when the page was opened."""

    slug = forms.CharField(
        max_length=150,
        validators=[_slug],
        widget=AdminTextInputWidget,
        help_text=gettext_lazy("The stable name in packs and addresses. It cannot be changed later."),
    )
    image_url = forms.URLField(
        max_length=500,
        required=False,
        assume_scheme="https",
        widget=AdminURLFieldWidget,
        label=gettext_lazy("Image address"),
    )
    expiry_kind = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Holds"),
        choices=[
            ("", gettext_lazy("for ever")),
            (DAYS, gettext_lazy("for so many days")),
            (MONTHS, gettext_lazy("for so many months")),
            (YEARS, gettext_lazy("for so many years")),
            (EACH_YEAR, gettext_lazy("to the end of this day of each year")),
        ],
    )
    expiry_value = forms.CharField(
        required=False,
        max_length=5,
        label=gettext_lazy("Number, or month and day"),
        widget=forms.TextInput(attrs={"size": 6}),
        help_text=gettext_lazy(
            "A whole number, or a month and a day such as 06-30. A change counts for later awards only."
        ),
    )
    criteria = forms.CharField(
        required=False,
        label=gettext_lazy("Criteria"),
        widget=forms.Textarea(
            attrs={
                "rows": 14,
                "class": "vLargeTextField lms-badges-code",
                "spellcheck": "false",
                "autocomplete": "off",
                "autocapitalize": "off",
                "dir": "ltr",
            }
        ),
        help_text=gettext_lazy('A JSON object, such as {"event": "…"}. Left empty, only the requirements count.'),
    )
    opened_revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    class Meta:
        model = BadgeTemplate
        fields = ["name", "slug", "description", "image_url", "is_active", "award_once"]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk and "opened_revision" in self.fields:
            self.initial["opened_revision"] = self._newest()
            self.fields["slug"].disabled = True
        if self.instance.pk and "expiry_kind" in self.fields:
            for key, value in (expiry_of(self.instance) or {}).items():
                self.initial["expiry_kind"], self.initial["expiry_value"] = key, str(value)
        if self.instance.pk and "criteria" in self.fields:
            stored = in_reading_order(criteria_of(self.instance))
            self.initial["criteria"] = "" if stored is None else json.dumps(stored, indent=2, ensure_ascii=False)

    def _newest(self) -> int:
        return self.instance.revisions.order_by("-number").values_list("number", flat=True).first() or 0

    def clean_description(self) -> str:
        """Return the description with lines that end with one character: browsers send two."""
        return str(self.cleaned_data["description"]).replace("\r\n", "\n")

    def clean_criteria(self) -> Document | None:
        """Return the document; None if the field is empty."""
        text = self.cleaned_data["criteria"]
        return read_criteria(text).document if text else None

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self._clean_expiry(cleaned)
        # The formset of the requirements asks for it. A document with a problem is one, too.
        self.instance.has_criteria = "criteria" in self.errors or bool(cleaned.get("criteria"))
        opened = cleaned.get("opened_revision")
        if self.instance.pk and "opened_revision" in self.fields and opened != self._newest():
            message = _("Somebody saved this template since you opened it. Open it anew in another tab and compare.")
            raise ValidationError(message, code="outdated")
        return cleaned

    def _clean_expiry(self, cleaned: dict[str, Any]) -> None:
        """Put the expiry into the cleaned data, as a document has it."""
        kind, value = cleaned.get("expiry_kind"), (cleaned.get("expiry_value") or "").strip()
        if "expiry_kind" not in self.fields or "expiry_value" in self.errors:
            return
        cleaned["expiry"] = None
        if not kind:
            if value:
                self.add_error("expiry_kind", _("Choose what this number or day means, or leave it empty."))
            return
        cleaned["expiry"] = {kind: int(value) if kind != EACH_YEAR and re.fullmatch("[0-9]{1,5}", value) else value}
        if problem := expiry_problem(cleaned["expiry"]):
            self.add_error("expiry_value", problem)


class IssuerForm(forms.ModelForm):
    """A provider at which the badge is issued."""

    provider = forms.ChoiceField(choices=lambda: [("", "---------"), *((name, name) for name in providers())])
    organization = forms.CharField(max_length=255, validators=[_no_spaces], label=gettext_lazy("Organization's id"))
    external_template = forms.CharField(
        max_length=255, validators=[_no_spaces], label=gettext_lazy("Template's id at the provider")
    )

    class Meta:
        model = TemplateIssuer
        fields = ["provider", "organization", "external_template"]


class RequirementForm(RulesForm):
    """A requirement with its rules."""

    key = forms.CharField(
        max_length=100,
        required=False,
        validators=[_not_criteria],
        label=gettext_lazy("Key"),
        widget=AdminTextInputWidget,
        help_text=gettext_lazy(
            "A stable name inside the template; left empty, one is made. It cannot be changed later."
        ),
    )
    group = forms.CharField(
        max_length=100,
        required=False,
        label=gettext_lazy("Group"),
        widget=AdminTextInputWidget,
        help_text=gettext_lazy(
            "Requirements with the same group are alternatives: one of them is enough. "
            "Left empty, it is needed by itself."
        ),
    )
    removed = forms.BooleanField(required=False, label=gettext_lazy("Remove this requirement"))

    class Meta:
        model = BadgeRequirement
        fields = ["event_type", "description", "group", "key"]
        widgets = {"description": forms.Textarea(attrs={"rows": 2})}

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.fields["key"].disabled = True
        else:
            self.fields["removed"].widget = forms.HiddenInput()  # the admin's script removes unsaved requirements

    @property
    def counts(self) -> bool:
        """Whether the form is a requirement that is to be saved."""
        if not hasattr(self, "cleaned_data"):
            return False
        return not self.cleaned_data.get("removed") and bool(self.instance.pk or self.has_changed())

    def validate_unique(self) -> None:
        """Do nothing: the formset compares keys. The key of an archived requirement restores it."""

    def validate_constraints(self) -> None:
        """Do nothing, for the same reason."""

    def document(self) -> Document:
        """Return the requirement as an entry of a pack."""
        cleaned = self.cleaned_data
        return {
            "key": cleaned["key"],
            "event_type": cleaned["event_type"],
            "group": cleaned["group"] or None,
            "description": cleaned["description"],
            "rules": self.rule_documents,
        }


class RequirementFormSet(forms.BaseInlineFormSet):
    """The requirements of a template, without archived ones."""

    def get_queryset(self) -> Any:
        if not hasattr(self, "_live"):
            self._live = (
                super()
                .get_queryset()
                .filter(archived_at=None)
                .exclude(key=CRITERIA_KEY)
                .select_related("template")
                .prefetch_related("rules")
            )
        return self._live

    def validate_unique(self) -> None:
        """Do nothing: ``clean`` has its own error message."""

    def clean(self) -> None:
        super().clean()
        self._name_keys()

    def _name_keys(self) -> None:
        forms = [form for form in self.forms if form.counts]
        taken: set[str] = set()
        for form in forms:
            key = form.cleaned_data.get("key")
            if key and key in taken:
                form.add_error("key", _("Another requirement of this template has this key; write another one."))
            taken.add(key or "")
        if self.instance.pk:
            taken |= set(BadgeRequirement.objects.filter(template=self.instance).values_list("key", flat=True))
        number = 0
        for form in forms:
            while not form.cleaned_data.get("key"):
                number += 1
                if f"requirement-{number}" not in taken:
                    form.cleaned_data["key"] = f"requirement-{number}"


def fits_one_page(template: BadgeTemplate) -> bool:
    """
    Return whether a template's requirements and penalties can be edited on one page.

    Django refuses requests with more fields than DATA_UPLOAD_MAX_NUMBER_FIELDS (1000 by default). The input of the user
    would be lost.
    """
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    live = BadgeRequirement.objects.filter(template=template, archived_at=None)
    counted = live.aggregate(requirements=Count("pk", distinct=True), rules=Count("rules"))
    penalties = BadgePenalty.objects.filter(template=template)
    penalized = penalties.aggregate(penalties=Count("pk", distinct=True), rules=Count("rules"))
    if counted["requirements"] > MOST_REQUIREMENTS or penalized["penalties"] > MOST_PENALTIES:
        return False
    fields = 12 * counted["requirements"] + 4 * (counted["rules"] + penalized["rules"])
    # A penalty has a box for each requirement.
    fields += (8 + counted["requirements"]) * penalized["penalties"]
    return most is None or FIELDS_OF_A_PAGE + fields <= most


def template_document(form: TemplateForm, *, stored: BadgeTemplate | None) -> Document:
    """Return the stored template as an entry of a pack, with the changes of the form."""
    document = export_template(stored) if stored else {"uuid": None, "penalties": [], "criteria": None}
    written = ("name", "slug", "description", "image_url", "is_active", "award_once", "expiry", "criteria")
    return document | {key: form.cleaned_data[key] for key in written if key in form.cleaned_data}


def requirement_documents(formset: RequirementFormSet, *, before: list[Document]) -> list[Document]:
    """Return the requirements as entries of a pack. What a user has not changed is as it was ``before``."""
    known = {requirement["key"]: requirement for requirement in before}
    live = [form for form in formset.forms if form.counts]
    return [form.document() if form.has_changed() else known[form.instance.key] for form in live]


def issuer_documents(formset: Any) -> list[Document]:
    """Return the providers as entries of a pack."""
    return [_issuer_document(form) for form in formset.forms if _is_issuer(form, formset)]


def _is_issuer(form: IssuerForm, formset: Any) -> bool:
    return bool(form.cleaned_data.get("provider")) and form not in formset.deleted_forms


def _issuer_document(form: IssuerForm) -> Document:
    cleaned = form.cleaned_data
    return {
        "provider": cleaned["provider"],
        "organization": cleaned["organization"],
        "template": cleaned["external_template"],
    }
