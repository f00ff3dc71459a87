"""The data rules of a requirement as one form field, with a row for each rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from django import forms
from django.core.validators import ProhibitNullCharactersValidator

from badges.admin.descriptions import operator_choices
from badges.catalog.rule_words import value_text

PARTS = ("path", "operator", "value")
MOST = 100


class Row(NamedTuple):
    """A data rule in the form."""

    path: str
    operator: str
    value: str
    removed: bool = False

    @property
    def blank(self) -> bool:
        """Whether nothing was entered. The operator has a default."""
        return not self.path and not self.value

    @property
    def counts(self) -> bool:
        """Whether the row is a rule, neither blank nor removed."""
        return not self.blank and not self.removed


def row_of(rule: Any) -> Row:
    """Return a stored rule as a row."""
    return Row(rule.path, rule.operator, value_text(rule.value))


class RuleRowsWidget(forms.Widget):
    """
    The rows of the form. They work without JavaScript, too: there is always an empty one.

    Input names are ``<field>-<row>-<part>``. The admin's script renumbers the requirement in front of them. The form
    writes the errors of a row into ``errors``: {row: {part: [message]}}.
    """

    template_name = "lms_badges/rule_rows.html"

    def __init__(self, attrs: dict[str, Any] | None = None):
        super().__init__(attrs)
        self.errors: dict[int, dict[str, list[str]]] = {}
        self.event_type = ""

    def __deepcopy__(self, memo: Any) -> RuleRowsWidget:
        """Copy without the errors. Django's copy would share them between forms and requests."""
        copied = super().__deepcopy__(memo)
        copied.errors = {}
        return copied

    class Media:
        css = {"all": ["lms_badges/template_form.css"]}
        js = ["lms_badges/template_form.js"]

    def value_from_datadict(self, data: Mapping[str, Any], files: Any, name: str) -> list[Row]:
        pattern = re.compile(re.escape(name) + r"-(\d{1,4})-(?:path|value)")
        numbers = sorted({int(found[1]) for key in data if (found := pattern.fullmatch(key))})[: MOST + 1]
        rows = []
        for number in numbers:
            parts = (str(data.get(f"{name}-{number}-{part}", "")) for part in PARTS)
            path, operator, value = parts
            rows.append(Row(path.strip(), operator, value, f"{name}-{number}-removed" in data))
        return [row for row in rows if not row.blank]

    def value_omitted_from_data(self, data: Mapping[str, Any], files: Any, name: str) -> bool:
        return not any(key.startswith(f"{name}-") for key in data)

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        rows: list[Row] = list(value or [])
        shown = [self._shown(name, number, row) for number, row in enumerate([*rows, Row("", "eq", "")])]
        context["widget"].update(rows=shown, event_type=self.event_type, saved=bool(rows), most=MOST)
        return context

    def _shown(self, name: str, number: int, row: Row) -> dict[str, Any]:
        known = operator_choices()
        choices = known if row.operator in dict(known) else [*known, (row.operator, row.operator)]
        wrong = self.errors.get(number, {})
        return {
            "number": number + 1,
            "prefix": f"{name}-{number}",
            "row": row,
            "choices": choices,
            "errors": [{"part": part, "messages": wrong[part]} for part in PARTS if part in wrong],
            "wrong": dict.fromkeys(wrong, True),
        }

    def id_for_label(self, id_: str) -> str:
        return ""


class RuleRowsField(forms.Field):
    """The rows of the form. The form validates them, because it knows the event type."""

    widget = RuleRowsWidget
    default_validators = [lambda rows: [ProhibitNullCharactersValidator()(part) for row in rows for part in row[:3]]]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return _parts_that_count(initial or ()) != _parts_that_count(data or ())


def _parts_that_count(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    return [row[:3] for row in rows if row.counts]
