"""What the consumers share: what they hand on, and what they count."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from badges.catalog import event_types
from badges.catalog.event_types import EventDefinition
from badges.exceptions import BadgesError
from badges.intake.events import Event, Unreadable

Handle = Callable[[Sequence[Event | Unreadable]], Any]
NOT_CONFIGURED = "not configured"


class ConsumerError(BadgesError):
    """The consumer cannot go on; the message says what to change before it is started again."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event of a known type that nobody configured here: not even decoded."""

    type: str


@dataclass
class Counts:
    """What a consumer has seen, besides what ``handle`` counts; ``seconds`` is how long it was at it so far."""

    read: int = 0
    unreadable: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    _began: float | None = None

    def begin(self) -> None:
        """Take note that an event is there; time counts from the first. Joining a group is not work."""
        if self._began is None:
            self._began = time.monotonic()

    def took(self) -> None:
        """Take note that all that was read is decided."""
        if self._began is not None:
            self.seconds = time.monotonic() - self._began

    def add(self, items: Sequence[Event | Unreadable | Skipped]) -> list[Event | Unreadable]:
        """Count items; return those to hand on."""
        kept: list[Event | Unreadable] = []
        for item in items:
            if isinstance(item, Skipped):
                self.skipped[item.type, NOT_CONFIGURED] += 1
            else:
                kept.append(item)
                self.unreadable += isinstance(item, Unreadable)
        self.read += len(items)
        return kept


def definition_of(event_type: str) -> EventDefinition | None:
    """
    Return the definition of an event type, or None when it is known but not configured here.

    Raises UnknownEventType when no installed package knows it: that event could never be understood.
    """
    found = event_types.configured().get(event_type)
    if found is None and not event_types.is_known(event_type):
        event_types.get(event_type)
    return found
