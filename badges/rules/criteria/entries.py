"""
What all entries of a document have in common, the event entry, and the logic over entries.

An entry answers for a ``Scope``: some events of a learner, in order, and the present moment. Besides its answer it
knows how it behaves when events are added and when time goes on, which is what keeps evaluation cheap: a document that
only new events can make true need not be looked at again by the clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from badges.rules.criteria.calendar import LAST_MOMENT, MICROSECOND
from badges.rules.criteria.events import Event, time_of
from badges.rules.criteria.fields import Count, Filter
from badges.rules.criteria.replay import Replay
from badges.rules.criteria.trace import TraceStep, make_step
from badges.rules.paths import NOTHING
from badges.rules.values import strict

Clock = Callable[[list[Event], datetime], datetime]  # the next moment after now at which time alone changes something


# An explanation compares so many intervals.
MAX_COMPARED = 100


@dataclass(slots=True)
class Scope:
    """
    What an entry is asked about. ``events`` are in order, each once; ``figures`` are the learner's by name.

    ``compared`` is how many intervals an explanation may compare. ``replay`` is given when the evaluation is one of
    several over the same history.
    """

    events: list[Event]
    now: datetime
    figures: Mapping[str, Any]
    compared: int = MAX_COMPARED
    replay: Replay | None = None

    def over(self, events: list[Event]) -> Scope:
        """Return the same scope with other events, which are in order too."""
        return Scope(events, self.now, self.figures, self.compared, self.replay)

    def look(self, number: int) -> None:
        """Count that so many events are looked at, whether or not they were looked at before."""
        if self.replay is not None:
            self.replay.looks += number


class Trigger(NamedTuple):
    """
    Events that can change an answer: those of a type (None: of every type) that a filter can hold for (None: all).

    A condition on the time of the event can hold for every event, because it may be relative to now.
    """

    event_type: str | None
    filter: Filter | None = None

    def includes(self, event: Event) -> bool:
        """Return whether an event is one of them."""
        if self.event_type is not None and event.type != self.event_type:
            return False
        return self.filter is None or self.filter.predicate(event.payload)


class Entry(ABC):
    """
    A compiled entry of a document.

    ``grows`` promises that more events never make it false, ``shrinks`` that fewer never do. ``turns_true`` and
    ``turns_false`` tell whether the passing of time alone can, as long as no event is later than now. Each may be more
    careful than needed, never less.
    """

    path: str
    operator: str
    written: Any = None
    grows = False
    shrinks = False
    turns_true = False
    turns_false = False

    @abstractmethod
    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied. Never raises for what an event holds."""

    @abstractmethod
    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """
        Return for each start the first end at which the events from start to end give the wanted answer.

        Starts and ends are positions in ``scope.events``, as in slices; the last start is behind the last event. Where
        no end gives the answer, it is one more than the number of events. True may be wanted of an entry that
        ``grows``, False of one that ``shrinks``: then every later end gives the same answer, and so does every earlier
        start. All starts together cost little more than one evaluation.
        """
        raise NotImplementedError(f"the answer of {self.operator} may change both ways")

    def event_types(self) -> frozenset[str | None]:
        """Return the event types that it reads; None stands for every type."""
        return frozenset(event_type for _, event_type in self.reads())

    def reads(self) -> Iterator[tuple[str, str | None]]:
        """Yield the event types that it reads, each with the path where it is written; None stands for every type."""
        for child in self.children():
            yield from child.reads()

    def figures(self) -> frozenset[str]:
        """Return the names of the figures that it reads."""
        return frozenset(name for child in self.children() for name in child.figures())

    def triggers(self) -> Iterator[Trigger]:
        """
        Yield which events can make it true when they are the latest event of the learner.

        If it is false after an event and the next event is none of them, it is still false, unless time alone makes it
        true. For an entry that ``grows`` they are also all events that can make it true when they arrive late.
        """
        for child in self.children():
            yield from child.triggers()

    def children(self) -> tuple[Entry, ...]:
        """Return the entries inside this one."""
        return ()

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that can matter; the last moment of the calendar if it reads none."""
        return min((child.earliest(now) for child in self.children()), default=LAST_MOMENT)

    def clocks(self) -> Iterator[Clock]:
        """Yield what can change by time alone."""
        for child in self.children():
            yield from child.clocks()

    def asks_intervals_one_by_one(self) -> bool:
        """Return whether it looks at the events of each of many intervals again, so that each is looked at often."""
        return any(child.asks_intervals_one_by_one() for child in self.children())


# --- events that are picked ------------------------------------------------------------------------------------------


class Selection:
    """
    Which events an entry looks at: those of a type (None: of every type) that satisfy a filter.

    ``path`` is where the event type is written.
    """

    def __init__(self, path: str, event_type: str | None, filtered: Filter):
        self.path = path
        self.event_type = event_type
        self.filter = filtered

    def matches(self, event: Event, now: datetime) -> bool:
        """Return whether an event is one of them."""
        return (self.event_type is None or event.type == self.event_type) and self.filter.holds(event, now)

    def of_type(self, scope: Scope) -> list[Event]:
        """Return the events of the type, whether or not they satisfy the filter."""
        wanted = self.event_type
        events = scope.events
        if wanted is None or (len(events) == 1 and events[0].type == wanted):
            return events  # quicker for a single event, which is a frequent history
        return [event for event in events if event.type == wanted]

    def pick(self, scope: Scope) -> list[Event]:
        """Return the events that are looked at, in order. The list must not be changed."""
        if scope.replay is not None and self.filter.payload_only:
            begin: Callable[[], list[Event]] = list
            picked, added = scope.replay.go_on(self, scope.events, begin)
            picked += self._pick(scope.over(added))
            return picked
        scope.look(len(scope.events))
        return self._pick(scope)

    def _pick(self, scope: Scope) -> list[Event]:
        events = self.of_type(scope)
        if not self.filter.conditions:
            return events
        if self.filter.payload_only:
            predicate = self.filter.predicate
            return [event for event in events if predicate(event.payload)]
        return [event for event in events if self.filter.holds(event, scope.now)]

    def positions(self, scope: Scope) -> list[int]:
        """Return where in the scope the events are that are looked at."""
        scope.look(len(scope.events))
        return [position for position, event in enumerate(scope.events) if self.matches(event, scope.now)]

    def first(self, scope: Scope) -> Event | None:
        """Return the first of the events, None if there is none."""
        wanted, filtered = self.event_type, self.filter
        if scope.replay is not None:
            return next(iter(self.pick(scope)), None)
        if filtered.payload_only:
            predicate = filtered.predicate
            for event in scope.events:
                if (wanted is None or event.type == wanted) and predicate(event.payload):
                    return event
            return None
        return next((event for event in scope.events if self.matches(event, scope.now)), None)


class SelectingEntry(Entry):
    """An entry that rests on the events of one or more selections."""

    selections: tuple[Selection, ...]

    def settle(self, *, grows: bool, shrinks: bool) -> None:
        """Record how it behaves when its events become more or fewer, and what follows for the passing of time."""
        self.grows, self.shrinks = grows, shrinks
        enters = any(one.filter.enters for one in self.selections)
        leaves = any(one.filter.leaves for one in self.selections)
        self.turns_true = (enters and not shrinks) or (leaves and not grows)
        self.turns_false = (enters and not grows) or (leaves and not shrinks)

    def reads(self) -> Iterator[tuple[str, str | None]]:
        """Yield the event types that it reads, each with the path where it is written; None stands for every type."""
        for one in self.selections:
            yield one.path, one.event_type

    def triggers(self) -> Iterator[Trigger]:
        """Yield which events can make it true when they are the latest event of the learner."""
        for one in self.selections:
            yield Trigger(one.event_type, one.filter if one.filter.conditions else None)

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that can matter."""
        return min(one.filter.earliest(now) for one in self.selections)

    def clocks(self) -> Iterator[Clock]:
        """Yield what can change by time alone."""
        for one in self.selections:
            for bound in one.filter.moving_bounds():
                yield passing(bound)


class EventEntry(SelectingEntry):
    """``{"event": T, "criteria": {…}}``: some event satisfies the filter, or as many as ``$eventCount`` says."""

    operator = "event"

    def __init__(self, path: str, selection: Selection, count: Count | None):
        self.path = path
        self.written = selection.event_type
        self.selection = selection
        self.selections = (selection,)
        self.count = count
        self.settle(
            grows=count is None or count.threshold.upward, shrinks=count is not None and count.threshold.downward
        )

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        if self.count is None:
            return self.selection.first(scope) is not None
        return self.count.threshold.holds(self._number(self.count, scope))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        return self._explain_one(scope) if self.count is None else self._explain_count(self.count, scope)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        positions = self.selection.positions(scope)
        if self.count is None:
            ends = ends_of_number(positions, bool)
        else:
            find, holds = self.count.find, self.count.threshold.holds
            keys = positions if find is None else [_value(find(scope.events[each].payload)) for each in positions]
            ends = ends_of_number(keys, lambda number: holds(number) is wanted)
        return spread(ends, positions, len(scope.events))

    def _number(self, count: Count, scope: Scope) -> int:
        events = self.selection.pick(scope)
        if count.find is None:
            return len(events)
        scope.look(len(events))
        return len({_value(count.find(event.payload)) for event in events} - {None})

    def _explain_count(self, count: Count, scope: Scope) -> TraceStep:
        number = self._number(count, scope)
        children = count.threshold.explain(number, "values" if count.distinct else "events")
        result = all(child.result for child in children)
        return TraceStep(self.path, self.operator, self.written, number, None, result, children=children)

    def _explain_one(self, scope: Scope) -> TraceStep:
        events = self.selection.of_type(scope)
        if not events:
            return TraceStep(self.path, self.operator, self.written, None, None, False, note="there is no such event")
        event = events[0] if len(events) == 1 else self.selection.first(scope) or self._closest(events, scope.now)
        children = self.selection.filter.steps(event, scope.now)
        result = False not in [child.result for child in children]
        return make_step((self.path, "event", self.written, event.type, event.id, result, "", "", children))

    def _closest(self, events: list[Event], now: datetime) -> Event:
        """The event that satisfies the most conditions, the latest of several."""
        conditions = self.selection.filter.conditions
        return max(reversed(events), key=lambda event: sum(condition.holds(event, now) for condition in conditions))


def _value(found: Any) -> Any:
    """What different values of a field are told apart by; None if there is none."""
    if found is None:
        return None
    value = strict(found)
    return None if value is NOTHING else value


# --- logic -----------------------------------------------------------------------------------------------------------


class AllEntry(Entry):
    """``$and``: all entries are satisfied."""

    operator = "$and"

    def __init__(self, path: str, entries: tuple[Entry, ...]):
        self.path = path
        self.entries = entries
        self.grows = all(entry.grows for entry in entries)
        self.shrinks = all(entry.shrinks for entry in entries)
        self.turns_true = any(entry.turns_true for entry in entries)
        self.turns_false = any(entry.turns_false for entry in entries)

    def children(self) -> tuple[Entry, ...]:
        """Return the entries inside this one."""
        return self.entries

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return all(entry.holds(scope) for entry in self.entries)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        return self._combined([entry.first_ends(scope, wanted) for entry in self.entries], every=wanted)

    @staticmethod
    def _combined(ends: Sequence[list[int]], *, every: bool) -> list[int]:
        """The first ends at which every entry has given its answer, or some entry."""
        return [(max if every else min)(of_start) for of_start in zip(*ends, strict=True)]

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons, also those of entries after the first that decides."""
        children = tuple([entry.explain(scope) for entry in self.entries])
        result = all(child.result for child in children)
        return TraceStep(self.path, self.operator, None, None, None, result, children=children)


class AnyEntry(AllEntry):
    """``$or``: one of the entries is satisfied."""

    operator = "$or"

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return any(entry.holds(scope) for entry in self.entries)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        return self._combined([entry.first_ends(scope, wanted) for entry in self.entries], every=not wanted)

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        children = tuple([entry.explain(scope) for entry in self.entries])
        result = any(child.result for child in children)
        return TraceStep(self.path, self.operator, None, None, None, result, children=children)


class NotEntry(Entry):
    """``$not``: the entry is not satisfied."""

    operator = "$not"

    def __init__(self, path: str, entry: Entry):
        self.path = path
        self.entry = entry
        self.grows, self.shrinks = entry.shrinks, entry.grows
        self.turns_true, self.turns_false = entry.turns_false, entry.turns_true

    def children(self) -> tuple[Entry, ...]:
        """Return the entries inside this one."""
        return (self.entry,)

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return not self.entry.holds(scope)

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between give the wanted answer."""
        return self.entry.first_ends(scope, not wanted)

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons."""
        child = self.entry.explain(scope)
        return TraceStep(self.path, self.operator, None, None, None, not child.result, children=(child,))


# --- stretches of events ---------------------------------------------------------------------------------------------


def ends_of_number(keys: Sequence[Any], reached: Callable[[int], bool]) -> list[int]:
    """
    Return for each start the first end at which the number of different keys in between is reached.

    A key that is None does not count. ``reached`` must stay true when the number grows. Starts and ends are those of
    ``Entry.first_ends``. One look at each key.
    """
    size = len(keys)
    if reached(0):
        return list(range(size + 1))
    counts: Counter[Any] = Counter()
    ends, end = [], 0
    for start in range(size + 1):
        while end < size and not reached(len(counts)):
            if keys[end] is not None:
                counts[keys[end]] += 1
            end += 1
        ends.append(end if reached(len(counts)) else size + 1)
        leaving = keys[start] if start < size else None
        if leaving is not None:
            counts[leaving] -= 1
            if not counts[leaving]:
                del counts[leaving]
    return ends


def spread(ends: Sequence[int], positions: Sequence[int], size: int) -> list[int]:
    """
    Return first ends over all events, given those over some events only.

    ``positions`` are where these stand among all; ``size`` is how many there are in all.
    """
    found, inner = [], 0
    for start in range(size + 1):
        while inner < len(positions) and positions[inner] < start:
            inner += 1
        end = ends[inner]
        if end == inner:
            found.append(start)  # it needs no event
        else:
            found.append(positions[end - 1] + 1 if end <= len(positions) else size + 1)
    return found


# --- what changes by time alone --------------------------------------------------------------------------------------


def passing(bound: Callable[[datetime], datetime]) -> Clock:
    """Return a clock for a bound on the time of events that moves with now: the next event that it reaches."""

    def next_moment(events: list[Event], now: datetime) -> datetime:
        here = bound(now)
        position = bisect_left(events, here, key=time_of)
        if position == len(events):
            return LAST_MOMENT
        moment = events[position].occurred_at
        return _first_moment(_reaches(bound, moment, beyond=moment == here), now)

    return next_moment


def _reaches(bound: Callable[[datetime], datetime], moment: datetime, *, beyond: bool) -> Callable[[datetime], bool]:
    return lambda now: bound(now) > moment if beyond else bound(now) >= moment


def _first_moment(reached: Callable[[datetime], bool], now: datetime) -> datetime:
    """The first moment after now at which something is reached that stays reached; the last moment if it is never."""
    if not reached(LAST_MOMENT):
        return LAST_MOMENT
    low, high = 0, (LAST_MOMENT - now) // MICROSECOND
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(now + middle * MICROSECOND) else (middle, high)
    return now + high * MICROSECOND
