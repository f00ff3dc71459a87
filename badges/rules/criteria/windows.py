"""Windows: an entry over the events inside a stretch of time, or inside some stretch of a given length."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from datetime import datetime, tzinfo

from badges.rules.criteria.calendar import LAST_MOMENT, Last, Length, local_day
from badges.rules.criteria.entries import Clock, Entry, Scope, Trigger, passing
from badges.rules.criteria.events import Event
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

    def _inside(self, scope: Scope) -> Scope:
        start, end = self._start(scope.now), scope.now if self.last else self.end
        events = [
            event
            for event in scope.events
            if (start is None or event.occurred_at >= start)
            and (end is None or event.occurred_at <= end)
            and not (self.business_days_only and local_day(event.occurred_at, self.zone).weekday() >= _SATURDAY)
        ]
        return scope.over(events)


# An explanation compares so many intervals.
MAX_COMPARED = 100


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
        return any(self.flow.holds(inside) for _, inside in self._intervals(scope))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the answer with the interval that satisfies it, or with the one of the latest that comes closest."""
        latest: deque[tuple[Event, Scope]] = deque(maxlen=MAX_COMPARED)
        for interval in self._intervals(scope):
            latest.append(interval)
            if self.flow.holds(interval[1]):
                latest = deque([interval])
                break
        if not latest:
            note = "there is no event for an interval to begin at"
            return TraceStep(self.path, self.operator, self.written, None, None, False, note=note)
        explained = ((begin, self.flow.explain(inside)) for begin, inside in reversed(latest))
        begin, child = max(explained, key=lambda found: closeness(found[1]))
        return TraceStep(self.path, self.operator, self.written, None, begin.id, child.result, children=(child,))

    def _intervals(self, scope: Scope) -> Iterator[tuple[Event, Scope]]:
        # An event of a type that the entry does not read begins none: what is not read must not change the answer.
        events = scope.events
        if self._types is not None:
            events = [event for event in events if event.type in self._types]
        times = [event.occurred_at for event in events]
        previous = None
        for position, event in enumerate(events):
            if event.occurred_at == previous:
                continue  # the interval is that of the event before
            previous = event.occurred_at
            stop = bisect_right(times, _later(event.occurred_at, self.window), position)
            yield event, scope.over(events[position:stop])


def _next_event(events: list[Event], now: datetime) -> datetime:
    """An event that is later than now comes into the window when its time has come."""
    return next((event.occurred_at for event in events if event.occurred_at > now), LAST_MOMENT)


def _later(moment: datetime, window: Length) -> datetime:
    try:
        return moment + window.delta
    except OverflowError:
        return LAST_MOMENT
