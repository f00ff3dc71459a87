"""
Validation of template entries: an entry becomes a document that can be saved, or a list of all its problems.

The structure is validated first. Then follows what a schema cannot know: configured event types, rules that compile,
names that occur twice. The only table that may be asked is that of event types.
"""

from __future__ import annotations

import difflib
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import URLValidator

from badges.catalog import event_types
from badges.catalog.criteria import name_errors
from badges.catalog.documents import Document, Problem, demands, sorted_penalties
from badges.catalog.event_types import EventDefinition
from badges.catalog.expiry import EACH_YEAR, is_day
from badges.catalog.structure import child_path, default_of, part_problems, template_problems
from badges.common.entry_points import installed_names
from badges.rules import CriteriaError, RuleError, badge_condition_slugs, parse_criteria, to_text

NO_SUCH_DAY = "there is no such day in any year; write a month and a day, such as 06-30"

_is_url = URLValidator(schemes=["http", "https"])


def read_template(
    entry: Any, *, path: str = "", definitions: Mapping[str, EventDefinition] | None = None
) -> tuple[Document | None, list[Problem]]:
    """
    Return the document of a template entry, or None and all problems.

    ``path`` is the path of the entry. ``definitions`` are the event types that it may use. None: the configured ones,
    after a statement that asks whether this site has changed its own.
    """
    if definitions is None:
        definitions = event_types.refreshed()
    problems = template_problems(entry, path)
    if problems:
        return None, problems
    document = _with_defaults("template", entry)
    document["uuid"] = str(uuid.UUID(document["uuid"])) if document["uuid"] else None
    document["expiry"] = _with_whole_numbers(document["expiry"])
    document["issuers"] = sorted(
        (dict(issuer) for issuer in document["issuers"]), key=lambda issuer: issuer["provider"]
    )
    problems = [*_issuer_problems(entry, path), *_content_problems(document, path)]
    requirements = []
    for index, requirement in enumerate(document["requirements"]):
        place = child_path(path, "requirements", index)
        requirements.append(_read_requirement(requirement, place, problems, definitions))
    document["requirements"] = sorted(requirements, key=lambda requirement: requirement["key"])
    problems += _repeated(entry["requirements"], "key", child_path(path, "requirements"))
    document["penalties"] = _read_penalties(document, child_path(path, "penalties"), problems, definitions)
    if document["criteria"] is not None:
        document["criteria"] = _read_criteria(document["criteria"], child_path(path, "criteria"), problems, definitions)
    return (None, problems) if problems else (document, [])


def repeated_templates(documents: Iterable[tuple[str, Document]]) -> list[Problem]:
    """Return a problem for each template of a pack with the slug or UUID of an earlier one. Takes (path, document)."""
    problems: list[Problem] = []
    first: dict[tuple[str, str], str] = {}
    for path, document in documents:
        for key in ("slug", "uuid"):
            value = document[key]
            if value and first.setdefault((key, value), path) != path:
                problems.append(
                    Problem(child_path(path, key), f"{value} is already {child_path(first[key, value], key)}")
                )
    return problems


def _with_defaults(part: str, entry: dict[str, Any]) -> Document:
    """Return an entry in which missing keys have the schema's defaults."""
    return {key: entry[key] if key in entry else _copy(default) for key, default in _defaults(part).items()}


def _copy(default: Any) -> Any:
    return list(default) if isinstance(default, list) else default


def _with_whole_numbers(expiry: Document | None) -> Document | None:
    """Return an expiry in its normal form: JSON Schema takes 12.0 for a whole number, too."""
    if expiry is None:
        return None
    return {key: int(value) if isinstance(value, float) else value for key, value in expiry.items()}


@cache
def _defaults(part: str) -> dict[str, Any]:
    keys = {
        "template": (
            "slug uuid name description image_url is_active award_once expiry issuers requirements penalties criteria"
        ),
        "requirement": "key event_type group description rules",
        "penalty": "event_type requirements rules",
    }
    return {key: default_of(part, key) for key in keys[part].split()}


def given_by_people_only(document: Document) -> bool:
    """Return whether nothing that a learner does gives this badge: no requirement, no criteria, no badge condition."""
    demands = document["requirements"] or document["criteria"] is not None
    return not demands and document["slug"] not in badge_condition_slugs()


def _content_problems(document: Document, path: str) -> list[Problem]:
    problems = []
    if document["expiry"] and not is_day(document["expiry"].get(EACH_YEAR, "01-01")):
        problems.append(Problem(child_path(path, "expiry", EACH_YEAR), NO_SUCH_DAY))
    if document["image_url"]:
        try:
            _is_url(document["image_url"])
        except ValidationError:
            problems.append(Problem(child_path(path, "image_url"), "this is no address that a browser could open"))
    return problems


def expiry_problem(expiry: Document) -> str:
    """Return what is wrong with an expiry of one key, for a form; empty when it is right."""
    problems = part_problems("template", "expiry", expiry)
    if problems:
        return problems[0].message
    return "" if is_day(expiry.get(EACH_YEAR, "01-01")) else NO_SUCH_DAY


def _issuer_problems(entry: dict[str, Any], path: str) -> list[Problem]:
    issuers = entry.get("issuers", [])
    problems = _repeated(issuers, "provider", child_path(path, "issuers"))
    for index, issuer in enumerate(issuers):
        if issuer["provider"] not in providers():
            message = (
                f"no installed provider is called {issuer['provider']}; {_suggest(issuer['provider'], providers())}"
            )
            problems.append(Problem(child_path(path, "issuers", index, "provider"), message))
    return problems


@cache
def providers() -> tuple[str, ...]:
    """Return the slugs of the providers that have an installed issuer."""
    return tuple(installed_names("badges.issuers"))


def _repeated(items: list[dict[str, Any]], name: str, path: str) -> list[Problem]:
    counts = Counter(item[name] for item in items)
    seen: set[str] = set()
    problems = []
    for index, item in enumerate(items):
        key = item[name]
        if counts[key] > 1 and key in seen:
            problems.append(
                Problem(child_path(path, index, name), f"{key} stands here twice; write another, or merge them")
            )
        seen.add(key)
    return problems


def _read_criteria(
    document: Document, path: str, problems: list[Problem], definitions: Mapping[str, EventDefinition]
) -> Document:
    """Return a criteria document as it is stored. A problem has the path of the document plus a JSON Pointer."""
    try:
        criteria = parse_criteria(document)
    except CriteriaError as error:
        problems.append(Problem(path + error.path, error.message, error.kind))
        return document
    errors = name_errors(criteria, definitions)
    problems += [Problem(path + error.path, error.message, error.kind) for error in errors]
    return criteria.document


def _read_requirement(
    entry: dict[str, Any], path: str, problems: list[Problem], definitions: Mapping[str, EventDefinition]
) -> Document:
    return _with_read_rules(_with_defaults("requirement", entry), path, problems, definitions)


def _read_penalties(
    document: Document, path: str, problems: list[Problem], definitions: Mapping[str, EventDefinition]
) -> list[Document]:
    """Return the penalties of a template in normal form. They may name the requirements of this template only."""
    keys = [demanded["key"] for demanded in demands(document)]
    places: dict[str, str] = {}
    read: list[Document] = []
    for index, entry in enumerate(document["penalties"]):
        place = child_path(path, index)
        for number, key in enumerate(entry["requirements"]):
            if key not in keys:
                remedy = _suggest(key, keys) if keys else "add one, or remove the penalty"
                message = f"no requirement of this template has the key {key!r}; {remedy}"
                problems.append(Problem(child_path(place, "requirements", number), message))
        penalty = _with_read_rules(_with_defaults("penalty", entry), place, problems, definitions)
        (text,) = map(to_text, sorted_penalties([penalty]))
        if places.setdefault(text, place) != place:
            problems.append(Problem(place, f"this penalty is the same as {places[text]}; remove one of the two"))
        read.append(penalty)
    return sorted_penalties(read)


def _with_read_rules(
    part: Document, path: str, problems: list[Problem], definitions: Mapping[str, EventDefinition]
) -> Document:
    """Return a requirement or a penalty with its rules in normal form."""
    if why := event_types.why_unusable(part["event_type"], definitions):
        problems.append(Problem(child_path(path, "event_type"), why))
    definition = definitions.get(part["event_type"])
    if definition is None:
        return part
    part["rules"] = [
        _read_rule(definition, rule, child_path(path, "rules", index), problems)
        for index, rule in enumerate(part["rules"])
    ]
    return part


def _read_rule(definition: EventDefinition, rule: Document, path: str, problems: list[Problem]) -> Document:
    try:
        compiled = definition.compile(rule["path"], rule["operator"], rule["value"])
    except RuleError as error:
        problems.append(Problem(child_path(path, error.field), error.message, error.kind))
        return rule
    return {"path": compiled.path, "operator": compiled.operator, "value": compiled.value}


def _suggest(wrong: str, right: Iterable[str]) -> str:
    right = list(right)
    near = difflib.get_close_matches(wrong, right, n=2)
    return f"write {' or '.join(near)}" if near else f"write one of {', '.join(right)}"
