"""
Pages on which staff decide about one badge: award, revoke, lift a block.

A button on an admin page leads to a form with the reasons. The form shows its errors at the fields. When the decision
is made, the page of the credential says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from django import forms
from django.contrib import messages
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import granting
from badges.api import Person, person_named
from badges.awarding.models import INTERNAL_REASON_LENGTH, PUBLIC_REASON_LENGTH, held
from badges.catalog.causes import REASON_LENGTH
from badges.catalog.learner_paths import ISSUER_LENGTH, SUBJECT_LENGTH
from badges.common.admin import PluginModelAdmin, admin_url
from badges.common.permissions import may
from badges.exceptions import (
    BadgesError,
    GrantingError,
    IdentityTakenError,
    Permanent,
    Retryable,
    UnusableIdentityError,
    UnusableReasonError,
)
from badges.models import BadgeTemplate, Learner, UserCredential

MOST_SUGGESTIONS = 200
STYLES = forms.Media(css={"all": ["lms_badges/pages.css"]})
AWARDED = gettext_lazy("The badge was awarded. It is announced, and issued at its providers.")


class _ReasonField(forms.CharField):
    """A reason. The ends of lines are counted as one character, as browsers do."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\r\n", "\n") if isinstance(value, str) else value)


def reason_field(label: Any, longest: int, help_text: Any, *, required: bool = False, rows: int = 3) -> forms.CharField:
    """Return the field of a reason. ``longest`` is a number of characters, ``rows`` the height of the field."""
    widget = AdminTextareaWidget(attrs={"rows": rows})
    return _ReasonField(label=label, max_length=longest, help_text=help_text, required=required, widget=widget)


class DecisionForm(forms.Form):
    """The form of a decision. ``subject`` is the field about whose value a refusal is; None: about the page."""

    subject: ClassVar[str | None] = None

    def refuse(self, error: BadgesError, *, user: Any) -> None:
        """Show why the decision was not made, with a link to the credential that is in the way."""
        if isinstance(error, UnusableReasonError):
            self.add_error(None, str(error))
            return
        text: Any = str(error)
        found = getattr(error, "credential_id", None)
        if found is not None and may(user, "view", UserCredential):
            address = admin_url(UserCredential(pk=found))
            text = format_html('{} <a href="{}">{}</a>', text, address, _("Open the credential."))
        self.add_error(self.subject if isinstance(error, GrantingError) else None, ValidationError(text))


class RevokeForm(DecisionForm):
    """Why a badge is revoked, and whether it is blocked."""

    public_reason = reason_field(
        gettext_lazy("Reason for the learner"),
        PUBLIC_REASON_LENGTH,
        gettext_lazy(
            "The learner and everybody who can open the public page of the badge can read it, and the providers at "
            "which the badge was issued get it."
        ),
        required=True,
        rows=2,
    )
    internal_reason = reason_field(
        gettext_lazy("Reason for staff"), INTERNAL_REASON_LENGTH, gettext_lazy("Only staff can read it, in the admin.")
    )
    block = forms.BooleanField(
        label=gettext_lazy("Block the badge for this learner"),
        initial=True,
        required=False,
        help_text=gettext_lazy("The learner does not get the badge again until staff lift the block."),
    )


class LiftBlockForm(DecisionForm):
    """Why a block is lifted."""

    reason = reason_field(gettext_lazy("Reason"), REASON_LENGTH, gettext_lazy("Only staff can read it, in the admin."))


class _AwardForm(DecisionForm):
    reason = reason_field(gettext_lazy("Reason"), REASON_LENGTH, gettext_lazy("Only staff can read it, in the admin."))


class AwardToLearnerForm(_AwardForm):
    """Which badge a learner is to get."""

    subject = "template"
    field_order = ("template", "reason")

    template = forms.CharField(
        label=gettext_lazy("Badge template"),
        max_length=150,
        widget=AdminTextInputWidget(attrs={"list": "lms-badges-suggestions", "autocomplete": "off"}),
        help_text=gettext_lazy("The slug of a template. Begin to write, and choose one."),
    )

    def clean_template(self) -> str:
        slug: str = self.cleaned_data["template"]
        if not BadgeTemplate.objects.filter(slug=slug).exists():
            raise ValidationError(_("There is no template with this slug. Write the slug as its page shows it."))
        return slug


class AwardTemplateForm(_AwardForm):
    """Who is to get a badge."""

    subject = "person"
    field_order = ("person", "reason")

    person = forms.CharField(
        label=gettext_lazy("Learner"),
        max_length=255,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=gettext_lazy("A username, an LMS user id, or the UUID of a learner."),
    )

    def clean_person(self) -> Person:
        return person_named(self.cleaned_data["person"])


class IdentityForm(DecisionForm):
    """An id of a learner at another system."""

    issuer = forms.CharField(
        label=gettext_lazy("Issuer"),
        max_length=ISSUER_LENGTH,
        widget=AdminTextInputWidget(),
        help_text=gettext_lazy("The system that gave the id, written as in the settings."),
    )
    external_id = forms.CharField(
        label=gettext_lazy("Id"),
        max_length=SUBJECT_LENGTH,
        widget=AdminTextInputWidget(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=gettext_lazy("The id of the learner at that system."),
    )

    def refuse(self, error: BadgesError, *, user: Any) -> None:
        """Show why the id was not added, at the field that it is about."""
        if isinstance(error, UnusableIdentityError):
            self.add_error("issuer" if error.field == "issuer" else "external_id", error.problem)
        elif isinstance(error, IdentityTakenError):
            self.add_error("external_id", str(error))
        else:
            super().refuse(error, user=user)


class ButtonsMixin:
    """A page with buttons that lead to forms. Subclasses of an admin class return them from ``buttons``."""

    change_form_template = "admin/lms_badges/buttons_change_form.html"

    def buttons(self, request: HttpRequest, row: Any) -> Sequence[tuple[str, Any]]:
        """Return the address and the text of each button that the user may press."""
        raise NotImplementedError

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        context["badges_buttons"] = self.buttons(request, row) if row is not None else ()
        return super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]


def decider(request: HttpRequest) -> AbstractBaseUser:
    """Return the account of who decides. The admin lets nobody in who has none."""
    user: Any = request.user
    return user


def may_award(user: Any) -> bool:
    """Return whether somebody may award badges."""
    return may(user, "award", UserCredential)


def may_revoke(user: Any) -> bool:
    """Return whether somebody may revoke badges and lift blocks."""
    return may(user, "revoke", UserCredential)


def suggested_templates(learner: Learner) -> list[tuple[str, str]]:
    """Return slugs and names of templates that a learner can be awarded, the first ones by slug."""
    found = UserCredential.objects.filter(held(timezone.now()), learner=learner, template=OuterRef("pk"))
    rows = granting.awardable_templates().filter(~Exists(found)).order_by("slug")
    return list(rows.values_list("slug", "name")[:MOST_SUGGESTIONS])


def decision_page(
    request: HttpRequest,
    model_admin: PluginModelAdmin,
    row: Any,
    *,
    form_class: type[DecisionForm],
    title: Any,
    button: Any,
    explanation: Any,
    decide: Callable[[dict[str, Any]], HttpResponse],
    suggestions: Sequence[tuple[str, str]] = (),
) -> HttpResponse:
    """
    Show the form of a decision about a row, or decide and answer as ``decide`` does.

    ``decide`` gets the validated input. What it raises is shown in the form: GrantingErrors at the field that they are
    about, other errors that the person can correct (Permanent), and Retryable when the database did not answer.
    """
    form = form_class(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            return decide(form.cleaned_data)
        except (GrantingError, Permanent, Retryable) as error:
            form.refuse(error, user=request.user)
    _focus(form)
    shown: Any = form  # Django's stubs ask for a ModelForm, which the helper does not need
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "opts": model_admin.opts,
        "original": row,
        "has_view_permission": True,
        "media": form.media + STYLES,
        "adminform": AdminForm(shown, [(None, {"fields": list(form.fields)})], {}, model_admin=model_admin),
        "errors": [*form.errors],
        "explanation": explanation,
        "button": button,
        "suggestions": suggestions,
        "back": admin_url(row),
    }
    return TemplateResponse(request, "admin/lms_badges/decision.html", context)


def decided(
    request: HttpRequest, model_admin: PluginModelAdmin, credential: UserCredential, *, text: Any, back: Any
) -> HttpResponse:
    """Say what was decided, on the page of the credential, or on that of ``back`` if the user may not view it."""
    model_admin.log_change(request, credential, str(text))
    model_admin.message_user(request, text, messages.SUCCESS)
    shown = credential if may(request.user, "view", UserCredential) else back
    return HttpResponseRedirect(admin_url(shown))


def _focus(form: DecisionForm) -> None:
    """Put the cursor into the first field that has an error, or into the first one, if there is any."""
    wrong = [name for name in form.fields if name in form.errors]
    for name in (wrong or list(form.fields))[:1]:
        form.fields[name].widget.attrs["autofocus"] = True
