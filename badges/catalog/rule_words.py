"""Data rules in words, for the admin and for learners."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

OPERATORS = {
    "eq": gettext_lazy("is"),
    "ne": gettext_lazy("is not"),
    "gt": gettext_lazy("is more than"),
    "gte": gettext_lazy("is at least"),
    "lt": gettext_lazy("is less than"),
    "lte": gettext_lazy("is at most"),
    "between": gettext_lazy("is between (low, high)"),
    "in": gettext_lazy("is one of (a, b, …)"),
    "nin": gettext_lazy("is none of (a, b, …)"),
    "contains": gettext_lazy("contains"),
    "startsWith": gettext_lazy("begins with"),
    "endsWith": gettext_lazy("ends with"),
    "regex": gettext_lazy("matches the pattern"),
    "exists": gettext_lazy("has a value (true, false)"),
}


def value_text(value: Any) -> str:
    """Return a rule's stored value as text for an input."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def describe_rules(rules: Iterable[Any], event_type: str) -> str:
    """Return a description of a requirement's rules. Without rules every event counts."""
    text = [f"{rule.path} {OPERATORS.get(rule.operator, rule.operator)} {value_text(rule.value)}" for rule in rules]
    return _(" and ").join(text) or _("Every event of the type %(type)s counts.") % {"type": event_type}
