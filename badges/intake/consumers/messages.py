"""From a Kafka message to an event: headers, wire format, Avro. No detour through attrs objects."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from badges.exceptions import EventError
from badges.intake import payloads
from badges.intake.consumers.basics import Skipped, definition_of
from badges.intake.consumers.schemas import Schemas
from badges.intake.events import Event, Unreadable

# The names that event-bus-kafka gives to CloudEvents attributes.
TYPE_HEADER, ID_HEADER, TIME_HEADER = "ce_type", "ce_id", "ce_time"
# A zero byte, then the schema's id in four bytes.
WIRE_PREFIX = 5
BODY_KEYS = ("id", "type", "time", "data")


class Message(Protocol):
    """What is read of a ``confluent_kafka.Message``."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def headers(self) -> Sequence[tuple[str, bytes]] | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def read(message: Message, schemas: Schemas, *, event_bytes: int) -> Event | Unreadable | Skipped:
    """
    Turn a message into an event, or say why that cannot be done. Raises RegistryAwayError when it cannot be told yet.

    A message of a type that is not configured is left alone before anything of it is decoded.
    """
    headers = _Headers(message.headers() or ())
    place = f"kafka:{message.topic()}/{message.partition()}@{message.offset()}"
    value = message.value()
    body: Callable[[], str] | None = None
    try:
        event_type = payloads.canonical_type(headers.only(TYPE_HEADER))
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type)
        event_id = payloads.canonical_id(headers.only(ID_HEADER))
        if value is None:
            raise EventError("the message is empty")
        if len(value) > event_bytes:
            raise payloads.TooBigError(payloads.TOO_BIG.format(size=len(value), limit=event_bytes))
        time = _time(headers, message)
        data = _decode(value, schemas)
        body = _readable(event_id, definition.type, time, data)
        event = payloads.event_from(definition, id=event_id, time=time, data=data, source=place)
        payloads.refuse_too_big(event, len(value), event_bytes)
    except payloads.TooBigError as error:
        return _unreadable(error, headers, place, value, None)
    except EventError as error:
        shown = body() if body else _as_text(value)
        return _unreadable(error, headers, place, value, shown if shown and len(shown) <= 2 * event_bytes else None)
    return event


class _Headers:
    """The headers of a message; names may repeat, values may be anything."""

    def __init__(self, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        self._pairs = pairs

    def only(self, name: str) -> str:
        """Return the text of a header. Raises EventError unless it is there exactly once."""
        text = self.maybe(name)
        if text is None:
            raise EventError(f"the message has no {name} header")
        return text

    def maybe(self, name: str) -> str | None:
        values = [value for key, value in self._pairs if key == name]
        if len(values) > 1:
            raise EventError(f"the message has several {name} headers")
        if not values or values[0] is None:
            return None
        try:
            return values[0].decode()
        except UnicodeDecodeError:
            raise EventError(f"the {name} header is not UTF-8") from None

    def shown(self, name: str) -> str:
        """Return a header if it is fit to be shown, else nothing."""
        try:
            text = self.maybe(name) or ""
        except EventError:
            return ""
        return text if text.isprintable() and len(text) <= payloads.TYPE_LENGTH else ""


def _time(headers: _Headers, message: Message) -> dt.datetime:
    sent = headers.maybe(TIME_HEADER)
    if sent is not None:
        return payloads.moment(sent, f"the {TIME_HEADER} header")
    # The header is optional on the bus. The broker's own time stays the same when the message is delivered again.
    kind, milliseconds = message.timestamp()
    if not kind:
        raise EventError(f"the message has neither a {TIME_HEADER} header nor a timestamp")
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _decode(value: bytes, schemas: Schemas) -> Any:
    if len(value) < WIRE_PREFIX or value[0] != 0:
        raise EventError("the value does not begin with a zero byte and a schema id")
    return schemas.decoder(int.from_bytes(value[1:WIRE_PREFIX], "big"))(value, WIRE_PREFIX)


def _readable(*parts: Any) -> Callable[[], str]:
    """Return what spells a decoded event for an operator; it is made only when the event turns out to be unusable."""

    def spell() -> str:
        return json.dumps(dict(zip(BODY_KEYS, parts, strict=True)), default=str)

    return spell


def _as_text(value: bytes | None) -> str | None:
    return None if value is None else base64.b64encode(value).decode("ascii")


def _unreadable(error: EventError, headers: _Headers, place: str, value: bytes | None, body: str | None) -> Unreadable:
    event_id = headers.shown(ID_HEADER)
    # The place first: a corrected event may come again under its id, and has to be new then. The content last: a topic
    # that was made anew, and another cluster, have the same places.
    row_id = " ".join(filter(None, [place, event_id, hashlib.sha256(value or b"").hexdigest()[:16]]))
    if len(row_id) > payloads.ID_LENGTH:
        row_id = f"kafka:{hashlib.sha256(row_id.encode()).hexdigest()}"
    reason = f"{error} (message id {event_id})" if event_id else str(error)
    return Unreadable(id=row_id, reason=reason, source=place, type=headers.shown(TYPE_HEADER), body=body)
