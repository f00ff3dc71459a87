"""
From what an author wrote to a document that can be saved, or to everything that is wrong with it.

Structure first; then what a schema cannot know: which event types are configured here, whether rules compile, whether
names repeat. Nothing here reads tables.
"""

from __future__ import annotations

import difflib
import uuid
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from badges.catalog import event_types
from badges.catalog.documents import Document, Problem
from badges.catalog.event_types import EventDefinition
from badges.catalog.structure import default_of, join, template_problems
from badges.common.entry_points import installed_names
from badges.rules import RuleError

_is_url = URLValidator(schemes=["http", "https"])


def read_template(entry: Any, *, where: str = "") -> tuple[Document | None, list[Problem]]:
    """Return the document of a template entry that stands at ``where``; None, and all problems, if it has any."""
    problems = template_problems(entry, where)
    if problems:
        return None, problems
    document = _filled("template", entry)
    document["uuid"] = str(uuid.UUID(document["uuid"])) if document["uuid"] else None
    document["issuers"] = sorted(
        (dict(issuer) for issuer in document["issuers"]), key=lambda issuer: issuer["provider"]
    )
    problems = [*_issuer_problems(entry, where), *_plain_problems(document, where)]
    requirements = []
    for index, requirement in enumerate(document["requirements"]):
        requirements.append(_read_requirement(requirement, join(where, "requirements", index), problems))
    document["requirements"] = sorted(requirements, key=lambda requirement: requirement["key"])
    problems += _repeated(entry["requirements"], "key", join(where, "requirements"))
    return (None, problems) if problems else (document, [])


def repeated_templates(documents: Iterable[tuple[str, Document]]) -> list[Problem]:
    """Return the templates of a pack, given with their places, that say they are one that came before."""
    problems: list[Problem] = []
    first: dict[tuple[str, str], str] = {}
    for where, document in documents:
        for key in ("slug", "uuid"):
            value = document[key]
            if value and first.setdefault((key, value), where) != where:
                problems.append(Problem(join(where, key), f"{value} is already {join(first[key, value], key)}"))
    return problems


def _filled(part: str, entry: dict[str, Any]) -> Document:
    """Return an entry with the schema's defaults for the keys that it leaves out."""
    return {key: entry[key] if key in entry else _copy(default) for key, default in _defaults(part).items()}


def _copy(default: Any) -> Any:
    return list(default) if isinstance(default, list) else default


@cache
def _defaults(part: str) -> dict[str, Any]:
    keys = {
        "template": "slug uuid name description image_url is_active award_once issuers requirements penalties criteria",
        "requirement": "key event_type group description rules",
    }
    return {key: default_of(part, key) for key in keys[part].split()}


def _plain_problems(document: Document, where: str) -> list[Problem]:
    problems = []
    if document["is_active"] and not document["requirements"]:
        message = 'an active template needs at least one requirement; add one, or write "is_active": false'
        problems.append(Problem(join(where, "requirements"), message))
    if document["image_url"]:
        try:
            _is_url(document["image_url"])
        except ValidationError:
            problems.append(Problem(join(where, "image_url"), "this is no address that a browser could open"))
    return problems


def _issuer_problems(entry: dict[str, Any], where: str) -> list[Problem]:
    issuers = entry.get("issuers", [])
    problems = _repeated(issuers, "provider", join(where, "issuers"))
    for index, issuer in enumerate(issuers):
        if issuer["provider"] not in providers():
            message = f"nobody here issues at {issuer['provider']}; {_suggest(issuer['provider'], providers())}"
            problems.append(Problem(join(where, "issuers", index, "provider"), message))
    return problems


@cache
def providers() -> tuple[str, ...]:
    """Return the words of the providers that installed packages issue at."""
    return tuple(installed_names("badges.issuers"))


def _repeated(items: list[dict[str, Any]], name: str, where: str) -> list[Problem]:
    counts = Counter(item[name] for item in items)
    seen: set[str] = set()
    problems = []
    for index, item in enumerate(items):
        key = item[name]
        if counts[key] > 1 and key in seen:
            problems.append(Problem(join(where, index, name), f"{key} stands here twice; write another, or merge them"))
        seen.add(key)
    return problems


def _read_requirement(entry: dict[str, Any], where: str, problems: list[Problem]) -> Document:
    requirement = _filled("requirement", entry)
    definition = event_types.configured().get(requirement["event_type"])
    if definition is None:
        problems.append(Problem(join(where, "event_type"), _unknown_type(requirement["event_type"])))
        return requirement
    if definition.learner_path is None:
        message = "events of this type do not say which learner they are about; manage.py check tells what to configure"
        problems.append(Problem(join(where, "event_type"), message))
    requirement["rules"] = [
        _read_rule(definition, rule, join(where, "rules", index), problems)
        for index, rule in enumerate(requirement["rules"])
    ]
    return requirement


def _read_rule(definition: EventDefinition, rule: Document, where: str, problems: list[Problem]) -> Document:
    try:
        compiled = definition.compile(rule["path"], rule["operator"], rule["value"])
    except RuleError as error:
        problems.append(Problem(join(where, error.field), error.message))
        return rule
    return {"path": compiled.path, "operator": compiled.operator, "value": compiled.value}


def _unknown_type(event_type: str) -> str:
    if event_types.is_known(event_type):
        return f"{event_type} is not configured here; add it to BADGES_CONFIG['events']"
    return f"there is no event type {event_type}; {_suggest(event_type, list(event_types.configured()))}"


def _suggest(wrong: str, right: Iterable[str]) -> str:
    right = list(right)
    near = difflib.get_close_matches(wrong, right, n=2)
    return f"write {' or '.join(near)}" if near else f"write one of {', '.join(right)}"
