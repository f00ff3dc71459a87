"""
A template as a document: one template entry of a pack, in its normal form.

In the normal form all keys are present; ``uuid`` is None before the template is stored. Issuers are sorted by provider,
requirements by key, and penalties by their text. So two equal templates have equal texts. Revisions store this text.
Packs are lists of such documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from badges.exceptions import BadgesError
from badges.rules import CriteriaError, describe, parse_criteria, to_text
from badges.rules.criteria.pointers import below

Document = dict[str, Any]

# The key of the criteria document among the requirements of its template. No other requirement may have it.
CRITERIA_KEY = "criteria"

# More changes inside of a criteria document, or longer ones, are summed up.
_MAX_CRITERIA_CHANGES = 8
_MAX_CHANGE_CHARACTERS = 300

# The keys of criteria that stand before the others of their object.
_READ_FIRST = ("$comment", "event", "type", "start", "startEvent", "pattern")

# Keys that a pack leaves out when they say nothing. Revisions that were written before there was the key lack
# ``expiry``, too.
_LEFT_OUT_WHEN_EMPTY = ("image_url", "expiry")

# In the order in which packs are written. Each of these is compared by itself.
_TEMPLATE_KEYS = ("slug", "uuid", "name", "description", "image_url", "is_active", "award_once", "expiry")


class Problem(NamedTuple):
    """
    Something that an author has to change: its path in the document, and what to write instead.

    ``kind`` is that of the CriteriaError or RuleError, and empty for everything else.
    """

    path: str
    message: str
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class DocumentError(BadgesError):
    """A document cannot be saved. ``problems`` holds all of its problems, not only the first."""

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(map(str, problems)))


class Change(NamedTuple):
    """One difference between two documents. ``before`` is None for what was added, ``after`` for what was removed."""

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.path}: added {self.after}"
        if self.after is None:
            return f"{self.path}: removed {self.before}"
        return f"{self.path}: {self.before} → {self.after}"


def document_text(document: Document) -> str:
    """Return the text of a document, as revisions store it."""
    return to_text(document)


def pack_entry(document: Document) -> Document:
    """Return a document as it is written in a pack: in the usual order, without empty ``image_url`` and ``expiry``."""
    entry = {key: document.get(key) for key in _TEMPLATE_KEYS if key not in _LEFT_OUT_WHEN_EMPTY or document.get(key)}
    entry |= {key: document[key] for key in ("issuers", "requirements", "penalties")}
    return entry | {"criteria": in_reading_order(document["criteria"])}


def in_reading_order(criteria: Any) -> Any:
    """Return a criteria document with the keys of each object in the order in which guides write them."""
    if isinstance(criteria, list):
        return [in_reading_order(item) for item in criteria]
    if not isinstance(criteria, dict):
        return criteria
    first = [key for key in _READ_FIRST if key in criteria]
    return {key: in_reading_order(criteria[key]) for key in [*first, *sorted(criteria.keys() - first)]}


def demands(document: Document) -> list[Document]:
    """
    Return all that a template demands, as requirements: the criteria document is one without rules and event type.

    So progress, groups and fulfilments treat it as they treat the other requirements.
    """
    if document["criteria"] is None:
        return list(document["requirements"])
    return [*document["requirements"], {"key": CRITERIA_KEY, "event_type": "", "group": None, "description": ""}]


def sorted_penalties(penalties: Iterable[Document]) -> list[Document]:
    """Return penalties in the order of the normal form, which has no meaning; the keys in each are sorted, too."""
    with_sorted_keys = [{**penalty, "requirements": sorted(penalty["requirements"])} for penalty in penalties]
    return sorted(with_sorted_keys, key=to_text)


def differences(before: Document, after: Document) -> list[Change]:
    """Return the differences between two documents of one template, in the order of their keys."""
    changes = _compare("", before, after, [key for key in _TEMPLATE_KEYS if key != "slug"])
    changes += _compare_named("issuers", "provider", before, after, ("organization", "template"))
    changes += _compare_named("requirements", "key", before, after, ("event_type", "group", "description", "rules"))
    changes += _compare_penalties(before["penalties"], after["penalties"])
    return changes + _compare_criteria(before["criteria"], after["criteria"])


def _compare(path: str, before: Mapping[str, Any], after: Mapping[str, Any], keys: Iterable[str]) -> list[Change]:
    return [
        Change(f"{path}{key}", _value_text(before.get(key)), _value_text(after.get(key)))
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _compare_named(part: str, name: str, before: Document, after: Document, keys: tuple[str, ...]) -> list[Change]:
    old = {item[name]: item for item in before[part]}
    new = {item[name]: item for item in after[part]}
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            changes.append(Change(f"{part}[{key}]", None, _summary(new[key])))
        elif key not in new:
            changes.append(Change(f"{part}[{key}]", _summary(old[key]), None))
        else:
            changes += _compare(f"{part}[{key}].", old[key], new[key], keys)
    return changes


def _compare_penalties(before: Iterable[Document], after: Iterable[Document]) -> list[Change]:
    """Return the penalties that were removed and added. They have no names by which a changed one could be found."""
    old = {to_text(penalty): penalty for penalty in before}
    new = {to_text(penalty): penalty for penalty in after}
    gone = [Change("penalties", _penalty_summary(old[text]), None) for text in sorted(old.keys() - new.keys())]
    return gone + [Change("penalties", None, _penalty_summary(new[text])) for text in sorted(new.keys() - old.keys())]


def _penalty_summary(penalty: Document) -> str:
    return f"{_summary(penalty)} resets {', '.join(penalty['requirements'])}"


def _compare_criteria(before: Document | None, after: Document | None) -> list[Change]:
    """Return the changed parts of a criteria document, each with its JSON Pointer; in words when there are many."""
    if before is None and after is None:
        return []
    if before is not None and after is not None:
        changes = list(_json_changes("criteria", before, after))
        if len(changes) <= _MAX_CRITERIA_CHANGES:
            return changes
    return [Change("criteria", _in_words(before), _in_words(after))]


def _json_changes(path: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted(before.keys() | after.keys()):
            if key not in before:
                yield Change(below(path, key), None, _short(to_text(after[key])))
            elif key not in after:
                yield Change(below(path, key), _short(to_text(before[key])), None)
            else:
                yield from _json_changes(below(path, key), before[key], after[key])
    elif isinstance(before, list) and isinstance(after, list):
        both = min(len(before), len(after))
        for index in range(both):
            yield from _json_changes(below(path, index), before[index], after[index])
        for index, item in enumerate(before[both:], both):
            yield Change(below(path, index), _short(to_text(item)), None)
        for index, item in enumerate(after[both:], both):
            yield Change(below(path, index), None, _short(to_text(item)))
    elif to_text(before) != to_text(after):  # as text: 1 and true are equal in Python
        yield Change(path, _short(to_text(before)), _short(to_text(after)))


def _in_words(criteria: Document | None) -> str | None:
    if criteria is None:
        return None
    try:
        return _short(describe(parse_criteria(criteria)))
    except CriteriaError:  # such as one that was saved while another package was installed
        return _short(to_text(criteria))


def _short(text: str) -> str:
    return text if len(text) <= _MAX_CHANGE_CHARACTERS else text[: _MAX_CHANGE_CHARACTERS - 1] + "…"


def _summary(item: Mapping[str, Any]) -> str:
    if "provider" in item:
        return f"{item['organization']}/{item['template']}"
    return f"{item['event_type']} {_value_text(item['rules'])}"


def _value_text(value: Any) -> str:
    if isinstance(value, list):  # rules
        rules = [f"{rule['path']} {rule['operator']} {json.dumps(rule['value'], ensure_ascii=False)}" for rule in value]
        return " and ".join(rules) or "every event"
    return json.dumps(value, ensure_ascii=False)
