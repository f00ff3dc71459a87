"""How often something happens: in how many periods, and how the numbers per period go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from badges.rules.criteria.calendar import Periods, local_day
from badges.rules.criteria.entries import Clock, Scope, SelectingEntry, Selection, ends_of_number, spread
from badges.rules.criteria.replay import Replay
from badges.rules.criteria.thresholds import Number, Threshold, shown
from badges.rules.criteria.trace import TraceStep

MAX_PERIODS = 10_000
_SATURDAY = 5


class PeriodEntry(SelectingEntry):
    """``$timePeriod``: in how many distinct periods something happened."""

    operator = "$timePeriod"

    def __init__(
        self,
        path: str,
        selection: Selection,
        *,
        periods: Periods,
        threshold: Threshold,
        exclude_weekends: bool,
        holidays: frozenset[date],
    ):
        self.path = path
        self.selection = selection
        self.selections = (selection,)
        self.periods = periods
        self.threshold = threshold
        self.exclude_weekends = exclude_weekends
        self.holidays = holidays
        self.written = periods.type
        self.settle(grows=threshold.upward, shrinks=threshold.downward)

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return self.threshold.holds(self._number(scope))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        number = self._number(scope)
        children = self.threshold.explain(number, "periods")
        result = all(child.result for child in children)
        return TraceStep(self.path, self.operator, self.written, number, None, result, children=children)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        positions = self.selection.positions(scope)
        moments = [scope.events[position].occurred_at for position in positions]
        keys = [self.periods.number(moment) if self._counts(moment) else None for moment in moments]
        ends = ends_of_number(keys, lambda number: self.threshold.holds(number) is wanted)
        return spread(ends, positions, len(scope.events))

    def _number(self, scope: Scope) -> int:
        events = self.selection.pick(scope)
        scope.look(len(events))
        moments = (event.occurred_at for event in events)
        return len({self.periods.number(moment) for moment in moments if self._counts(moment)})

    def _counts(self, moment: datetime) -> bool:
        if not self.exclude_weekends and not self.holidays:
            return True
        day = local_day(moment, self.periods.zone)
        return not (self.exclude_weekends and day.weekday() >= _SATURDAY) and day not in self.holidays


# --- patterns --------------------------------------------------------------------------------------------------------


class Consistent(NamedTuple):
    """No period deviates from the mean by more than a part of it."""

    max_deviation: Number

    def holds(self, counts: list[int]) -> bool:
        """Return whether the numbers per period follow the pattern."""
        # Multiplied by how many there are, the mean is the sum: no division, nothing is rounded.
        total, length = sum(counts), len(counts)
        return max(max(counts) * length - total, total - min(counts) * length) <= self.max_deviation * total


class Increasing(NamedTuple):
    """A positive slope; a mean change per step of at least some percent; with ``strict``, every step goes up."""

    strict: bool
    min_percent: Number

    def holds(self, counts: list[int]) -> bool:
        """Return whether the numbers per period follow the pattern."""
        steps = list(pairwise(counts))
        if self.strict and any(after <= before for before, after in steps):
            return False
        return _slope_sign(counts) > 0 and sum(_percent(*step) for step in steps) >= self.min_percent * len(steps)


class Decreasing(NamedTuple):
    """Every step goes down, and none by more than some percent."""

    max_percent: Number

    def holds(self, counts: list[int]) -> bool:
        """Return whether the numbers per period follow the pattern."""
        steps = pairwise(counts)
        return all(after < before and -_percent(before, after) <= self.max_percent for before, after in steps)


Pattern = Consistent | Increasing | Decreasing


def _slope_sign(counts: list[int]) -> int:
    """The least-squares slope times a positive number."""
    length = len(counts)
    return sum((2 * position - length + 1) * count for position, count in enumerate(counts))


def _percent(before: int, after: int) -> Fraction:
    """The change in percent; from nothing to something it is 100."""
    if before:
        return Fraction(100 * (after - before), before)
    return Fraction(100 if after else 0)


class PatternEntry(SelectingEntry):
    """``$pattern``: how the numbers of events per period go, empty periods in between being zero."""

    operator = "$pattern"

    def __init__(
        self,
        path: str,
        selection: Selection,
        *,
        periods: Periods,
        name: str,
        pattern: Pattern,
        min_periods: int,
        include_current: bool,
    ):
        self.path = path
        self.selection = selection
        self.selections = (selection,)
        self.periods = periods
        self.pattern = pattern
        self.min_periods = min_periods
        self.include_current = include_current
        self.written = name
        self.settle(grows=False, shrinks=False)
        # The end of a period makes it count.
        self.turns_true = self.turns_true or not include_current
        self.turns_false = self.turns_false or not include_current

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return self._follows(self._counts(scope)) if scope.replay is None else self._goes_on(scope, scope.replay)

    def _follows(self, counts: list[int] | None) -> bool:
        return counts is not None and len(counts) >= self.min_periods and self.pattern.holds(counts)

    def _goes_on(self, scope: Scope, replay: Replay) -> bool:
        """The same answer, which changes only when a period has ended or an event has come into one that counts."""
        progress, added = replay.go_on(self, self.selection.pick(scope), _Progress)
        last = self._last(scope)
        numbers = [self.periods.number(event.occurred_at) for event in added]
        progress.events.update(numbers)
        if progress.answer is None or last != progress.last or any(number <= last for number in numbers):
            scope.look(len(progress.events))
            progress.answer, progress.last = self._follows(self._between(progress.events, last)), last
        return progress.answer

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with the numbers per period."""
        counts = self._counts(scope)
        if counts is None:
            note = f"the events lie more than {MAX_PERIODS} periods apart"
            return TraceStep(self.path, self.operator, self.written, None, None, False, note=note)
        if len(counts) < self.min_periods:
            return TraceStep(
                self.path,
                self.operator,
                self.written,
                counts,
                None,
                False,
                children=(
                    TraceStep(f"{self.path}/minPeriods", "$gte", self.min_periods, len(counts), None, False, "periods"),
                ),
            )
        return TraceStep(self.path, self.operator, self.written, counts, None, self.pattern.holds(counts))

    def clocks(self) -> Iterator[Clock]:
        """Yield what can change by time alone."""
        yield from super().clocks()
        yield lambda events, now: self.periods.end(self.periods.number(now))

    def _counts(self, scope: Scope) -> list[int] | None:
        events = self.selection.pick(scope)
        scope.look(len(events))
        return self._between(Counter(self.periods.number(event.occurred_at) for event in events), self._last(scope))

    def _last(self, scope: Scope) -> int:
        """The last period that counts. What has not begun yet does not, whatever the clock of the sender said."""
        current = self.periods.number(scope.now)
        return current if self.include_current else current - 1

    def _between(self, numbers: Mapping[int, int], last: int) -> list[int] | None:
        """The numbers of events in all periods up to the last; None if there are too many."""
        known = [number for number in numbers if number <= last]
        if not known:
            return []
        first, final = min(known), max(known)
        if final - first >= MAX_PERIODS:
            return None
        return [numbers.get(number, 0) for number in range(first, final + 1)]


@dataclass(slots=True)
class _Progress:
    """
    How far a pattern was looked at in a replay.

    ``events`` are how many events there are in each period. ``answer`` is the answer up to the period ``last``, None if
    it is not known.
    """

    events: Counter[int] = field(default_factory=Counter)
    last: int = 0
    answer: bool | None = None


# --- figures over values ---------------------------------------------------------------------------------------------


class AggregateEntry(SelectingEntry):
    """``$aggregate``: the least, greatest, mean, sum or number of the numbers that events hold at a field."""

    operator = "$aggregate"

    def __init__(
        self, path: str, selection: Selection, *, kind: str, field: str | None, find: Any, threshold: Threshold
    ):
        self.path = path
        self.selection = selection
        self.selections = (selection,)
        self.kind = kind
        self.field = field
        self.find = find
        self.threshold = threshold
        self.written = kind
        self.settle(
            # One more number never makes the greatest smaller, and never the least greater.
            grows=(kind in ("max", "count") and threshold.upward) or (kind == "min" and threshold.downward),
            shrinks=kind == "count" and threshold.downward,
        )

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        number = self._number(scope)
        return number is not None and self.threshold.holds(number)

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        number = self._number(scope)
        subject = "events" if self.kind == "count" else f"{self.kind} {self.field}"
        children = self.threshold.explain(number, subject)
        result = number is not None and all(child.result for child in children)
        note = "there is no number" if number is None else ""
        observed = None if number is None else shown(number)
        return TraceStep(self.path, self.operator, self.written, observed, None, result, note=note, children=children)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        positions, find = self.selection.positions(scope), self.find
        if find is not None:
            found = ((each, _exact(find(scope.events[each].payload))) for each in positions)
            numbers = {each: number for each, number in found if number is not None}
            positions = list(numbers)
        if self.kind == "count":
            ends = ends_of_number(positions, lambda number: self.threshold.holds(number) is wanted)
        else:
            # The greatest or the least of some numbers satisfies the threshold as soon as one of them does.
            positions = [each for each in positions if self.threshold.holds(numbers[each])]
            ends = ends_of_number(positions, bool)
        return spread(ends, positions, len(scope.events))

    def _number(self, scope: Scope) -> Number | None:
        events = self.selection.pick(scope)
        if self.find is None:
            return len(events)
        scope.look(len(events))
        return _AGGREGATES[self.kind](
            [number for event in events if (number := _exact(self.find(event.payload))) is not None]
        )


def _exact(value: Any) -> Number | None:
    if type(value) is int:
        return value
    if type(value) is float and value - value == 0:
        return int(value) if value.is_integer() else Fraction(repr(value))
    return None


def _mean(numbers: list[Number]) -> Number | None:
    return Fraction(sum(numbers)) / len(numbers) if numbers else None


_AGGREGATES: dict[str, Callable[[list[Number]], Number | None]] = {
    "min": lambda numbers: min(numbers, default=None),
    "max": lambda numbers: max(numbers, default=None),
    "avg": _mean,
    "sum": lambda numbers: sum(numbers),
    "count": len,
}
