"""The public face of a parsed document: what it reads, how it behaves, and its answer for a history."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from badges.rules.criteria.calendar import FIRST_MOMENT, LAST_MOMENT
from badges.rules.criteria.conditions import ConditionLookup
from badges.rules.criteria.documents import read_document
from badges.rules.criteria.entries import Entry, Scope, Trigger
from badges.rules.criteria.events import Event, in_order
from badges.rules.criteria.parsing import Parser
from badges.rules.criteria.replay import Replay
from badges.rules.criteria.texts import ENGLISH, Translations
from badges.rules.criteria.trace import TraceStep, log_trace, logger, missing_of


class Result:
    """The answer for one history: ``satisfied``, and the reasons, which are worked out when they are asked for."""

    __slots__ = ("_root", "_scope", "_trace", "satisfied")

    def __init__(self, satisfied: bool, root: Entry, scope: Scope):
        self.satisfied = satisfied
        self._root = root
        self._scope = scope
        self._trace: TraceStep | None = None

    def __repr__(self) -> str:
        return f"<Result satisfied={self.satisfied}>"

    @property
    def trace(self) -> TraceStep:
        """The steps of the evaluation, as a tree. It holds what events hold, so it may be personal."""
        if self._trace is None:
            self._trace = self._root.explain(self._scope)
        return self._trace

    def missing(self, translations: Translations = ENGLISH) -> list[str]:
        """Return what is still missing, such as ``3 of 5 events``; empty if the document is satisfied."""
        return missing_of(self.trace, translations)


class Criteria:
    """
    A parsed criteria document.

    ``document`` is it as plain JSON, and ``root`` its compiled entry. ``event_types`` are those that it reads, None
    among them standing for every type, and ``figures`` the names of the engagement figures.
    """

    def __init__(self, document: dict[str, Any], root: Entry):
        self.document = document
        self.root = root
        self.event_types = root.event_types()
        self.figures = root.figures()

    def __repr__(self) -> str:
        return f"<Criteria {self.document!r}>"

    def evaluate(self, history: Iterable[Event], *, now: datetime, figures: Mapping[str, Any] | None = None) -> Result:
        """
        Return whether a learner's events satisfy the document, at a moment.

        ``history`` may be in any order and hold events twice. ``now`` is a datetime that knows its offset; it decides
        what is in moving windows. ``figures`` are the learner's engagement figures by name, for ``$stat``. Raises
        ValueError if ``now`` has no offset; never raises for what an event holds.
        """
        return self.evaluate_in_order(in_order(history), now=now, figures=figures)

    def evaluate_in_order(
        self,
        events: list[Event],
        *,
        now: datetime,
        figures: Mapping[str, Any] | None = None,
        replay: Replay | None = None,
    ) -> Result:
        """
        Return the same for events that are in order already, each once (``badges.rules.criteria.in_order``).

        ``replay`` is the same object for all evaluations of this document over one history.
        """
        scope = Scope(events, _aware(now), {} if figures is None else figures, replay=replay)
        result = Result(self.root.holds(scope), self.root, scope)
        if logger.isEnabledFor(logging.DEBUG):
            log_trace(result.trace)
        return result

    def reads(self) -> list[tuple[str, str | None]]:
        """Return the event types that it reads, each with the JSON Pointer of what names it; None is every type."""
        return list(self.root.reads())

    @property
    def monotone(self) -> bool:
        """
        Can only a new event make it true, and no event make it false again?

        False may be answered for documents that are. The answer is about histories without events later than now,
        and leaves aside that a window of months reaches back unevenly where the month before is shorter.
        """
        return self.root.grows and not self.root.turns_true

    @property
    def cumulative(self) -> bool:
        """
        Does it depend on the events alone, and do more events never make it false?

        Then what is true after an event is true after every later one. True may be withheld from documents that are.
        """
        return self.root.grows and not self.root.turns_true and not self.root.turns_false

    @property
    def needs_recheck(self) -> bool:
        """Whether it can become true by time alone, so that it has to be evaluated again without a new event."""
        return self.root.turns_true

    @property
    def asks_intervals_one_by_one(self) -> bool:
        """
        Does a ``$withinTimeWindow`` look at the events of each interval again?

        Then its work may grow with the square of the number of events; otherwise it grows with their number.
        """
        return self.root.asks_intervals_one_by_one()

    @cached_property
    def satisfied_without_events(self) -> bool:
        """Whether it is satisfied for a learner without events; then any event of the learner has to evaluate it."""
        return self.root.holds(Scope([], LAST_MOMENT, {}))

    @cached_property
    def triggers(self) -> tuple[Trigger, ...]:
        """
        Which events have to evaluate it: when it was false before and the latest event is none of them, it is false.

        Only time alone may have made it true (``needs_recheck``). For a document that is satisfied without events these
        are all events.
        """
        found = tuple(self.root.triggers())
        return (*found, Trigger(None)) if self.satisfied_without_events else found

    def is_triggered_by(self, event: Event) -> bool:
        """Return whether an event has to evaluate it."""
        return any(trigger.includes(event) for trigger in self.triggers)

    def reach(self, now: datetime) -> datetime | None:
        """
        Return the first moment of events that can matter at a moment; None if every event can, however old.

        For a document that reads no events it is ``now``.
        """
        moment = _aware(now)
        earliest = self.root.earliest(moment)
        return None if earliest == FIRST_MOMENT else min(earliest, moment)

    def next_check(self, history: Iterable[Event], *, now: datetime) -> datetime | None:
        """
        Return the next moment at which it may become true by time alone; None if it cannot.

        Before that moment nothing changes without a new event, so it need not be evaluated. At that moment it has to be
        evaluated, and asked again for the next one. Figures are not watched, because only their owner knows when they
        change.
        """
        return self.next_check_in_order(in_order(history), now=now) if self.needs_recheck else None

    def next_check_in_order(self, events: list[Event], *, now: datetime) -> datetime | None:
        """Return the same for events that are in order already, each once (``badges.rules.criteria.in_order``)."""
        moment = _aware(now)
        if not self.needs_recheck:
            return None
        following = min((clock(events, moment) for clock in self.root.clocks()), default=LAST_MOMENT)
        return None if following == LAST_MOMENT else following


def parse_criteria(document: Any, *, conditions: ConditionLookup | None = None) -> Criteria:
    """
    Return a criteria document, checked and compiled.

    ``document`` is a dictionary or JSON text. ``conditions`` finds by its slug a condition that no entry point of
    ``badges.conditions`` brings, and returns None if there is none. Raises CriteriaError, whose message says what to
    write instead.
    """
    checked = read_document(document)
    return Criteria(checked, Parser(conditions).entry(checked, ""))


def _aware(now: datetime) -> datetime:
    if now.tzinfo is UTC:
        return now
    if now.utcoffset() is None:
        raise ValueError("now needs an offset, such as datetime.now(UTC) has")
    return now.astimezone(UTC)
