"""
From a message of a JSON topic to an event, as CloudEvents say.

A message has one of two forms. In the binary form the bus transports the attributes beside the value (on Kafka the
headers ``ce_type`` and so on, on Redis the fields ``type`` and so on), and the value is the data. In the structured
form there is no such type, and the value is an object with the attributes and the data.

A third form is no CloudEvent: on a topic that is named like one of ``flow_events``, the value may be the data alone.
"""

from __future__ import annotations

import json
from typing import Any

from badges.conf import config
from badges.exceptions import EventError
from badges.intake import flow_events
from badges.intake.consumers.loop import Skipped, definition_of
from badges.intake.consumers.messages import Message, as_base64, unreadable
from badges.intake.events import (
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


def topics() -> frozenset[str]:
    """Return the topics whose messages are JSON, as for ``-t``: those of the settings, and those of ``flow_events``."""
    named = config.json_topics
    return frozenset({*flow_events.TYPES, *(named if isinstance(named, (list, tuple)) else ())})


def read(message: Message, *, event_bytes: int, bare_type: str | None = None) -> Event | Unreadable | Skipped:
    """
    Return the event of a message, or why there is none.

    An event that takes more than ``event_bytes`` is unreadable. ``bare_type`` is the type of messages of this topic
    whose value is the data alone. Raises Retryable when the database has to be asked for an event type and does not
    answer.
    """
    value, time_name = message.value, message.attributes.name("time")
    body: str | None = None
    try:
        value = message.content(event_bytes)
        body = _text(value)
        envelope = _envelope(message, load_json(body), bare_type)
        # It is kept with all its attributes, so that it can be tried again.
        body = json.dumps(envelope, ensure_ascii=False)
        time = message.time(envelope.get("time"), f"the {time_name} or the time")
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
            received_from=message.received_from,
        )
        stored_size(event, len(value), event_bytes)
    except TooBigError as error:
        return unreadable(error, message, None)
    except EventError as error:
        return unreadable(error, message, _storable(body, value, event_bytes))
    return event


def _envelope(message: Message, content: Any, bare_type: str | None) -> dict[str, Any]:
    """Return the attributes and the data of a message. Raises EventError when it is not a CloudEvent."""
    attributes = message.attributes
    if attributes.optional("type") is not None:
        return {
            "id": attributes.required("id"),
            "source": attributes.optional("source"),
            "type": attributes.required("type"),
            "time": attributes.optional("time"),
            "data": content,
        }
    type_name = attributes.name("type")
    if not isinstance(content, dict):
        raise EventError(f"the message has no {type_name}, and its value is no object with id, type and data")
    if bare_type is not None and not ATTRIBUTES & content.keys():
        return flow_events.envelope_of_bare(bare_type, content, bus=message.bus)
    if missing := [name for name in REQUIRED if content.get(name) is None]:
        raise EventError(f"not an event: {', '.join(missing)} missing; the message has no {type_name} either")
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
