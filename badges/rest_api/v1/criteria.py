"""
Criteria documents for designers: is a document right, and what does it say of these events?

Both requests write nothing. Documents are checked as they are when a template is saved. Event data is what criteria see
in production: without the fields that are declared personal.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from django.utils import timezone, translation
from django.utils.translation import gettext as _
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from badges.api import learner_of, person_named
from badges.catalog import event_types
from badges.catalog.criteria import counts_from_of, criteria_of, name_errors
from badges.catalog.models import BadgeTemplate
from badges.common.openapi import Operation
from badges.common.permissions import may
from badges.common.problem_details import InvalidDocument
from badges.conf import config
from badges.exceptions import EventError
from badges.history.criteria import MAX_MOMENTS, figures_for, history_of_rows
from badges.history.event_log import events_of, person_key
from badges.history.models import LoggedEvent
from badges.intake.events import canonical_id, canonical_source
from badges.intake.models import Learner
from badges.rest_api.pagination import is_storable
from badges.rest_api.v1.criteria_serializers import (
    MAX_EVENTS,
    CriteriaResultSerializer,
    CriteriaSerializer,
    EvaluationSerializer,
    ValidationSerializer,
)
from badges.rest_api.v1.templates import MAY_VIEW
from badges.rest_api.views import PluginAPIView
from badges.rules import Criteria, CriteriaError, Event, Moment, Translations, earned, event_digest, parse_criteria

# So often events are compared with values of the document: at most a few seconds of work.
MAX_COMPARISONS = 5_000_000


class ASCIIRenderer(JSONRenderer):
    """Renders JSON in ASCII, because a trace may have halves of characters, which no encoding has."""

    ensure_ascii = True


class CriteriaValidationView(PluginAPIView):
    """Whether a criteria document is right."""

    operations = {
        "post": Operation(
            "criteria_validate",
            "Check a criteria document",
            CriteriaSerializer,
            body=ValidationSerializer,
            problems={"400": "The document cannot be used. `errors` has `kind`, `pointer` and what to write instead."},
        )
    }
    needs = {"post": MAY_VIEW}

    def post(self, request: Request) -> Response:
        """Check a criteria document as saving a template does, and say in words what it demands. Nothing is saved."""
        criteria = compiled(self.body(ValidationSerializer)["document"], field="document")
        return Response(CriteriaSerializer(criteria, context={"now": timezone.now()}).data)


class CriteriaEvaluationView(PluginAPIView):
    """What a criteria document says of some events."""

    operations = {
        "post": Operation(
            "criteria_evaluate",
            "Try a criteria document",
            CriteriaResultSerializer,
            body=EvaluationSerializer,
            problems={"400": "The document cannot be used, or a field is wrong; `errors` says what to write instead."},
        )
    }
    needs = {"post": MAY_VIEW}
    max_body_bytes = 2 * 1024 * 1024
    renderer_classes = [ASCIIRenderer]

    def post(self, request: Request) -> Response:
        """
        Evaluate a document, or that of a template, over events that are given or that are logged of a learner.

        Events that are later than `at` are left out. The events of a learner need the permission to view logged events.
        The document of a template is asked over those of them that count for the template: they arrived since the
        template was active for the first time with a document. A document of the body, and events of the body, are a
        simulation: all events count. The answer holds what the events hold. Nothing is saved, and no badge is awarded.
        """
        given = self.body(EvaluationSerializer)
        if "learner" in given and not may(request.user, "view", LoggedEvent):
            raise PermissionDenied(_("The events of a learner need the permission to view logged events."))
        if "template" in given:
            criteria, moment = _of_template(given["template"])
        else:
            criteria, moment = compiled(given["document"], field="document"), None
        now, most = given.get("at") or timezone.now(), Effort.of(criteria).most_events
        if "learner" in given:
            history = _logged(given["learner"], criteria, counts_from=moment, until=now, most=most)
        else:
            history = _pasted(given["events"], until=now, most=most)
        result = criteria.evaluate(history.events, now=now, figures=history.figures)
        held = _earned(criteria, history, now=now)
        context = {"now": now, "history": history, "earned": held, "translations": Translations(translation)}
        return Response(CriteriaResultSerializer(result, context=context).data)


class History(NamedTuple):
    """
    The events of an evaluation.

    ``names`` are the source and the id of each event, by its id in the rules. ``left_out`` is the number of events that
    are later than the moment. ``is_complete`` is false when older events of the learner were not read. ``counts_from``
    is the moment from which on events count; ``arrived_before`` are too early for it. ``figures`` are the engagement
    figures of the learner by name.
    """

    events: Sequence[Event]
    names: Mapping[str, tuple[str, str]]
    left_out: int = 0
    is_complete: bool = True
    counts_from: dt.datetime | None = None
    arrived_before: int = 0
    figures: Mapping[str, Any] = MappingProxyType({})


def compiled(document: Any, *, field: str) -> Criteria:
    """
    Return a criteria document, compiled and checked as saving a template does.

    Raises InvalidDocument, whose errors have the ``field``, the kind, and a JSON Pointer into the document.
    """
    try:
        criteria = parse_criteria(document)
    except CriteriaError as error:
        raise InvalidDocument([_entry(error, field)]) from None
    errors = name_errors(criteria, event_types.refreshed())
    if errors:
        raise InvalidDocument([_entry(error, field) for error in errors])
    return criteria


class Effort(NamedTuple):
    """
    How much work a document is.

    ``size`` is the number of values in the document. With ``is_squared``, the events of each interval of a
    ``$withinTimeWindow`` are looked at again, so that the work grows with the square of their number.
    """

    size: int
    is_squared: bool

    @classmethod
    def of(cls, criteria: Criteria) -> Effort:
        """Return the effort of a document."""
        size = 0
        waiting: list[Any] = [criteria.document]
        while waiting:
            value = waiting.pop()
            size += 1
            if isinstance(value, dict):
                waiting += value.values()
            elif isinstance(value, list):
                waiting += value
        return cls(size, criteria.asks_intervals_one_by_one)

    @property
    def most_events(self) -> int:
        """The number of events over which the document is evaluated here."""
        if not self.is_squared:
            return MAX_EVENTS
        return min(MAX_EVENTS, int((MAX_COMPARISONS / self.size) ** 0.5))

    def most_moments(self, events: int) -> int:
        """Return at how many moments it is asked here whether the document held."""
        looks = max(events, 1) ** (2 if self.is_squared else 1)
        return min(MAX_MOMENTS, int(MAX_COMPARISONS / (self.size * looks)))


def _earned(criteria: Criteria, history: History, *, now: dt.datetime) -> Moment | None:
    """Return the first moment at which a document held; None if there was none, or none among those that were asked."""
    since = min((event.occurred_at for event in history.events), default=now)
    limit = Effort.of(criteria).most_moments(len(history.events))
    return earned(criteria, history.events, since=since, now=now, figures=history.figures, limit=limit).earned


def _entry(error: CriteriaError, field: str) -> dict[str, str]:
    return {"field": field, "pointer": error.path, "kind": error.kind, "detail": error.message}


def _of_template(slug: str) -> tuple[Criteria, dt.datetime | None]:
    """Return the document of a template, and from when on events count for it. Raises ValidationError."""
    templates = BadgeTemplate.objects.filter(slug=slug).select_related("current_revision") if is_storable(slug) else ()
    for template in templates:
        document = criteria_of(template)
        if document is None:
            raise ValidationError({"template": [_("This template has no criteria document.")]})
        return compiled(document, field="template"), counts_from_of(template)
    raise ValidationError({"template": [_("There is no template with this slug.")]})


def _logged(
    named: str, criteria: Criteria, *, counts_from: dt.datetime | None, until: dt.datetime, most: int
) -> History:
    """Return the logged events of a learner that a document reads. Raises ValidationError for an unknown learner."""
    types = None if None in criteria.event_types else [name for name in criteria.event_types if name is not None]
    since = criteria.reach(until)
    learner = learner_of(person_named(named)) if is_storable(named) else None
    keys = _person_keys(named, learner)
    rows = [row for key in keys for row in events_of(key, types, since=since, until=until, limit=most + 1)]
    rows.sort(key=lambda row: (row.occurred_at, row.digest), reverse=True)
    names = {str(row.digest): (row.event_source, row.event_id) for row in rows}
    logged = history_of_rows(rows[:most])
    events = logged.counting_from(counts_from)
    return History(
        events,
        names,
        is_complete=len(rows) <= most,
        counts_from=counts_from,
        arrived_before=len(logged.events) - len(events),
        figures=figures_for(learner.pk if learner else None, [criteria], now=until),
    )


def _person_keys(named: str, learner: Learner | None) -> set[int]:
    """Return what the log knows a person by. Events from before the LMS user id was known have the other key."""
    if learner is not None:
        keys = {person_key(learner.lms_user_id), person_key(None, learner.pk)}
    else:  # somebody can have logged events before any badge is near
        keys = {person_key(int(named)) if named.isascii() and named.isdigit() else None}
    found = {key for key in keys if key is not None}
    if not found:
        message = _("There is no such learner; write a learner's UUID, an LMS user id or a username.")
        raise ValidationError({"learner": [message]})
    return found


def _pasted(given: Sequence[Mapping[str, Any]], *, until: dt.datetime, most: int) -> History:
    """Return the events of a request's body. Raises ValidationError with the problems of each event at its path."""
    if len(given) > most:
        message = _("Send at most %(most)d events for this document.") % {"most": most}
        raise ValidationError({"events": [message]})
    definitions = event_types.configured()
    events: list[Event] = []
    names: dict[str, tuple[str, str]] = {}
    problems: dict[str, list[str]] = {}
    for number, item in enumerate(given):
        path = f"events[{number}]"
        if why := event_types.why_unusable(item["type"], definitions):
            problems[f"{path}.type"] = [why]
            continue
        try:
            event, name = _event(definitions[item["type"]], item, number)
        except EventError as error:
            problems[path] = [str(error)]
            continue
        events.append(event)
        names[event.id] = name
    if problems:
        raise ValidationError(problems)
    kept = [event for event in events if event.occurred_at <= until]
    return History(kept, names, left_out=len(events) - len(kept))


def _event(
    definition: event_types.EventDefinition, item: Mapping[str, Any], number: int
) -> tuple[Event, tuple[str, str]]:
    """Return a pasted event as criteria see it, with its source and id. Raises EventError."""
    source = canonical_source(item.get("source", config.default_source))
    event_id = canonical_id(item.get("id", f"event {number + 1}"))
    if "payload" in item:
        payload = item["payload"]
    else:
        payload = definition.subject(definition.without_personal(definition.canonical(item["data"], "data")))
    return Event(str(event_digest(source, event_id)), definition.type, item["time"], payload), (source, event_id)
