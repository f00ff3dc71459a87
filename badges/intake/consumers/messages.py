"""
From a Kafka message to an event: headers, wire format, Avro.

The decoded Avro becomes the event directly. The attrs classes of openedx-events are not built in between.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from badges.conf import config
from badges.exceptions import EventError
from badges.intake.consumers.loop import Skipped, definition_of
from badges.intake.consumers.schemas import Schemas
from badges.intake.events import (
    TOO_BIG,
    TYPE_LENGTH,
    Event,
    TooBigError,
    Unreadable,
    canonical_event,
    canonical_id,
    canonical_moment,
    canonical_source,
    canonical_type,
    stored_size,
    unreadable_id,
)

# The names that event-bus-kafka gives to CloudEvents attributes.
TYPE_HEADER, ID_HEADER, SOURCE_HEADER, TIME_HEADER = "ce_type", "ce_id", "ce_source", "ce_time"
# Bytes before the Avro data: a zero byte, then the id of the schema in four bytes (Confluent's wire format).
WIRE_PREFIX = 5
BODY_KEYS = ("id", "source", "type", "time", "data")


class Message(Protocol):
    """The part of ``confluent_kafka.Message`` that is used here."""

    def topic(self) -> str: ...
    def partition(self) -> int: ...
    def offset(self) -> int: ...
    def headers(self) -> Sequence[tuple[str, bytes]] | None: ...
    def value(self) -> bytes | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def read(message: Message, schemas: Schemas, *, event_bytes: int) -> Event | Unreadable | Skipped:
    """
    Return the event of a message, or why there is none.

    A message of a type that is not configured is not decoded. An event that takes more than ``event_bytes`` is
    unreadable. Raises RegistryUnavailableError when the schema registry does not answer.
    """
    headers = Headers(message.headers() or ())
    received_from = received_from_of(message)
    value = message.value()
    body: Callable[[], str] | None = None
    try:
        event_type = canonical_type(headers.required(TYPE_HEADER))
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type)
        event_id = canonical_id(headers.required(ID_HEADER))
        if value is None:
            raise EventError("the message is empty")
        if len(value) > event_bytes:
            raise TooBigError(TOO_BIG.format(size=len(value), limit=event_bytes))
        source = canonical_source(headers.optional(SOURCE_HEADER) or config.default_source)
        time = time_of(headers.optional(TIME_HEADER), f"the {TIME_HEADER} header", message)
        data = _decode(value, schemas)
        body = _json_of(event_id, source, definition.type, time, data)
        event = canonical_event(
            definition, id=event_id, source=source, time=time, data=data, received_from=received_from
        )
        stored_size(event, len(value), event_bytes)
    except TooBigError as error:
        return unreadable(error, headers, received_from, value, None)
    except EventError as error:
        shown = body() if body else as_base64(value)
        return unreadable(
            error, headers, received_from, value, shown if shown and len(shown) <= 2 * event_bytes else None
        )
    return event


class Headers:
    """The headers of a message; names may repeat, values may be anything."""

    def __init__(self, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        self._pairs = pairs

    def required(self, name: str) -> str:
        """Return the text of a header. Raises EventError unless it is there exactly once."""
        text = self.optional(name)
        if text is None:
            raise EventError(f"the message has no {name} header")
        return text

    def optional(self, name: str) -> str | None:
        """Return the text of a header, or None. Raises EventError when it is there twice or is not UTF-8."""
        values = [value for key, value in self._pairs if key == name]
        if len(values) > 1:
            raise EventError(f"the message has several {name} headers")
        if not values or values[0] is None:
            return None
        try:
            return values[0].decode()
        except UnicodeDecodeError:
            raise EventError(f"the {name} header is not UTF-8") from None

    def printable(self, name: str) -> str:
        """Return a header if it is short and printable, else an empty text."""
        try:
            text = self.optional(name) or ""
        except EventError:
            return ""
        return text if text.isprintable() and len(text) <= TYPE_LENGTH else ""


def received_from_of(message: Message) -> str:
    """Return where a message was read, for operators."""
    return f"kafka:{message.topic()}/{message.partition()}@{message.offset()}"


def time_of(sent: Any, where: str, message: Message) -> dt.datetime:
    """Return the time of an event: the one that was sent, or the broker's. Raises EventError, which names ``where``."""
    if sent is not None:
        return canonical_moment(sent, where)
    # The header is optional on the bus. The broker's timestamp stays the same when the message is delivered again.
    kind, milliseconds = message.timestamp()
    if not kind:
        raise EventError(f"the message has neither a {TIME_HEADER} header nor a timestamp")
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)


def _decode(value: bytes, schemas: Schemas) -> Any:
    if len(value) < WIRE_PREFIX or value[0] != 0:
        raise EventError("the value does not begin with a zero byte and a schema id")
    return schemas.decoder(int.from_bytes(value[1:WIRE_PREFIX], "big"))(value, WIRE_PREFIX)


def _json_of(*parts: Any) -> Callable[[], str]:
    """Return a function that writes a decoded event as JSON. It is called only for an event that cannot be used."""

    def to_json() -> str:
        return json.dumps(dict(zip(BODY_KEYS, parts, strict=True)), default=str)

    return to_json


def as_base64(value: bytes | None) -> str | None:
    """Return bytes as text that every database stores."""
    return None if value is None else base64.b64encode(value).decode("ascii")


def unreadable(
    error: EventError, headers: Headers, received_from: str, value: bytes | None, body: str | None
) -> Unreadable:
    """Return a message that cannot be used. ``body`` is what is kept of it."""
    event_id = headers.printable(ID_HEADER)
    # The id of the row is not that of the event: a corrected event may come again under its id, and must be new then.
    # The content is part of it, because a topic that was created again, or another cluster, has the same offsets.
    row_id = unreadable_id(received_from, event_id, hashlib.sha256(value or b"").hexdigest()[:16])
    reason = f"{error} (message id {event_id})" if event_id else str(error)
    return Unreadable(
        id=row_id, reason=reason, received_from=received_from, type=headers.printable(TYPE_HEADER), body=body
    )
