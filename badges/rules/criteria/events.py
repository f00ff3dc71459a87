"""Events as criteria read them, and the one order in which a history is read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from badges.rules.times import instant


@dataclass(frozen=True, slots=True)
class Event:
    """
    One learning event of one learner.

    ``id`` tells events apart: two with the same id are one event. For events of several sources it is
    ``str(event_digest(source, id))``. ``occurred_at`` is a datetime that knows its offset, or RFC 3339 text; it is kept
    in UTC. ``payload`` is the event's single data object, as JSON. Raises ValueError if ``occurred_at`` is no point in
    time.
    """

    id: str
    type: str
    occurred_at: datetime
    payload: Any = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not isinstance(self.occurred_at, datetime) or self.occurred_at.tzinfo is not UTC:
            object.__setattr__(self, "occurred_at", instant(self.occurred_at))


def in_order(history: Iterable[Event]) -> list[Event]:
    """Return each event once, by time and then by id, whatever the order and number of arrivals."""
    events = list(history)
    if len(events) < 2:
        return events
    unique: dict[str, Event] = {}
    for event in events:
        known = unique.setdefault(event.id, event)
        if known is not event:
            unique[event.id] = min(known, event, key=_content)
    return sorted(unique.values(), key=_position)


def time_of(event: Event) -> datetime:
    """Return the time of an event, for a search in events that are in order."""
    return event.occurred_at


def _position(event: Event) -> tuple[datetime, str]:
    return event.occurred_at, event.id


def _content(event: Event) -> tuple[datetime, str, str]:
    # Two events with one id should be equal. If they are not, the same one must win in every order of arrival.
    return event.occurred_at, event.type, json.dumps(event.payload, sort_keys=True, default=repr)
