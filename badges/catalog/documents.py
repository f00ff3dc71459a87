"""
A template as a document: one template entry of a pack, in its normal form.

In the normal form all keys are present; ``uuid`` is None before the template is stored. Issuers are sorted by provider,
and requirements by key. So two equal templates have equal texts. Revisions store this text. Packs are lists of such
documents.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from badges.exceptions import BadgesError
from badges.rules import to_text

Document = dict[str, Any]

# In the order in which packs are written. Each of these is compared by itself.
_TEMPLATE_KEYS = ("slug", "uuid", "name", "description", "image_url", "is_active", "award_once")


class Problem(NamedTuple):
    """Something that an author has to change: its path in the document, and what to write instead."""

    path: str
    message: str

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
    """Return a document as it is written in a pack: in the usual order, without an empty ``image_url``."""
    entry = {key: document[key] for key in _TEMPLATE_KEYS if key != "image_url" or document[key]}
    return entry | {key: document[key] for key in ("issuers", "requirements", "penalties", "criteria")}


def differences(before: Document, after: Document) -> list[Change]:
    """Return the differences between two documents of one template, in the order of their keys."""
    changes = _compare("", before, after, [key for key in _TEMPLATE_KEYS if key != "slug"])
    changes += _compare_named("issuers", "provider", before, after, ("organization", "template"))
    return changes + _compare_named(
        "requirements", "key", before, after, ("event_type", "group", "description", "rules")
    )


def _compare(path: str, before: Mapping[str, Any], after: Mapping[str, Any], keys: Iterable[str]) -> list[Change]:
    return [
        Change(f"{path}{key}", _value_text(before[key]), _value_text(after[key]))
        for key in keys
        if before[key] != after[key]
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


def _summary(item: Mapping[str, Any]) -> str:
    if "provider" in item:
        return f"{item['organization']}/{item['template']}"
    return f"{item['event_type']} {_value_text(item['rules'])}"


def _value_text(value: Any) -> str:
    if isinstance(value, list):  # rules
        rules = [f"{rule['path']} {rule['operator']} {json.dumps(rule['value'], ensure_ascii=False)}" for rule in value]
        return " and ".join(rules) or "every event"
    return json.dumps(value, ensure_ascii=False)
