"""
The one stored form of an event, whichever door it came in by.

Kafka hands over decoded Avro, files and REST hand over JSON, signals hand over live objects. All of them pass through
``event_from``, which checks them against the declared shape of their event type; ``stored_text`` then spells equal
events with equal bytes. That text is what is kept, what rules see and what ``parse`` reads again.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import attrs
from opaque_keys import OpaqueKey

from badges.catalog import event_types
from badges.catalog.event_types import EventDefinition
from badges.exceptions import EventError
from badges.intake.events import Event
from badges.rules import ShapeError, to_text
from badges.rules.times import canonical_time

ID_LENGTH = TYPE_LENGTH = SOURCE_LENGTH = 255
# Each byte of an event may take up to six in its text (control characters), and numbers more; absent fields are added.
# Only what could come near the limit is spelled out to be measured.
_WORST_GROWTH, _ADDED_FIELDS = 64, 16 * 1024

TOO_BIG = "the event takes {size} bytes; BADGES_CONFIG['intake']['event_bytes'] allows {limit}"

_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


class TooBigError(EventError):
    """The event is larger than one event may be; it is not kept."""


def event_from(definition: EventDefinition, *, id: Any, time: Any, data: Any, source: str) -> Event:
    """Return the event in its canonical form. Raises EventError, which names the field and holds no value of it."""
    if len(source) > SOURCE_LENGTH:
        raise EventError(f"source: expected at most {SOURCE_LENGTH} characters")
    return Event(
        id=canonical_id(id),
        type=definition.type,
        time=moment(time, "time"),
        data=definition.shape.canonical(data, "data"),
        source=source,
    )


def stored_text(event: Event) -> str:
    """Return the text that is stored: one spelling for equal events."""
    return to_text(
        {"data": event.data, "id": event.id, "time": canonical_time(event.time), "type": event.type},
    )


def parse(text: str, source: str) -> Event:
    """
    Read an event from JSON text: a stored event, a line of an event file, a body of the REST API.

    Raises UnknownEventType when its type is not configured, and EventError for anything else that is wrong.
    """
    envelope = load(text)
    definition = event_types.get(type_of(envelope))
    return read(definition, envelope, source=source)


def load(text: str) -> dict[str, Any]:
    """Read JSON text as an event's envelope. Raises EventError."""
    try:
        envelope = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise EventError("not an event: too many levels of JSON inside each other") from None
    except json.JSONDecodeError as error:
        raise EventError(f"not JSON: {error.msg} at character {error.pos + 1}") from None
    except ValueError:  # NaN, or a number with thousands of digits
        raise EventError("not JSON: it holds a number that JSON does not have, or far too many digits") from None
    if not isinstance(envelope, dict):
        raise EventError('not an event: expected an object {"id": …, "type": …, "time": …, "data": …}')
    if missing := [key for key in ("id", "type", "time", "data") if envelope.get(key) is None]:
        raise EventError(f"not an event: {', '.join(missing)} missing")
    return envelope


def type_of(envelope: Mapping[str, Any]) -> str:
    """Return the event type of an envelope. Raises EventError."""
    return canonical_type(envelope["type"])


def read(definition: EventDefinition, envelope: Mapping[str, Any], *, source: str) -> Event:
    """Turn an envelope into an event of a definition. Raises EventError."""
    return event_from(definition, id=envelope["id"], time=envelope["time"], data=envelope["data"], source=source)


def from_signal(signal: Any, metadata: Any, kwargs: Mapping[str, Any], *, source: str = "") -> Event:
    """Turn what a receiver of a public signal got into an event. Raises EventError."""
    definition = event_types.get(signal.event_type)
    data = {name: _plain(kwargs.get(name), f"data.{name}") for name in signal.init_data}
    return event_from(definition, id=metadata.id, time=metadata.time, data=data, source=source)


def canonical_id(given: Any) -> str:
    """Return an event's id as it is compared: UUIDs in lower case, anything else exactly as sent. Raises EventError."""
    if isinstance(given, uuid.UUID):
        return str(given)
    if not isinstance(given, str) or not given.strip():
        raise EventError("id: expected text, such as a UUID")
    if len(given) > ID_LENGTH:
        raise EventError(f"id: expected at most {ID_LENGTH} characters")
    if not given.isprintable():
        raise EventError("id: expected printable characters only")
    return given.lower() if _UUID.fullmatch(given) else given


def canonical_type(given: Any) -> str:
    """Return an event type that can be shown and stored. Raises EventError."""
    if not isinstance(given, str) or not given or len(given) > TYPE_LENGTH or not given.isprintable():
        raise EventError("type: expected text, such as org.openedx.learning.course.passing.status.updated.v1")
    return given


def moment(given: Any, where: str) -> dt.datetime:
    """Return a time that knows its offset, in UTC. Raises EventError."""
    try:
        return dt.datetime.fromisoformat(canonical_time(given))
    except ValueError as error:
        raise ShapeError(where, f"expected {error}") from None


def refuse_too_big(event: Event, size: int, limit: int) -> int:
    """
    Return about how many bytes the event takes when stored. Raises EventError if that is over the limit.

    ``size`` is what it had when it arrived.
    """
    if size * _WORST_GROWTH + _ADDED_FIELDS <= limit:
        return 2 * size + 1024
    stored = len(stored_text(event).encode())
    if stored > limit:
        raise TooBigError(TOO_BIG.format(size=stored, limit=limit))
    return stored


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


# --- live objects ----------------------------------------------------------------------------------------------------


def _plain(value: Any, where: str) -> Any:
    """Turn live objects into what JSON has, as the bus would have carried them. Times are left to the shape."""
    if value is None or isinstance(value, (str, bool, int, float, dt.datetime)):
        return value
    for known, spell in _SPELLINGS:
        if isinstance(value, known):
            return spell(value, where)
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


_SPELLINGS: tuple[tuple[Any, Callable[[Any, str], Any]], ...] = (
    ((uuid.UUID, OpaqueKey), _as_text),
    ((list, tuple, set, frozenset), _as_list),
    (Mapping, _as_map),
)
