"""
From a Kafka message of a JSON topic to an event, as CloudEvents say.

A message has one of two forms. In the binary form its headers are the attributes (``ce_type`` and so on), and its value
is the data. In the structured form it has no such headers, and its value is an object with the attributes and the data.

A third form is no CloudEvent: on a topic that is named like one of ``flow_events``, the value may be the data alone.
"""

from __future__ import annotations

import json
from typing import Any

from badges.conf import config
from badges.exceptions import EventError
from badges.intake import flow_events
from badges.intake.consumers.loop import Skipped, definition_of
from badges.intake.consumers.messages import (
    ID_HEADER,
    SOURCE_HEADER,
    TIME_HEADER,
    TYPE_HEADER,
    Headers,
    Message,
    as_base64,
    received_from_of,
    time_of,
    unreadable,
)
from badges.intake.events import (
    TOO_BIG,
    Event,
    TooBigError,
    Unreadable,
    canonical_event,
    canonical_source,
    canonical_type,
    load_json,
    stored_size,
)

REQUIRED = ("id", "type", "data")
# An object with one of these is a CloudEvent, and not the data alone.
ATTRIBUTES = {"specversion", "type", "data"}


def read(message: Message, *, event_bytes: int, bare_type: str | None = None) -> Event | Unreadable | Skipped:
    """
    Return the event of a message, or why there is none.

    An event that takes more than ``event_bytes`` is unreadable. ``bare_type`` is the type of messages of this topic
    whose value is the data alone. Raises Retryable when the database has to be asked for an event type and does not
    answer.
    """
    headers, value, received_from = Headers(message.headers() or ()), message.value(), received_from_of(message)
    body: str | None = None
    try:
        if value is None:
            raise EventError("the message is empty")
        if len(value) > event_bytes:
            raise TooBigError(TOO_BIG.format(size=len(value), limit=event_bytes))
        body = _text(value)
        envelope = _envelope(headers, load_json(body), bare_type)
        # It is kept with all its attributes, so that it can be tried again.
        body = json.dumps(envelope, ensure_ascii=False)
        time = time_of(envelope.get("time"), f"the {TIME_HEADER} header or the time", message)
        body = json.dumps({**envelope, "time": time.isoformat()}, ensure_ascii=False)
        event_type = canonical_type(envelope["type"])
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type)
        source = envelope.get("source")
        event = canonical_event(
            definition,
            id=envelope["id"],
            source=canonical_source(config.default_source if source is None else source),
            time=time,
            data=envelope["data"],
            received_from=received_from,
        )
        stored_size(event, len(value), event_bytes)
    except TooBigError as error:
        return unreadable(error, headers, received_from, value, None)
    except EventError as error:
        return unreadable(error, headers, received_from, value, _storable(body, value, event_bytes))
    return event


def _envelope(headers: Headers, content: Any, bare_type: str | None) -> dict[str, Any]:
    """Return the attributes and the data of a message. Raises EventError when it is not a CloudEvent."""
    if headers.optional(TYPE_HEADER) is not None:
        return {
            "id": headers.required(ID_HEADER),
            "source": headers.optional(SOURCE_HEADER),
            "type": headers.required(TYPE_HEADER),
            "time": headers.optional(TIME_HEADER),
            "data": content,
        }
    if not isinstance(content, dict):
        raise EventError(f"the message has no {TYPE_HEADER} header, and its value is no object with id, type and data")
    if bare_type is not None and not ATTRIBUTES & content.keys():
        return flow_events.envelope_of_bare(bare_type, content)
    if missing := [name for name in REQUIRED if content.get(name) is None]:
        raise EventError(f"not an event: {', '.join(missing)} missing; the message has no {TYPE_HEADER} header either")
    return content


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise EventError(f"not UTF-8 at byte {error.start + 1}") from None


def _storable(body: str | None, value: bytes | None, event_bytes: int) -> str | None:
    """Return what is kept of a message: its text, or Base64 where no database stores the text."""
    if body is None or "\0" in body or len(body) > 2 * event_bytes:
        return None if value is None else as_base64(value)
    return body
