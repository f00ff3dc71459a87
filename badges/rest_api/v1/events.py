"""
Events by REST, of the event types that this site has defined itself, and those of other services about accounts.

Each event of a request is taken or refused by itself, and the answer says what became of each. Events of public signals
are not taken: they say what happened at the LMS, and only the LMS may say that.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers, status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from badges.api import Receipt as EventReceipt
from badges.api import Received, receive_all
from badges.catalog import event_types
from badges.catalog.models import EventType
from badges.common.openapi import Operation
from badges.common.permissions import permission
from badges.conf import config
from badges.database import retry_transient
from badges.exceptions import EventError
from badges.intake import flow_events
from badges.intake.events import ID_LENGTH, Event, canonical_event, canonical_id, canonical_type, stored_size
from badges.rest_api import views
from badges.rest_api.views import PluginAPIView
from badges.rules import ShapeError

GIVE_UP_SECONDS = 5  # seconds that a request waits for the database
REQUIRED, OPTIONAL = ("id", "type", "data"), ("time", "specversion", "datacontenttype")
SPEC_VERSION, JSON = "1.0", "application/json"


class EventThrottle(views.PerUserThrottle):
    """The limit is ``LMS_BADGES_CONFIG["rest_api"]["event_requests_per_minute"]``."""

    setting = "event_requests_per_minute"
    scope = "lms_badges_events"


class SentEventSerializer(serializers.Serializer[Any]):
    """An event, in the form of a CloudEvent. The server sets its source: `rest/` and the sender's username."""

    id = serializers.CharField(
        max_length=ID_LENGTH, help_text="Yours. An event with an id that you sent is a duplicate."
    )
    type = serializers.CharField(
        max_length=255,
        help_text="The name of an event type of this site, or of an event about an account (users.stickerClaimed.v1).",
    )
    time = serializers.DateTimeField(required=False, help_text="When it happened, by RFC 3339; by default now.")
    data = serializers.JSONField(help_text="As the JSON Schema of the event type says.")
    specversion = serializers.ChoiceField(choices=[SPEC_VERSION], required=False)
    datacontenttype = serializers.ChoiceField(choices=[JSON], required=False)


class EventErrorSerializer(serializers.Serializer[Any]):
    """What is wrong with an event."""

    field = serializers.CharField(help_text="The path in the event; empty for the whole.")
    detail = serializers.CharField(help_text="What is wrong, and what to write instead.")


class ReceivedEventSerializer(serializers.Serializer[Any]):
    """What became of an event."""

    id = serializers.CharField(allow_null=True, help_text="Null when the event has no id that can be used.")
    status = serializers.ChoiceField(choices=[receipt.value for receipt in EventReceipt])
    errors = EventErrorSerializer(
        many=True, help_text="Empty unless the event was refused. At most 20 places where its data does not fit."
    )


class ReceivedEventsSerializer(serializers.Serializer[Any]):
    """What became of the events of a request, in their order, and how many there are of each."""

    accepted = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    unknown_learner = serializers.IntegerField(help_text="Nobody here is the learner. These events may be sent again.")
    refused = serializers.IntegerField()
    events = ReceivedEventSerializer(many=True)


class EventsView(PluginAPIView):
    """Receives events."""

    operations = {
        "post": Operation(
            "events_create",
            "Send events",
            ReceivedEventsSerializer,
            status=202,
            body=PolymorphicProxySerializer(
                component_name="SentEvents",
                serializers=[SentEventSerializer, SentEventSerializer(many=True)],
                resource_type_field_name=None,
                many=False,
            ),
            problems={
                "400": "No event could be taken. `errors` has the reasons; paths begin with the index in the list.",
                "503": "The database does not answer; nothing was stored.",
            },
        )
    }
    needs = {"post": permission("send", EventType)}
    throttle_classes = [EventThrottle]

    @property
    def max_body_bytes(self) -> int:  # type: ignore[override]  # the base has a constant
        return int(config.rest_api["event_body_bytes"])

    def post(self, request: Request) -> Response:
        """
        Send one event, or a list of them.

        Each is decided soon after. One bad event does not stop the others: the status is 400 only when none could be
        taken. Sending the same request twice changes nothing: its events are duplicates then.
        """
        is_list = isinstance(request.data, list)
        given: list[Any] = request.data if is_list else [request.data]
        most = config.rest_api["events_per_request"]
        if not 0 < len(given) <= most:
            raise ValidationError([_("Send 1 to %(most)d events in one request.") % {"most": most}])
        now, source = timezone.now(), f"rest/{request.user.get_username()}"

        def store() -> tuple[list[Event | EventError], list[Received]]:
            event_types.refreshed()
            read = [_read(item, source=source, now=now) for item in given]
            return read, receive_all([event for event in read if isinstance(event, Event)], now=now)

        read, received = retry_transient(store, give_up_seconds=GIVE_UP_SECONDS)
        results = _results(given, read, received)
        if all(result["status"] == EventReceipt.REFUSED for result in results):
            raise ValidationError(_by_path(results, is_list=is_list))
        counts = {receipt.value: sum(result["status"] == receipt for result in results) for receipt in EventReceipt}
        body = ReceivedEventsSerializer({**counts, "events": results}).data
        return Response(body, status=status.HTTP_202_ACCEPTED)


def _read(given: Any, *, source: str, now: dt.datetime) -> Event | EventError:
    """Return the event that a client has sent, or what is wrong with it."""
    try:
        return _event(given, source=source, now=now)
    except EventError as error:
        return error


def _event(given: Any, *, source: str, now: dt.datetime) -> Event:
    if not isinstance(given, dict):
        raise ShapeError("", 'expected an object, such as {"id": "…", "type": "…", "data": {…}}')
    _check_names(given)
    event_id, name = canonical_id(given["id"]), canonical_type(given["type"])
    definition = flow_events.find(name) or event_types.configured().get(name)
    if event_types.find_signal(name) is not None or name.startswith(event_types.RESERVED):
        raise ShapeError("type", "events of public signals come from the LMS; send event types of this site only")
    if definition is None:
        known = "it is not active" if event_types.is_known(name) else "this site has no event type of this name"
        raise ShapeError("type", f"{known}; ask whoever administers the event types here")
    event = canonical_event(
        definition,
        id=event_id,
        source=source,
        time=now if given.get("time") is None else given["time"],
        data=given["data"],
        received_from="rest",
    )
    ahead = config.rest_api["event_minutes_ahead"]
    if event.time > now + dt.timedelta(minutes=ahead):
        raise ShapeError("time", f"expected a time that is at most {ahead} minutes ahead of the clock here")
    limit = config.intake["event_bytes"]
    stored_size(event, limit, limit)
    return event


def _check_names(given: Mapping[str, Any]) -> None:
    if "source" in given:
        raise ShapeError("source", "leave it out; it is set here, to rest/ and your username")
    missing = [ShapeError(name, "is missing") for name in REQUIRED if given.get(name) is None]
    if missing:
        raise ShapeError(missing[0].path, missing[0].expected, further=missing[1:])
    if any(name not in REQUIRED + OPTIONAL for name in given):
        raise ShapeError("", f"there is a field that events do not have; known are {', '.join(REQUIRED + OPTIONAL)}")
    for name, only in (("specversion", SPEC_VERSION), ("datacontenttype", JSON)):
        if given.get(name, only) != only:
            raise ShapeError(name, f"write {only}, or leave it out")


def _results(given: list[Any], read: list[Event | EventError], received: list[Received]) -> list[dict[str, Any]]:
    stored = iter(received)
    results: list[dict[str, Any]] = []
    for sent, event in zip(given, read, strict=True):
        if isinstance(event, EventError):
            results.append({"id": _id_of(sent), "status": EventReceipt.REFUSED, "errors": _errors(event)})
            continue
        item = next(stored)
        errors = [{"field": "", "detail": item.reason}] if item.reason else []
        results.append({"id": event.id, "status": item.receipt, "errors": errors})
    return results


def _errors(error: EventError) -> list[dict[str, str]]:
    """Return errors with their paths, which some messages begin with."""
    if isinstance(error, ShapeError):
        return [{"field": each.path, "detail": each.expected} for each in (error, *error.further)]
    field, colon, detail = str(error).partition(": ")
    if colon and field in (*REQUIRED, *OPTIONAL, "source"):
        return [{"field": field, "detail": detail}]
    return [{"field": "", "detail": str(error)}]


def _id_of(sent: Any) -> str | None:
    """Return the id that a client has sent, if it can be shown."""
    try:
        return canonical_id(sent["id"])
    except (EventError, TypeError, KeyError):
        return None


def _by_path(results: list[dict[str, Any]], *, is_list: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for index, result in enumerate(results):
        for error in result["errors"]:
            path = error["field"]
            if is_list:
                path = f"[{index}].{path}" if path else f"[{index}]"
            found.setdefault(path, []).append(error["detail"])
    return found
