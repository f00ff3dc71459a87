"""Figures: engagement figures of a learner that another package keeps, such as XP or a streak."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from badges.rules.criteria.calendar import LAST_MOMENT
from badges.rules.criteria.entries import Entry, Scope
from badges.rules.criteria.events import Event
from badges.rules.criteria.fields import PayloadCondition
from badges.rules.criteria.trace import TraceStep


class StatEntry(Entry):
    """``$stat``: the figures that the caller passes satisfy all conditions. A missing figure matches nothing."""

    operator = "$stat"
    grows = shrinks = True  # events do not change it; the caller passes new figures

    def __init__(self, path: str, conditions: tuple[PayloadCondition, ...]):
        self.path = path
        self.conditions = conditions
        self.names = frozenset(condition.keys[0] for condition in conditions)
        # A streak ends by itself, so what asks for a small one can become true by time alone.
        upward = all(condition.operator in ("$gt", "$gte") for condition in conditions)
        self.turns_true, self.turns_false = not upward, True

    def figures(self) -> frozenset[str]:
        """Return the names of the figures that it reads."""
        return self.names

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        values = self._values(scope)
        return all(condition.predicate(values) for condition in self.conditions)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return each start if the figures give the wanted answer, which events do not change."""
        size = len(scope.events)
        return list(range(size + 1)) if self.holds(scope) is wanted else [size + 1] * (size + 1)

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        figures = Event("", "", scope.now, self._values(scope))
        children = tuple(condition.explain(figures, scope.now)._replace(event_id=None) for condition in self.conditions)
        result = all(child.result for child in children)
        return TraceStep(self.path, self.operator, None, None, None, result, children=children)

    def earliest(self, now: datetime) -> datetime:
        """Return the last moment of the calendar, since it reads no events."""
        return LAST_MOMENT

    def _values(self, scope: Scope) -> dict[str, Any]:
        # Only what is read is asked for, so that the caller may compute figures when they are wanted.
        return {name: scope.figures[name] for name in self.names if name in scope.figures}
