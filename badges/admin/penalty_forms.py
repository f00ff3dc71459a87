"""The forms of the penalties on a template's page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.rule_forms import RulesForm
from badges.catalog.api import Document
from badges.catalog.criteria import criteria_of
from badges.catalog.documents import CRITERIA_KEY
from badges.catalog.models import BadgePenalty, BadgeRequirement


class PenaltyForm(RulesForm):
    """A penalty with its rules, and a box for each requirement that it can reset."""

    resets = forms.MultipleChoiceField(
        label=gettext_lazy("Requirements that it resets"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Save new requirements first, then they can be chosen here."),
        error_messages={
            "required": gettext_lazy("Choose at least one requirement, or remove the penalty."),
            "invalid_choice": gettext_lazy(
                "The template does not have the requirement %(value)s after this change. Choose another one, or remove "
                "the penalty."
            ),
        },
    )

    class Meta:
        model = BadgePenalty
        fields = ["event_type"]

    def __init__(self, *args: Any, resettable: Any = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        stored = [] if self.instance._state.adding else self.instance.requirements.all()
        self.initial["resets"] = sorted(requirement.key for requirement in stored)
        self.fields["resets"].choices = resettable

    @property
    def counts(self) -> bool:
        """Whether the form is a penalty that is to be saved."""
        if not hasattr(self, "cleaned_data") or self.cleaned_data.get("DELETE"):
            return False
        return self.has_changed() or not self.instance._state.adding

    def document(self) -> Document:
        """Return the penalty as an entry of a pack."""
        if not self.has_changed():
            rules = [{"path": rule.path, "operator": rule.operator, "value": rule.value} for rule in self.stored_rules]
            return {
                "event_type": self.instance.event_type,
                "requirements": self.initial["resets"],
                "rules": rules,
            }
        cleaned = self.cleaned_data
        return {
            "event_type": cleaned["event_type"],
            "requirements": cleaned["resets"],
            "rules": self.rule_documents,
        }

    @property
    def stored_rules(self) -> Any:
        """The stored rules."""
        return self.instance.rules.all()


class PenaltyFormSet(forms.BaseInlineFormSet):
    """
    The penalties of a template.

    The requirements that they may name are those of the template after the page is saved. A requirement that is new on
    the page may have no key yet, so it is not offered.
    """

    def get_queryset(self) -> Any:
        if not hasattr(self, "_stored"):
            self._stored = super().get_queryset().prefetch_related("requirements", "rules")
        return self._stored

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        if not hasattr(self, "_resettable"):
            self._resettable = list(self._choices())
        return {**super().get_form_kwargs(index), "resettable": self._resettable}

    def _choices(self) -> Iterator[tuple[str, str]]:
        """Yield the keys of the requirements with what they are."""
        removed = self._removed()
        live = BadgeRequirement.objects.filter(template=self.instance, archived_at=None).exclude(key=CRITERIA_KEY)
        for pk, key, description in live.order_by("id").values_list("pk", "key", "description"):
            if str(pk) not in removed:
                yield key, f"{key}: {description}" if description else key
        if self._has_criteria():
            yield CRITERIA_KEY, _("the criteria document")

    def _removed(self) -> set[str]:
        """Return the ids of the requirements that the same request removes."""
        marks = (re.fullmatch(r"(requirements-\d+)-removed", name) for name in self.data)
        return {self.data.get(f"{mark[1]}-id", "") for mark in marks if mark and self.data.get(mark[0])}

    def _has_criteria(self) -> bool:
        if "criteria" in self.data:
            return bool(self.data["criteria"].strip())
        return self.instance.pk is not None and criteria_of(self.instance) is not None


def penalty_documents(formset: PenaltyFormSet) -> list[Document]:
    """Return the penalties as entries of a pack."""
    return [form.document() for form in formset.forms if form.counts]
