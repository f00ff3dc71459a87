"""Criteria documents of templates: the event types and figures that they read must exist, and readers want words."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping

from django.utils import translation

from badges.catalog import event_types
from badges.catalog.documents import CRITERIA_KEY, Document
from badges.catalog.event_types import EventDefinition
from badges.catalog.models import BadgeTemplate
from badges.rules import Criteria, CriteriaError, Translations, describe, parse_criteria, why_no_figure
from badges.rules.criteria.entries import Entry
from badges.rules.criteria.figures import StatEntry
from badges.rules.criteria.pointers import below


def compile_criteria(document: Document | str, definitions: Mapping[str, EventDefinition]) -> Criteria:
    """
    Return a compiled criteria document, given as JSON or as its text.

    Raises CriteriaError, also for event types and figures that cannot be used here.
    """
    criteria = parse_criteria(document)
    for error in name_errors(criteria, definitions):
        raise error
    return criteria


def name_errors(criteria: Criteria, definitions: Mapping[str, EventDefinition]) -> list[CriteriaError]:
    """Return an error for each place of a document with an event type or a figure that cannot be used here."""
    named = dict.fromkeys((path, event_type) for path, event_type in criteria.reads() if event_type is not None)
    found = ((path, event_types.why_unusable(event_type, definitions)) for path, event_type in named)
    figures = ((below(path, name), why_no_figure(name)) for path, name in _figures(criteria.root))
    return [CriteriaError("invalid_criteria", path, why) for path, why in [*found, *figures] if why]


def _figures(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the figures that an entry reads, with the path of the object that names them."""
    if isinstance(entry, StatEntry):
        yield from ((entry.path, name) for name in sorted(entry.names))
    for child in entry.children():
        yield from _figures(child)


def criteria_of(template: BadgeTemplate) -> Document | None:
    """Return the stored criteria document of a template, or None; no statement if its current revision is loaded."""
    revision = template.current_revision
    document: Document | None = json.loads(revision.document)["criteria"] if revision else None
    return document


def counts_from_of(template: BadgeTemplate) -> dt.datetime | None:
    """
    Return from when on events count for the criteria document of a template, by their arrival; one statement.

    None without a document, and before the template is active for the first time.
    """
    return template.requirements.filter(key=CRITERIA_KEY).values_list("counts_from", flat=True).first()


def describe_criteria(document: Document, event_name: Callable[[str], str] | None = None) -> str:
    """
    Return a stored criteria document in the reader's language; why it cannot be used, if it no longer parses.

    ``event_name`` says what readers call an event type; without it, types are quoted as they are.
    """
    try:
        criteria = parse_criteria(document)
    except CriteriaError as error:
        return translation.gettext("The criteria document cannot be used: %(problem)s") % {"problem": error}
    return describe(criteria, Translations(translation), event_name)
