"""Windows: an entry over the events inside a stretch of time, or inside some stretch of a given length."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import NamedTuple

from badges.rules.criteria.calendar import LAST_MOMENT, Last, Length, local_day
from badges.rules.criteria.entries import Clock, Entry, Scope, Trigger, passing, spread
from badges.rules.criteria.events import Event, time_of
from badges.rules.criteria.trace import TraceStep, closeness

_SATURDAY = 5


class WindowEntry(Entry):
    """``$timeWindow``: an entry over the events between two moments, or in the last days, weeks, months or years."""

    operator = "$timeWindow"

    def __init__(
        self,
        path: str,
        flow: Entry,
        *,
        start: datetime | None,
        end: datetime | None,
        last: Last | None,
        business_days_only: bool,
        zone: tzinfo,
    ):
        self.path = path
        self.flow = flow
        self.start, self.end, self.last = start, end, last
        self.business_days_only = business_days_only
        self.zone = zone
        self.written = f"{last.number}{last.unit}" if last else None
        self.grows, self.shrinks = flow.grows, flow.shrinks
        # Events only leave a moving window, as long as none is later than now.
        self.turns_true = flow.turns_true or (last is not None and not flow.grows)
        self.turns_false = flow.turns_false or (last is not None and not flow.shrinks)

    def children(self) -> tuple[Entry, ...]:
        """Return the entries inside this one."""
        return (self.flow,)

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return self.flow.holds(self._inside(scope))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        inside = self._inside(scope)
        child = self.flow.explain(inside)
        note = f"{len(inside.events)} of {len(scope.events)} events are in the window"
        return TraceStep(self.path, self.operator, self.written, None, None, child.result, note=note, children=(child,))

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that can matter."""
        inside = self.flow.earliest(now)
        start = self._start(now)
        return inside if start is None else max(inside, start)

    def clocks(self) -> Iterator[Clock]:
        """Yield what can change by time alone."""
        yield from self.flow.clocks()
        if self.last:
            shift = self.last.shift
            yield passing(lambda now: shift.before(now, self.zone))
            yield _next_event

    def _start(self, now: datetime) -> datetime | None:
        return self.last.shift.before(now, self.zone) if self.last else self.start

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        positions = self._positions(scope)
        inside = scope.over([scope.events[position] for position in positions])
        return spread(self.flow.first_ends(inside, wanted), positions, len(scope.events))

    def _inside(self, scope: Scope) -> Scope:
        return scope.over([scope.events[position] for position in self._positions(scope)])

    def _positions(self, scope: Scope) -> list[int]:
        scope.look(len(scope.events))
        start, end = self._start(scope.now), scope.now if self.last else self.end
        return [
            position
            for position, event in enumerate(scope.events)
            if (start is None or event.occurred_at >= start)
            and (end is None or event.occurred_at <= end)
            and not (self.business_days_only and local_day(event.occurred_at, self.zone).weekday() >= _SATURDAY)
        ]


# Intervals are asked one by one until they have held so many events together, if more events can make them false again.
MAX_IN_INTERVALS = 1_000_000


class _Interval(NamedTuple):
    """The events from one position to another. ``begin`` is the first of them."""

    begin: Event
    start: int
    stop: int


class WithinEntry(Entry):
    """``$withinTimeWindow``: an interval of a fixed length, beginning at an event that it reads, satisfies the flow."""

    operator = "$withinTimeWindow"

    def __init__(self, path: str, flow: Entry, window: Length):
        self.path = path
        self.flow = flow
        self.window = window
        self.written = f"{window.number}{window.unit}"
        self.grows = flow.grows
        self.turns_true, self.turns_false = flow.turns_true, flow.turns_false
        types = flow.event_types()
        self._types = None if None in types else types

    def children(self) -> tuple[Entry, ...]:
        """Return the entries inside this one."""
        return (self.flow,)

    def triggers(self) -> Iterator[Trigger]:
        """Yield which events can make it true when they are the latest event of the learner."""
        if self.grows and not self.flow.figures() and not self.flow.holds(Scope([], LAST_MOMENT, {})):
            # An interval that satisfies the flow still does when it begins at the first event that the flow looks at.
            yield from self.flow.triggers()
        else:
            yield from map(Trigger, self.flow.event_types())

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return self._first(self._of_types(scope)) is not None

    def explain(self, scope: Scope) -> TraceStep:
        """Return the answer with the interval that satisfies it, or with the one of the latest that comes closest."""
        scope = self._of_types(scope)
        satisfied = self._first(scope)
        compared = [satisfied] if satisfied else list(deque(self._intervals(scope), maxlen=scope.compared))
        if not compared:
            note = "there is no event for an interval to begin at"
            return TraceStep(self.path, self.operator, self.written, None, None, False, note=note)
        # Those inside share what may be compared, so that the work does not grow with every level.
        inside = replace(scope, compared=max(1, scope.compared // len(compared)))
        explained = (
            (begin, self.flow.explain(inside.over(scope.events[start:stop])))
            for begin, start, stop in reversed(compared)
        )
        begin, child = max(explained, key=lambda found: closeness(found[1]))
        return TraceStep(self.path, self.operator, self.written, None, begin.id, child.result, children=(child,))

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between have such an interval."""
        positions = self._positions(scope)
        read = scope.over([scope.events[position] for position in positions])
        size = len(positions)
        needed, stops = self.flow.first_ends(read, True), self._stops(read.events)
        ends = [size + 1] * (size + 1)
        for start in range(size - 1, -1, -1):
            end = max(needed[start], start + 1)
            # Of the intervals that satisfy the flow, the one that begins first does so first.
            ends[start] = end if end <= stops[start] else ends[start + 1]
        return spread(ends, positions, len(scope.events))

    def asks_intervals_one_by_one(self) -> bool:
        """Return whether it looks at the events of each of many intervals again, so that each is looked at often."""
        return not self.flow.grows or super().asks_intervals_one_by_one()

    def _first(self, scope: Scope) -> _Interval | None:
        """The first interval that satisfies the flow, None if none does."""
        if self.flow.grows:
            ends = self.flow.first_ends(scope, True)
            return next((one for one in self._intervals(scope) if ends[one.start] <= one.stop), None)
        intervals, events = list(self._intervals(scope)), 0
        for number, interval in enumerate(reversed(intervals)):
            events += interval.stop - interval.start
            if events > MAX_IN_INTERVALS:
                intervals = intervals[-max(number, 1) :]
                break
        asked = (one for one in intervals if self.flow.holds(scope.over(scope.events[one.start : one.stop])))
        return next(asked, None)

    def _positions(self, scope: Scope) -> Sequence[int]:
        # An event of a type that the entry does not read begins no interval: what is not read must not change the
        # answer.
        types = self._types
        if types is None:
            return range(len(scope.events))
        return [position for position, event in enumerate(scope.events) if event.type in types]

    def _of_types(self, scope: Scope) -> Scope:
        return scope.over([scope.events[position] for position in self._positions(scope)])

    def _intervals(self, scope: Scope) -> Iterator[_Interval]:
        previous = None
        for start, (event, stop) in enumerate(zip(scope.events, self._stops(scope.events), strict=True)):
            # That of an event at the same moment as the one before is the same interval.
            if event.occurred_at != previous:
                previous = event.occurred_at
                yield _Interval(event, start, stop)

    def _stops(self, events: list[Event]) -> list[int]:
        """For the event at each position, the position behind the last event of the interval that begins there."""
        stops, stop = [], 0
        for event in events:
            end = _later(event.occurred_at, self.window)
            while stop < len(events) and events[stop].occurred_at <= end:
                stop += 1
            stops.append(stop)
        return stops


def _next_event(events: list[Event], now: datetime) -> datetime:
    """An event that is later than now comes into the window when its time has come."""
    position = bisect_right(events, now, key=time_of)
    return events[position].occurred_at if position < len(events) else LAST_MOMENT


def _later(moment: datetime, window: Length) -> datetime:
    try:
        return moment + window.delta
    except OverflowError:
        return LAST_MOMENT
