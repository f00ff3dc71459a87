"""
Evaluations over more and more events of one history, which use again what was computed of the first ones.

When an event arrives late, a document is asked at every moment that follows. From one moment to the next a few events
are added, so that each event needs to be looked at once and not once for each moment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from badges.rules.criteria.events import Event

State = TypeVar("State")


@dataclass(slots=True)
class Replay:
    """
    What entries remember from one evaluation to the next, and how many events they have looked at until now.

    An entry that computes something over all its events each time counts all of them in ``looks``.
    """

    looks: int = 0
    _remembered: dict[object, tuple[list[Event], int, Any]] = field(default_factory=dict)

    def go_on(self, owner: object, events: list[Event], begin: Callable[[], State]) -> tuple[State, list[Event]]:
        """
        Return the state of an owner, which it changes, and the events that it has to add to it.

        These are the events that follow the ones of the last time. If the events do not begin with those, the state is
        begun anew and all events have to be added. Later, ``events`` may only be changed by adding events.
        """
        number, state = 0, None
        if owner in self._remembered:
            seen, number, state = self._remembered[owner]
            if seen is not events and events[:number] != seen[:number]:
                number, state = 0, None
        if state is None:
            state = begin()
        self._remembered[owner] = events, len(events), state
        added = events[number:]
        self.looks += len(added)
        return state, added
