"""
What is allowed in a template, and most likely not meant: nobody can fulfil it, or more people than its author thinks.

Validation refuses what has no meaning. These are warnings: the admin shows them, and so does ``badges_pack plan``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

from badges.catalog import event_types
from badges.catalog.documents import Document, Problem
from badges.catalog.event_types import EventDefinition
from badges.catalog.structure import child_path
from badges.rules import DataRule, RuleError, contradicting_path, split_path

PASSING = "is_passing"

# How the values at well-known key paths of openedx-events are read, with an example.
_KEYS: dict[str, tuple[Callable[[str], Any], str, str]] = {
    "course_key": (CourseKey.from_string, "course key", "course-v1:Org+Course+Run"),
    "usage_key": (UsageKey.from_string, "usage key", "block-v1:Org+Course+Run+type@problem+block@name"),
}


def cautions(document: Document, *, definitions: Mapping[str, EventDefinition] | None = None) -> list[Problem]:
    """
    Return what a template's document most likely does not mean; each has its path in the document and a remedy.

    ``definitions`` are the event types that it may use. None: the configured ones. No statement.
    """
    known = event_types.configured() if definitions is None else definitions
    found: list[Problem] = []
    for name in ("requirements", "penalties"):
        for index, part in enumerate(document[name]):
            definition = known.get(part["event_type"])
            if definition is not None:
                found += _about_rules(part, child_path("", name, index), definition)
    return found


def _about_rules(part: Document, path: str, definition: EventDefinition) -> Iterator[Problem]:
    rules = _compiled(part, definition)
    place = child_path(path, "rules")
    if (contradicted := contradicting_path(rules)) is not None:
        yield Problem(place, f"no event can satisfy all rules about {contradicted}; they contradict each other")
    for index, rule in enumerate(part["rules"]):
        for value in _values_of(rule):
            if problem := _key_problem(rule["path"], value):
                yield Problem(child_path(place, index, "value"), problem)
    is_about_passing = any(name == PASSING for name, _kind in definition.rule_shape.key_paths())
    if is_about_passing and not any(rule.path == PASSING for rule in rules):
        message = f"no rule asks for {PASSING}, so it counts when somebody passes and when somebody fails; add a rule"
        yield Problem(place, message)


def _compiled(part: Document, definition: EventDefinition) -> list[DataRule]:
    """Return the rules that compile. Those that do not are validation's to tell of."""
    compiled = []
    for rule in part["rules"]:
        try:
            compiled.append(definition.compile(rule["path"], rule["operator"], rule["value"]))
        except RuleError:
            continue
    return compiled


def _values_of(rule: Document) -> list[str]:
    """Return the texts of which a rule wants one; none for other operators."""
    value = rule["value"]
    if rule["operator"] == "eq":
        value = [value]
    elif rule["operator"] != "in":
        return []
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []


def _key_problem(path: str, text: str) -> str | None:
    read, name, example = _KEYS.get(split_path(path)[-1], (None, "", ""))
    if read is None:
        return None
    try:
        read(text)
    except InvalidKeyError:
        return f"{text} is no {name}, such as {example}, so no event has it"
    return None
