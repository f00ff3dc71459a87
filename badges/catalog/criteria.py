"""Criteria documents of templates: the event types that they read must be configured, and readers want words."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping

from django.utils import translation

from badges.catalog import event_types
from badges.catalog.documents import CRITERIA_KEY, Document
from badges.catalog.event_types import EventDefinition
from badges.catalog.models import BadgeTemplate
from badges.rules import Criteria, CriteriaError, Translations, describe, parse_criteria


def compile_criteria(document: Document | str, definitions: Mapping[str, EventDefinition]) -> Criteria:
    """
    Return a compiled criteria document, given as JSON or as its text.

    Raises CriteriaError, also for event types that cannot be used here.
    """
    criteria = parse_criteria(document)
    for error in event_type_errors(criteria, definitions):
        raise error
    return criteria


def event_type_errors(criteria: Criteria, definitions: Mapping[str, EventDefinition]) -> list[CriteriaError]:
    """Return an error for each place of a document that reads an event type which cannot be used here."""
    named = dict.fromkeys((path, event_type) for path, event_type in criteria.reads() if event_type is not None)
    found = ((path, event_types.why_unusable(event_type, definitions)) for path, event_type in named)
    return [CriteriaError("invalid_criteria", path, why) for path, why in found if why]


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


def describe_criteria(document: Document) -> str:
    """Return a stored criteria document in the reader's language; why it cannot be used, if it no longer parses."""
    try:
        criteria = parse_criteria(document)
    except CriteriaError as error:
        return translation.gettext("The criteria document cannot be used: %(problem)s") % {"problem": error}
    return describe(criteria, Translations(translation))
