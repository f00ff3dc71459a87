"""Descriptions of operators, kinds of values, rules and causes for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.catalog.causes import Caused, CauseKind
from badges.common.admin import format_time
from badges.rules import Kind, operator_names

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
ALIASES = {"neq"}  # accepted, but not offered

KINDS = {
    Kind.TEXT: gettext_lazy("text"),
    Kind.INTEGER: gettext_lazy("whole number"),
    Kind.NUMBER: gettext_lazy("number"),
    Kind.BOOLEAN: gettext_lazy("true or false"),
    Kind.TIME: gettext_lazy("time"),
    Kind.LIST: gettext_lazy("list"),
    Kind.MAP: gettext_lazy("map"),
    Kind.OBJECT: gettext_lazy("object"),
}


def operator_choices() -> list[tuple[str, Any]]:
    """Return all operators with labels. Operators of other packages have their names as labels."""
    return [(name, OPERATORS.get(name, name)) for name in operator_names() if name not in ALIASES]


def value_text(value: Any) -> str:
    """Return a rule's stored value as text for an input."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def describe_rules(rules: Iterable[Any], event_type: str) -> str:
    """Return a description of a requirement's rules. Without rules every event counts."""
    text = [f"{rule.path} {OPERATORS.get(rule.operator, rule.operator)} {value_text(rule.value)}" for rule in rules]
    return _(" and ").join(text) or _("Every event of the type %(type)s counts.") % {"type": event_type}


def describe_cause(cause: Caused) -> str:
    """Return a description of a cause: the event, or the person and the reason."""
    if cause.cause_kind == CauseKind.EVENT:
        text = _("The event %(id)s of %(source)s (%(type)s)") % {
            "id": cause.cause_event_id,
            "source": cause.cause_event_source or "?",
            "type": cause.cause_event_type,
        }
        if cause.cause_event_time:
            text += _(" of %(time)s") % {"time": format_time(cause.cause_event_time)}
    else:
        text = _("%(person)s did it by hand") % {"person": cause.cause_person or _("Somebody whose account is gone")}
    if cause.cause_reason:
        text += f": {cause.cause_reason}"
    return text + _(", under revision %(number)s of the template.") % {"number": cause.revision.number}


def pretty(text: str | None) -> SafeString:
    """Return stored JSON as indented and escaped HTML. Text that is not JSON stays as it is."""
    with contextlib.suppress(ValueError, RecursionError):
        text = json.dumps(json.loads(text or ""), ensure_ascii=False, indent=2)
    return format_html('<pre class="lms-badges-document">{}</pre>', text or "")
