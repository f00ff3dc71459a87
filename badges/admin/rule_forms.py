"""Forms of what has an event type and data rules: the requirements and the penalties of a template."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.rule_rows import Row, RuleRowsField, row_of
from badges.catalog import event_types
from badges.catalog.api import Document
from badges.exceptions import UnknownEventType
from badges.rules import RuleError


class RulesForm(forms.ModelForm):
    """An event type with data rules. Valid forms that count have the rules of a pack in ``rule_documents``."""

    event_type = forms.ChoiceField(label=gettext_lazy("Event type"))
    rules = RuleRowsField(required=False, label=gettext_lazy("Data rules"))

    rule_documents: list[Document]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        stored = [] if self.instance._state.adding else list(self.instance.rules.all())
        self.kept = {row_of(rule): rule.value for rule in stored}
        self.initial["rules"] = [row_of(rule) for rule in stored]
        self.fields["event_type"].choices = _event_type_choices(self.instance.event_type)
        self.fields["rules"].widget.event_type = self["event_type"].value() or ""

    @property
    def counts(self) -> bool:
        """Whether the form is something that is to be saved."""
        raise NotImplementedError

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.counts and self.has_changed() and cleaned.get("event_type"):
            self._compile(cleaned)
        return cleaned

    def _compile(self, cleaned: dict[str, Any]) -> None:
        """Compile the rules for the event type, and add the errors to their rows."""
        try:
            definition = event_types.get(cleaned["event_type"])
        except UnknownEventType as error:
            self.add_error("event_type", str(error))
            return
        if definition.learner_path is None:
            message = _(
                "Events of this type do not say which learner they are about; manage.py check tells what to do."
            )
            self.add_error("event_type", message)
            return
        widget: Any = self.fields["rules"].widget
        documents = []
        for number, row in enumerate(cleaned.get("rules") or []):
            if not row.counts:
                continue
            try:
                compiled = definition.compile(row.path, row.operator, self._value(row))
                documents.append({"path": compiled.path, "operator": compiled.operator, "value": compiled.value})
            except RuleError as error:
                widget.errors[number] = {error.field: [error.message]}
            except ValidationError as error:
                widget.errors[number] = {"value": error.messages}
        self.rule_documents = documents
        if widget.errors:
            self.add_error("rules", _("Correct the rules marked below."))

    def _value(self, row: Row) -> Any:
        """Return the stored value of an unchanged rule. The form refuses an empty value, which a pack may have."""
        untouched = Row(*row[:3])
        if untouched in self.kept:
            return self.kept[untouched]
        if not row.value:
            raise ValidationError(_("Write a value, or remove the rule."))
        return row.value


def _event_type_choices(current: str) -> list[tuple[str, str]]:
    configured = sorted(event_types.configured())
    choices = [("", "---------"), *((name, name) for name in configured)]
    if current and current not in configured:
        choices.append((current, _("%(type)s (not configured any more)") % {"type": current}))
    return choices
