"""
From a message of Avro to an event. The buses differ in how they transport attributes, and in how Avro is decoded.

The decoded Avro becomes the event directly. The attrs classes of openedx-events are not built in between.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from badges.conf import config
from badges.exceptions import EventError
from badges.intake.consumers.loop import Skipped, definition_of
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

BODY_KEYS = ("id", "source", "type", "time", "data")

# Decodes the value of a message of an event type. Raises EventError, or Retryable when that is not possible now.
Decode = Callable[[str, bytes], Any]


class Attributes:
    """
    The attributes of an event, as the message of a bus has them beside its value.

    ``pairs`` are names with values; names may repeat, values may be anything. ``prefix`` is what the bus puts before
    the names, and ``kind`` is what it calls a pair: Kafka has the header ``ce_type``, Redis the field ``type``.
    """

    def __init__(self, pairs: Iterable[tuple[str, bytes | None]], *, prefix: str, kind: str) -> None:
        self._pairs = pairs
        self._prefix = prefix
        self._kind = kind

    def name(self, attribute: str) -> str:
        """Return what the bus calls an attribute, for error messages."""
        return f"{self._prefix}{attribute} {self._kind}"

    def required(self, attribute: str) -> str:
        """Return the text of an attribute. Raises EventError unless it is there exactly once."""
        text = self.optional(attribute)
        if text is None:
            raise EventError(f"the message has no {self.name(attribute)}")
        return text

    def optional(self, attribute: str) -> str | None:
        """Return the text of an attribute, or None. Raises EventError when it is there twice or is not UTF-8."""
        wanted = self._prefix + attribute
        values = [value for key, value in self._pairs if key == wanted]
        if len(values) > 1:
            raise EventError(f"the message has several {self._prefix}{attribute} {self._kind}s")
        if not values or values[0] is None:
            return None
        try:
            return values[0].decode()
        except UnicodeDecodeError:
            raise EventError(f"the {self.name(attribute)} is not UTF-8") from None

    def printable(self, attribute: str) -> str:
        """Return an attribute if it is short and printable, else an empty text."""
        try:
            text = self.optional(attribute) or ""
        except EventError:
            return ""
        return text if text.isprintable() and len(text) <= TYPE_LENGTH else ""


@dataclass(frozen=True, slots=True)
class Message:
    """
    A message of a bus, as far as its event is concerned.

    ``received_from`` tells operators where it was read: the bus, a colon and the place. ``stored_at`` is when the
    broker got it, in milliseconds since 1970, or None. ``missing`` says what is wrong when there is no value.
    """

    attributes: Attributes
    value: bytes | None
    received_from: str
    stored_at: int | None
    missing: str = "the message is empty"

    @property
    def bus(self) -> str:
        """The name of the bus."""
        return self.received_from.partition(":")[0]

    def content(self, event_bytes: int) -> bytes:
        """Return the value. Raises EventError when there is none or when it is longer than ``event_bytes``."""
        if self.value is None:
            raise EventError(self.missing)
        if len(self.value) > event_bytes:
            raise TooBigError(TOO_BIG.format(size=len(self.value), limit=event_bytes))
        return self.value

    def time(self, sent: Any, where: str) -> dt.datetime:
        """Return the time of an event: the one that was sent, else the broker's. Raises EventError with ``where``."""
        if sent is not None:
            return canonical_moment(sent, where)
        # The time is optional on the bus. The broker's timestamp stays the same when the message is delivered again.
        if self.stored_at is None:
            raise EventError(f"the message has neither a {self.attributes.name('time')} nor a timestamp")
        try:
            return dt.datetime.fromtimestamp(self.stored_at / 1000, dt.UTC)
        except (ValueError, OverflowError, OSError):  # such as one in microseconds
            raise EventError(
                f"the message has no {self.attributes.name('time')}, and its timestamp is no time"
            ) from None


def read(message: Message, decode: Decode, *, event_bytes: int) -> Event | Unreadable | Skipped:
    """
    Return the event of a message, or why there is none.

    A message of a type that is not configured is not decoded. An event that takes more than ``event_bytes`` is
    unreadable. Raises what ``decode`` raises when nothing can be decoded now.
    """
    attributes = message.attributes
    body: Callable[[], str] | None = None
    try:
        event_type = canonical_type(attributes.required("type"))
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type)
        event_id = canonical_id(attributes.required("id"))
        value = message.content(event_bytes)
        source = canonical_source(attributes.optional("source") or config.default_source)
        time = message.time(attributes.optional("time"), f"the {attributes.name('time')}")
        data = decode(event_type, value)
        body = _json_of(event_id, source, definition.type, time, data)
        event = canonical_event(
            definition, id=event_id, source=source, time=time, data=data, received_from=message.received_from
        )
        stored_size(event, len(value), event_bytes)
    except TooBigError as error:
        return unreadable(error, message, None)
    except EventError as error:
        shown = body() if body else as_base64(message.value)
        return unreadable(error, message, shown if shown and len(shown) <= 2 * event_bytes else None)
    return event


def _json_of(*parts: Any) -> Callable[[], str]:
    """Return a function that writes a decoded event as JSON. It is called only for an event that cannot be used."""

    def to_json() -> str:
        return json.dumps(dict(zip(BODY_KEYS, parts, strict=True)), default=str)

    return to_json


def as_base64(value: bytes | None) -> str | None:
    """Return bytes as text that every database stores."""
    return None if value is None else base64.b64encode(value).decode("ascii")


def unreadable(error: EventError, message: Message, body: str | None) -> Unreadable:
    """Return a message that cannot be used. ``body`` is what is kept of it."""
    event_id = message.attributes.printable("id")
    # The id of the row is not that of the event: a corrected event may come again under its id, and must be new then.
    # The content is part of it, because a topic that was created again, or another cluster, has the same places.
    digest = hashlib.sha256(message.value or b"").hexdigest()[:16]
    return Unreadable(
        id=unreadable_id(message.received_from, event_id, digest),
        reason=f"{error} (message id {event_id})" if event_id else str(error),
        received_from=message.received_from,
        type=message.attributes.printable("type"),
        body=body,
    )
