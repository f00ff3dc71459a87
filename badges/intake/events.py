"""
Events as they come in, in the one form in which they are stored.

Kafka gives decoded Avro, files and REST give JSON, signals give Python objects. ``canonical_event`` turns all of them
into an ``Event``: it checks the data against the declared shape of the event type. ``stored_text`` writes equal events
as equal bytes. This text is what is stored, what the rules see and what ``parse_event`` reads again.

What cannot become an ``Event`` becomes an ``Unreadable``, which says why. Both become rows of the inbox; the rules see
an ``Event`` only.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import attrs
from opaque_keys import OpaqueKey
from openedx_events.data import EventsMetadata
from openedx_events.tooling import OpenEdxPublicSignal

from badges.catalog import event_types
from badges.conf import config
from badges.exceptions import EventError
from badges.rules import Shape, ShapeError, to_text
from badges.rules.times import canonical_time, instant

# The source and the id of an event: what makes it this event and no other.
Identity = tuple[str, str]

ID_LENGTH = TYPE_LENGTH = 255
TOO_LONG = f"{{name}}: expected at most {ID_LENGTH} characters"
# Stored as text, a byte of an event may take up to six bytes (control characters), and a number may take more. Fields
# that are absent are added.
# An event is written out to be measured only if it could come near the limit.
_LARGEST_GROWTH, _ADDED_FIELDS = 64, 16 * 1024

TOO_BIG = "the event takes {size} bytes; LMS_BADGES_CONFIG['intake']['event_bytes'] allows {limit}"

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class TooBigError(EventError):
    """The event is larger than one event may be. Its text is not kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """
    One learning event.

    ``source`` and ``id`` together identify it, as they do for every CloudEvent: two senders may use the same id. The
    sender gives both. ``time`` is aware and in UTC. ``data`` maps the arguments of the signal to canonical JSON values
    (``badges.rules.Shape.canonical``). ``received_from`` tells operators where the event was read, such as
    ``kafka:learning/3@1207`` or ``file:events.jsonl:17``; it identifies nothing. Raises EventError when ``source`` or
    ``id`` is longer than 255 characters.
    """

    id: str
    type: str
    time: dt.datetime
    data: Mapping[str, Any]
    source: str
    received_from: str = ""

    def __post_init__(self) -> None:
        for name, text in (("id", self.id), ("source", self.source)):
            if len(text) > ID_LENGTH:
                raise EventError(TOO_LONG.format(name=name))

    @property
    def identity(self) -> Identity:
        """The source and the id: what makes it this event."""
        return self.source, self.id


@dataclass(frozen=True, slots=True)
class Unreadable:
    """
    Something that arrived and cannot be used. It becomes a dead letter.

    ``id`` is made of where it was read, its metadata id if that could be read, and a digest of its content. So reading
    it again finds the same row, and the same event sent again and corrected is new. ``reason`` names what is wrong and
    the remedy, without personal data. ``body`` is what arrived, as text (Base64 for bytes), or None when it is too big
    to keep.
    """

    id: str
    reason: str
    received_from: str
    type: str = ""
    body: str | None = None


class Definition(Protocol):
    """What is known of an event type, as far as an event in its canonical form needs it."""

    @property
    def type(self) -> str: ...
    @property
    def shape(self) -> Shape: ...
    def canonical(self, data: Any, where: str) -> Any: ...


def canonical_event(
    definition: Definition,
    *,
    id: Any,
    source: Any,
    time: Any,
    data: Any,
    received_from: str,
    is_stored: bool = False,
) -> Event:
    """
    Return an event in its canonical form.

    ``id``, ``source``, ``time`` and ``data`` are as they arrived. Without a source it is
    ``LMS_BADGES_CONFIG["default_source"]``. With ``is_stored`` the data was accepted before, so the JSON Schema of its
    event type is not asked again. Raises EventError, which names the field and does not hold its value.
    """
    return Event(
        id=canonical_id(id),
        type=definition.type,
        time=canonical_moment(time, "time"),
        data=definition.shape.canonical(data, "data") if is_stored else definition.canonical(data, "data"),
        source=canonical_source(config.default_source if source is None else source),
        received_from=received_from,
    )


def stored_text(event: Event) -> str:
    """Return the text of an event that is stored. Equal events have equal texts."""
    return to_text(
        {
            "data": event.data,
            "id": event.id,
            "source": event.source,
            "time": canonical_time(event.time),
            "type": event.type,
        },
    )


def parse_event(text: str, *, received_from: str, source: str | None = None, is_stored: bool = False) -> Event:
    """
    Return the event of a JSON text.

    ``source`` replaces the one of the text, for senders who may not choose it. ``is_stored`` says that the event was
    accepted before, and not only kept as it arrived. Raises UnknownEventType when its type is not configured, and
    EventError when anything else is wrong.
    """
    envelope = load_envelope(text)
    definition = event_types.get(type_of(envelope))
    return event_from_envelope(definition, envelope, received_from=received_from, source=source, is_stored=is_stored)


def load_envelope(text: str) -> dict[str, Any]:
    """Return a JSON text as an envelope: id, source, type, time and data, not checked yet. Raises EventError."""
    envelope = load_json(text)
    if not isinstance(envelope, dict):
        raise EventError('not an event: expected an object {"id": …, "type": …, "time": …, "data": …}')
    if missing := [key for key in ("id", "type", "time", "data") if envelope.get(key) is None]:
        raise EventError(f"not an event: {', '.join(missing)} missing")
    return envelope


def load_json(text: str) -> Any:
    """Return what a JSON text says. Raises EventError."""
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise EventError("not an event: too many levels of JSON inside each other") from None
    except json.JSONDecodeError as error:
        raise EventError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:  # NaN, or a number with thousands of digits
        raise EventError("not JSON: it holds a number that JSON does not have, or far too many digits") from None


def type_of(envelope: Mapping[str, Any]) -> str:
    """Return the event type of an envelope. Raises EventError."""
    return canonical_type(envelope["type"])


def event_from_envelope(
    definition: Definition,
    envelope: Mapping[str, Any],
    *,
    received_from: str,
    source: str | None = None,
    is_stored: bool = False,
) -> Event:
    """
    Return the event of an envelope.

    ``source`` replaces the one of the envelope. ``is_stored`` is as for ``canonical_event``. Raises EventError.
    """
    return canonical_event(
        definition,
        id=envelope["id"],
        source=envelope.get("source") if source is None else source,
        time=envelope["time"],
        data=envelope["data"],
        received_from=received_from,
        is_stored=is_stored,
    )


def event_from_signal(
    signal: OpenEdxPublicSignal, metadata: EventsMetadata, kwargs: Mapping[str, Any], *, received_from: str = ""
) -> Event:
    """Return the event of the arguments that a receiver of a public signal got. Raises EventError."""
    definition = event_types.get(signal.event_type)
    data = {name: _plain(kwargs.get(name), f"data.{name}") for name in signal.init_data}
    return canonical_event(
        definition,
        id=metadata.id,
        source=metadata.source,
        time=metadata.time,
        data=data,
        received_from=received_from,
    )


def canonical_id(given: Any) -> str:
    """Return an event's id as it is compared: a UUID in lower case, anything else as sent. Raises EventError."""
    if isinstance(given, uuid.UUID):
        return str(given)
    text = _identifying(given, "id", "a UUID")
    return text.lower() if _UUID.fullmatch(text) else text


def canonical_source(given: Any) -> str:
    """Return the source of an event as it is compared: as sent. Raises EventError."""
    return _identifying(given, "source", "openedx/lms/web")


def _identifying(given: Any, name: str, example: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise EventError(f"{name}: expected text, such as {example}")
    if len(given) > ID_LENGTH:
        raise EventError(TOO_LONG.format(name=name))
    if not given.isprintable():
        raise EventError(f"{name}: expected printable characters only")
    return given


def unreadable_id(received_from: str, *parts: str) -> str:
    """Return an id for something unreadable: where it was read and ``parts``, or their digest if that is too long."""
    text = " ".join(filter(None, (received_from, *parts)))
    if len(text) <= ID_LENGTH and text.isprintable():
        return text
    return f"{received_from.partition(':')[0][:100]} {hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def canonical_type(given: Any) -> str:
    """Return an event type that can be shown and stored. Raises EventError when it is not text or too long."""
    if not isinstance(given, str) or not given or len(given) > TYPE_LENGTH or not given.isprintable():
        raise EventError("type: expected text, such as org.openedx.learning.course.passing.status.updated.v1")
    return given


def canonical_moment(given: Any, where: str) -> dt.datetime:
    """Return a time in UTC. ``where`` names the field in errors. Raises EventError when the time has no UTC offset."""
    try:
        return instant(given)
    except ValueError as error:
        raise ShapeError(where, f"expected {error}") from None


def stored_size(event: Event, size: int, limit: int) -> int:
    """
    Return about how many bytes an event takes when it is stored.

    ``size`` is how many bytes it had when it arrived. Raises TooBigError when it takes more than ``limit`` bytes.
    """
    if size * _LARGEST_GROWTH + _ADDED_FIELDS <= limit:
        return 2 * size + 1024
    stored = len(stored_text(event).encode())
    if stored > limit:
        raise TooBigError(TOO_BIG.format(size=stored, limit=limit))
    return stored


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# json.loads would make a decoder for every event.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


# --- Python objects of signals ---------------------------------------------------------------------------------------


def _plain(value: Any, where: str) -> Any:
    """Return Python objects as JSON values, as the bus would have sent them. Times are converted by the shape."""
    if value is None or isinstance(value, (str, bool, int, float, dt.datetime)):
        return value
    for types, convert in _CONVERSIONS:
        if isinstance(value, types):
            return convert(value, where)
    if attrs.has(type(value)):
        return {
            attribute.name: _plain(getattr(value, attribute.name), f"{where}.{attribute.name}")
            for attribute in attrs.fields(type(value))
        }
    raise EventError(f"{where}: an object of Python type {type(value).__name__} cannot be stored")


def _as_text(value: Any, where: str) -> str:
    return str(value)


def _as_list(value: Any, where: str) -> list[Any]:
    return [_plain(item, f"{where}[]") for item in value]


def _as_map(value: Any, where: str) -> dict[str, Any]:
    return {str(key): _plain(item, f"{where}.*") for key, item in value.items()}


_CONVERSIONS: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = (
    ((uuid.UUID, OpaqueKey), _as_text),
    ((list, tuple, set, frozenset), _as_list),
    (Mapping, _as_map),
)
