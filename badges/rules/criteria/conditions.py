"""
Conditions: functions that documents name by a slug, and the registry that finds them.

Another package brings one behind an entry point of the group ``badges.conditions``; the name of the entry point is the
slug. It is a function ``(event, history, params) -> bool`` with an attribute ``event_types``, and optionally
``check_params(params)``, which raises ValueError saying what is accepted. Whoever keeps conditions elsewhere, such as
in rows with JavaScript, gives ``parse_criteria`` a look-up of its own, which returns ``Condition`` objects.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from badges.common.entry_points import EntryPointLoader
from badges.exceptions import BadgesError
from badges.rules.criteria.calendar import FIRST_MOMENT
from badges.rules.criteria.entries import Scope, SelectingEntry, Selection
from badges.rules.criteria.events import Event
from badges.rules.criteria.pointers import below
from badges.rules.criteria.trace import TraceStep
from badges.rules.errors import CriteriaError

ENTRY_POINT_GROUP = "badges.conditions"
MAX_HISTORY = 1000

logger = logging.getLogger("badges.rules.criteria")


class UnknownCondition(BadgesError):
    """No condition has this slug, or the package that brings it cannot be loaded."""


@dataclass(frozen=True)
class Condition:
    """
    A condition that documents can name.

    ``holds(event, history, params)`` answers with a boolean; ``history`` is the learner's events of ``event_types`` up
    to and including that event, newest first, at most 1,000. It may raise CriteriaError of the kind ``sandbox`` when
    the process where it runs stopped it; that is "no match", as is every other exception. ``check_params`` raises
    ValueError with what is accepted.
    """

    slug: str
    holds: Callable[[Event, list[Event], dict[str, Any]], Any]
    event_types: Collection[str] = ()
    check_params: Callable[[dict[str, Any]], object] | None = None


ConditionLookup = Callable[[str], Condition | None]


class ConditionEntry(SelectingEntry):
    """``$condition``: the condition holds for some one of the events that it is asked about."""

    operator = "$condition"

    def __init__(self, path: str, condition: Condition, params: dict[str, Any], selections: tuple[Selection, ...]):
        self.path = path
        self.condition = condition
        self.params = params
        self.selections = selections
        self.written = condition.slug
        self._history_types = frozenset(condition.event_types) or {one.event_type for one in selections}
        self.settle(grows=False, shrinks=False)

    def reads(self) -> Iterator[tuple[str, str | None]]:
        """Yield the event types that it reads, those of the history included, with the paths that name them."""
        yield from super().reads()
        for event_type in sorted(self.condition.event_types):
            yield below(self.path, "type"), event_type

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return any(self._ask(position, event, scope)[0] for position, event in self._events(scope))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons: the event that satisfies it, or the latest one asked about."""
        event, note = None, "there is no such event"
        for position, event in self._events(scope):
            result, note = self._ask(position, event, scope)
            if result:
                return TraceStep(self.path, self.operator, self.written, event.type, event.id, True)
        if event is None:
            return TraceStep(self.path, self.operator, self.written, None, None, False, note=note)
        return TraceStep(self.path, self.operator, self.written, event.type, event.id, False, note=note)

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that can matter; the history knows no bound."""
        return FIRST_MOMENT

    def _events(self, scope: Scope) -> Iterator[tuple[int, Event]]:
        scope.look(len(scope.events))
        for position, event in enumerate(scope.events):
            if any(one.matches(event, scope.now) for one in self.selections):
                yield position, event

    def _ask(self, position: int, event: Event, scope: Scope) -> tuple[bool, str]:
        try:
            answer = self.condition.holds(event, self._history(position, scope), self.params)
        except CriteriaError as error:
            return False, f"{error.kind}: {error.message}"
        except Exception as error:
            # Another package's code must not keep all other badges from their learners. No values: they may be
            # personal.
            logger.error("The condition %s failed: %s", self.condition.slug, type(error).__name__)
            return False, f"the condition failed: {type(error).__name__}"
        if not isinstance(answer, bool):
            return False, "the condition returned no boolean"
        return answer, ""

    def _history(self, position: int, scope: Scope) -> list[Event]:
        earlier = (scope.events[each] for each in range(position, -1, -1))
        history = list(islice((event for event in earlier if event.type in self._history_types), MAX_HISTORY))
        scope.look(len(history))
        return history


# --- the registry ----------------------------------------------------------------------------------------------------


functions: EntryPointLoader[Callable[..., Any]] = EntryPointLoader(
    ENTRY_POINT_GROUP,
    noun="condition",
    kind=Callable,  # type: ignore[arg-type]  # any callable will do
    kind_name="function",
    error=UnknownCondition,
    remedy="use another condition",
)


def find_condition(slug: str, lookup: ConditionLookup | None = None) -> Condition:
    """Return the condition with a slug: of an entry point, else of the look-up. Raises UnknownCondition."""
    if slug in functions.names():
        return _condition(slug)
    found = lookup(slug) if lookup else None
    if found is None:
        known = ", ".join(condition_slugs()) or "none is installed"
        raise UnknownCondition(f"there is no condition {slug!r}; entry points of {ENTRY_POINT_GROUP}: {known}")
    return found


def condition_slugs() -> list[str]:
    """Return the slugs of the conditions that installed packages bring; loads none of them."""
    return functions.names()


def _condition(slug: str) -> Condition:
    function = functions.get(slug)
    types = getattr(function, "event_types", ())
    if isinstance(types, str) or not all(isinstance(name, str) for name in types):
        raise UnknownCondition(f"the condition {slug!r} has event_types that are no list of event types")
    return Condition(slug, function, tuple(types), getattr(function, "check_params", None))
