"""Serializers of criteria documents, of the events they are tried on, and of the result."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from django.utils import translation
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from badges.common.request_bodies import StrictSerializer, TextField
from badges.rest_api.times import utc_text
from badges.rules import Criteria, Moment, Result, TraceStep, Translations, canonical_time, describe
from badges.rules.criteria.texts import value_text

MAX_EVENTS = 1000
MAX_SHOWN_CHARACTERS = 1000  # of a value in a trace


class JSONField(serializers.Field[Any, Any, Any, Any]):
    """Any JSON but null, which is validated elsewhere."""

    def to_internal_value(self, data: Any) -> Any:
        return data


@extend_schema_field({"oneOf": [{"$ref": "#/components/schemas/CriteriaEntry"}, {"type": "string"}]})
class CriteriaField(JSONField):
    """A criteria document, as an object or as JSON text."""


@extend_schema_field({"type": "object"})
class ObjectField(JSONField):
    """A JSON object."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError(_("Write an object, in braces."))
        return data


@extend_schema_field({"type": "string", "format": "date-time"})
class TimeField(serializers.Field[Any, Any, Any, Any]):
    """A time with its offset."""

    def to_internal_value(self, data: Any) -> dt.datetime:
        try:
            return dt.datetime.fromisoformat(canonical_time(data))
        except ValueError as error:
            raise serializers.ValidationError(_("Expected %(what)s.") % {"what": error}) from None


class ValidationSerializer(StrictSerializer):
    """A criteria document to be checked."""

    document = CriteriaField(help_text="As an object, or as JSON text, which is read strictly.")


class PastedEventSerializer(StrictSerializer):
    """An event, as a line of an event file has it, or with the payload that criteria see."""

    id = TextField(required=False, help_text="Events with the same source and id are one event.")
    source = TextField(required=False)
    type = TextField()
    time = TimeField()
    data = ObjectField(required=False, help_text="The arguments of the signal.")
    payload = ObjectField(required=False, help_text="Instead of data: what criteria see of it.")

    def validate(self, attrs: Any) -> Any:
        if ("data" in attrs) == ("payload" in attrs):
            raise serializers.ValidationError(_("Write either data, as in an event file, or payload."))
        return attrs


class EvaluationSerializer(StrictSerializer):
    """What is to be evaluated, over which events, and at which moment."""

    document = CriteriaField(required=False)
    template = TextField(
        required=False,
        help_text="The slug of a template whose document is evaluated instead. Of the events of a learner, those count "
        "that count for this template. A document of the body is asked over all of them.",
    )
    events: Any = serializers.ListSerializer(child=PastedEventSerializer(), required=False, max_length=MAX_EVENTS)
    learner = TextField(required=False, help_text="A learner's UUID, an LMS user id or a username.")
    at = TimeField(required=False, help_text="The moment of the evaluation. It is now if it is left out.")

    def validate(self, attrs: Any) -> Any:
        if ("document" in attrs) == ("template" in attrs):
            raise serializers.ValidationError(_("Write either a document, or the slug of a template."))
        if ("events" in attrs) == ("learner" in attrs):
            raise serializers.ValidationError(_("Write either events, or whose logged events are read: learner."))
        return attrs


class CriteriaSerializer(serializers.Serializer[Criteria]):
    """What a criteria document demands, and how it behaves."""

    description = serializers.SerializerMethodField(help_text="A sentence, in the language of the request.")
    event_types = serializers.SerializerMethodField(help_text="The event types that it reads by name.")
    reads_every_type = serializers.SerializerMethodField(help_text="Whether a part of it reads events of every type.")
    figures = serializers.SerializerMethodField(help_text="The engagement figures that it reads.")
    monotone = serializers.BooleanField(help_text="Whether only new events make it true, and none makes it false.")
    needs_recheck = serializers.BooleanField(help_text="Whether it can become true by time alone.")
    satisfied_without_events = serializers.BooleanField(help_text="Whether it is true for who has done nothing.")
    reach = serializers.SerializerMethodField(
        help_text="The first moment whose events matter now; null when events matter however old they are."
    )

    def get_description(self, criteria: Criteria) -> str:
        return describe(criteria, Translations(translation))

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_event_types(self, criteria: Criteria) -> list[str]:
        return sorted(name for name in criteria.event_types if name is not None)

    def get_reads_every_type(self, criteria: Criteria) -> bool:
        return None in criteria.event_types

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_figures(self, criteria: Criteria) -> list[str]:
        return sorted(criteria.figures)

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_reach(self, criteria: Criteria) -> str | None:
        return utc_text(criteria.reach(self.context["now"]))


_TRACE_SCHEMA = {
    "type": "object",
    "properties": {
        "path": {"type": "string", "description": "A JSON Pointer into the document."},
        "operator": {"type": "string"},
        "operand": {"description": "As it is written."},
        "observed": {"description": "What was compared with it; null if there was nothing."},
        "event": {
            "type": ["object", "null"],
            "description": "The event that decided, if it was a single one.",
            "properties": {"source": {"type": "string"}, "id": {"type": "string"}},
        },
        "result": {"type": "boolean"},
        "missing": {"type": "string"},
        "note": {"type": "string", "description": "Why there was nothing to compare."},
        "children": {"type": "array", "items": {"type": "object"}, "description": "The steps that it rests on."},
    },
}


class CriteriaResultSerializer(serializers.Serializer[Result]):
    """The result of an evaluation. It holds what events hold, so it may be personal."""

    satisfied = serializers.BooleanField()
    earned_at = serializers.SerializerMethodField(
        help_text="The first moment at which it held: a document that held once stays fulfilled. Null if there was "
        "none, or if so many moments would have to be asked that not all were."
    )
    missing = serializers.SerializerMethodField(help_text="What is missing, such as `3 of 5 events`.")
    at = serializers.SerializerMethodField()
    events_read = serializers.SerializerMethodField()
    events_left_out = serializers.SerializerMethodField(help_text="The number of events that are later than `at`.")
    counts_from = serializers.SerializerMethodField(
        help_text="From when on events count, by the time at which they arrived here. Null if all count."
    )
    events_before = serializers.SerializerMethodField(
        help_text="The number of logged events that arrived before `counts_from` and so were not read."
    )
    is_complete = serializers.SerializerMethodField(
        help_text="False when the learner has more events that the document reads; then only the newest were read."
    )
    trace = serializers.SerializerMethodField(help_text="The steps of the evaluation.")

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_earned_at(self, result: Result) -> str | None:
        held: Moment | None = self.context["earned"]
        return utc_text(held.time) if held else None

    @extend_schema_field({"type": "array", "items": {"type": "string"}})
    def get_missing(self, result: Result) -> list[str]:
        return result.missing(self.context["translations"])

    @extend_schema_field({"type": "string", "format": "date-time"})
    def get_at(self, result: Result) -> str | None:
        return utc_text(self.context["now"])

    def get_events_read(self, result: Result) -> int:
        return len(self.context["history"].events)

    def get_events_left_out(self, result: Result) -> int:
        return int(self.context["history"].left_out)

    @extend_schema_field({"type": ["string", "null"], "format": "date-time"})
    def get_counts_from(self, result: Result) -> str | None:
        return utc_text(self.context["history"].counts_from)

    def get_events_before(self, result: Result) -> int:
        return int(self.context["history"].arrived_before)

    def get_is_complete(self, result: Result) -> bool:
        return bool(self.context["history"].is_complete)

    @extend_schema_field(_TRACE_SCHEMA)
    def get_trace(self, result: Result) -> dict[str, Any]:
        return self._step(result.trace)

    def _step(self, step: TraceStep) -> dict[str, Any]:
        source, event_id = self.context["history"].names.get(step.event_id, (None, None))
        return {
            "path": step.path,
            "operator": step.operator,
            "operand": step.operand,
            "observed": _shown(step.observed),
            "event": {"source": source, "id": event_id} if step.event_id is not None else None,
            "result": step.result,
            "missing": step.missing,
            "note": step.note,
            "children": [self._step(child) for child in step.children],
        }


def _shown(observed: Any) -> Any:
    """Return a value of an event as JSON; as shortened text when it is no JSON, or long."""
    try:
        text = json.dumps(observed, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return value_text(observed)
    return observed if len(text) <= MAX_SHOWN_CHARACTERS else value_text(observed)
