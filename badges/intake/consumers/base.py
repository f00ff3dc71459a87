"""What the consumers share: the callback that gets their batches, and what they count."""

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

# Gets a batch. Returns when everything that it decided is committed. Raises Retryable when nothing may be acknowledged.
Handle = Callable[[Sequence[Event | Unreadable]], Any]
NOT_CONFIGURED = "not configured"


class ConsumerError(BadgesError):
    """The consumer cannot go on; the message says what to change before it is started again."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event of a known type that is not configured here. It was not decoded."""

    type: str


@dataclass
class Counts:
    """
    What a consumer has read.

    ``skipped`` counts by event type and reason. ``seconds`` is the time from the first event to the end of the last
    batch.
    """

    read: int = 0
    unreadable: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    _began: float | None = None

    def begin(self) -> None:
        """Note that an event has arrived. Time counts from the first one, so joining a consumer group is left out."""
        if self._began is None:
            self._began = time.monotonic()

    def end_batch(self) -> None:
        """Note that everything that was read is decided."""
        if self._began is not None:
            self.seconds = time.monotonic() - self._began

    def add(self, items: Sequence[Event | Unreadable | Skipped]) -> list[Event | Unreadable]:
        """Count items; return those that ``handle`` has to get."""
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

    Raises UnknownEventType when no installed package defines it, and it is no event type of this site. Raises Retryable
    when the database has to be asked for one, and does not answer.
    """
    found = event_types.find(event_type)
    if found is None and not event_types.is_known(event_type):
        event_types.get(event_type)
    return found
