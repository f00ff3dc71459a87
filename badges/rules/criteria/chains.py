"""Events one after the other: sequences, the gaps between them, and how long things lasted."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any, NamedTuple

from badges.rules.criteria.calendar import MICROSECOND
from badges.rules.criteria.entries import Clock, Scope, SelectingEntry, Selection, passing
from badges.rules.criteria.events import Event
from badges.rules.criteria.fields import Filter
from badges.rules.criteria.pointers import below
from badges.rules.criteria.thresholds import Number, Threshold, shown
from badges.rules.criteria.trace import TraceStep
from badges.rules.paths import NOTHING
from badges.rules.values import strict

_HOUR = 3_600_000_000  # microseconds
UNITS = {"seconds": 1_000_000, "minutes": 60_000_000, "hours": _HOUR, "days": 24 * _HOUR}


class _Link(NamedTuple):
    """The last event of a chain, and the chain that it prolongs."""

    event: Event
    before: _Link | None


class _Beginning(NamedTuple):
    """The positions of the first and the last event of a chain that satisfies the first steps of a sequence."""

    start: int
    end: int


class SequenceEntry(SelectingEntry):
    """``$sequence``: a chain of events, each later than the one before, that satisfies one step after the other."""

    operator = "$sequence"

    def __init__(
        self, path: str, steps: tuple[Selection, ...], *, max_gap_seconds: Number | None, require_strict: bool
    ):
        self.path = path
        self.steps = steps
        self.selections = steps
        self.max_gap_seconds = max_gap_seconds
        self.require_strict = require_strict
        self._max_gap = None if max_gap_seconds is None else max_gap_seconds * 1_000_000
        self.written = len(steps)
        self.settle(grows=not require_strict, shrinks=False)

    def reads(self) -> Iterator[tuple[str, str | None]]:
        """Yield the event types that it reads with their paths; every type if nothing may happen in between."""
        yield from super().reads()
        if self.require_strict:
            yield below(self.path, "requireStrict"), None

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        return self._longest(scope)[0] == len(self.steps)

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with the events of the longest beginning of the sequence."""
        length, link = self._longest(scope)
        result = length == len(self.steps)
        found = []
        while link:
            found.append(link.event)
            link = link.before
        children = [
            TraceStep(f"{self.path}/sequence/{number}", "event", step.event_type, None, None, False)
            for number, step in enumerate(self.steps)
        ]
        for number, event in enumerate(reversed(found)):
            children[number] = children[number]._replace(observed=event.type, event_id=event.id, result=True)
        return TraceStep(
            self.path,
            self.operator,
            None,
            length,
            found[0].id if result else None,
            result,
            children=(
                TraceStep(
                    f"{self.path}/sequence", "$gte", len(self.steps), length, None, result, "steps", "", tuple(children)
                ),
            ),
        )

    def first_ends(self, scope: Scope, wanted: bool) -> list[int]:
        """Return for each start the first end at which the events in between hold the sequence."""
        size = len(scope.events)
        ends = [size + 1] * (size + 1)
        # For each event that can end a beginning of the sequence, the latest start of such a beginning.
        latest: list[_Beginning] = []
        for number, step in enumerate(self.steps):
            positions = step.positions(scope)
            if number:
                latest = list(self._prolonged(latest, positions, scope.events))
            else:
                latest = [_Beginning(position, position) for position in positions]
        for start, position in reversed(latest):
            ends[start] = position + 1
        for start in range(size - 1, -1, -1):
            ends[start] = min(ends[start], ends[start + 1])
        return ends

    def _prolonged(
        self, beginnings: list[_Beginning], positions: list[int], events: list[Event]
    ) -> Iterator[_Beginning]:
        """Yield the beginnings of the sequence that are one step longer and end at some position."""
        following = 0
        for position in positions:
            moment = events[position].occurred_at
            while following < len(beginnings) and events[beginnings[following].end].occurred_at < moment:
                following += 1
            # Of those that end earlier, the one that ends latest starts latest, too. If it is too far, all others are.
            if following and not self._too_far(events[beginnings[following - 1].end].occurred_at, moment):
                yield _Beginning(beginnings[following - 1].start, position)

    def _longest(self, scope: Scope) -> tuple[int, _Link | None]:
        """The length of the longest beginning of the sequence that was found, and where it ends."""
        chains = self._neighbours(scope) if self.require_strict else self._chains(scope)
        best: tuple[int, _Link | None] = (0, None)
        for length, link in chains:
            if length > best[0]:
                best = length, link
        return best

    def _chains(self, scope: Scope) -> list[tuple[int, _Link]]:
        # For every step the moments at which a beginning of the sequence can end there. For the next step only the
        # latest earlier one counts: if the gap from there is too long, it is from all others.
        chains: list[tuple[int, _Link]] = []
        times: list[datetime] = []
        links: list[_Link] = []
        for number, step in enumerate(self.steps):
            new_times: list[datetime] = []
            new_links: list[_Link] = []
            picked = step.pick(scope)
            scope.look(len(picked))
            for event in picked:
                before = None
                if number:
                    position = bisect_left(times, event.occurred_at) - 1
                    if position < 0 or self._too_far(times[position], event.occurred_at):
                        continue
                    before = links[position]
                new_times.append(event.occurred_at)
                new_links.append(_Link(event, before))
            if not new_links:
                break
            times, links = new_times, new_links
            chains.append((number + 1, links[0]))
        return chains

    def _neighbours(self, scope: Scope) -> list[tuple[int, _Link]]:
        """The same when nothing may happen in between: each event only follows the one right before it."""
        chains: list[tuple[int, _Link]] = []
        before: dict[int, _Link] = {}
        previous: Event | None = None
        scope.look(len(scope.events) * len(self.steps))
        for event in scope.events:
            here: dict[int, _Link] = {}
            for number, step in enumerate(self.steps):
                if number and (
                    number not in before
                    or previous is None
                    or previous.occurred_at >= event.occurred_at
                    or self._too_far(previous.occurred_at, event.occurred_at)
                ):
                    continue
                if step.matches(event, scope.now):
                    here[number + 1] = _Link(event, before.get(number) if number else None)
            chains += here.items()
            before, previous = here, event
        return chains

    def _too_far(self, before: datetime, after: datetime) -> bool:
        return self._max_gap is not None and _microseconds(after - before) > self._max_gap


class GapEntry(SelectingEntry):
    """``$gap``: all gaps between one event and the next are long enough, short enough, or both."""

    operator = "$gap"

    def __init__(
        self,
        path: str,
        selection: Selection,
        *,
        min_hours: Number | None,
        max_hours: Number | None,
        excluded: Filter | None,
    ):
        self.path = path
        self.selection = selection
        self.selections = (selection,)
        self.min_hours, self.max_hours = min_hours, max_hours
        self.excluded = excluded
        self.settle(grows=False, shrinks=False)
        if excluded and (excluded.enters or excluded.leaves):
            self.turns_true = self.turns_false = True

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        events = self._events(scope)
        return len(events) > 1 and all(self._allowed(gap) for gap, _ in _gaps(events))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons: the first gap that is too short or too long."""
        events = self._events(scope)
        if len(events) < 2:
            short = TraceStep(self.path, "$gte", 2, len(events), None, False, "events")
            return TraceStep(self.path, self.operator, None, len(events), None, False, children=(short,))
        for gap, event in _gaps(events):
            if not self._allowed(gap):
                return TraceStep(self.path, self.operator, None, None, event.id, False, children=self._why(gap, event))
        return TraceStep(self.path, self.operator, None, len(events) - 1, None, True)

    def clocks(self) -> Iterator[Clock]:
        """Yield what can change by time alone."""
        yield from super().clocks()
        yield from map(passing, self.excluded.moving_bounds() if self.excluded else ())

    def _events(self, scope: Scope) -> list[Event]:
        events = self.selection.pick(scope)
        scope.look(len(events))
        excluded = self.excluded
        return [event for event in events if not excluded.holds(event, scope.now)] if excluded else events

    def _allowed(self, gap: int) -> bool:
        return (self.min_hours is None or gap >= self.min_hours * _HOUR) and (
            self.max_hours is None or gap <= self.max_hours * _HOUR
        )

    def _why(self, gap: int, event: Event) -> tuple[TraceStep, ...]:
        hours = shown(Fraction(gap, _HOUR))
        steps = []
        if self.min_hours is not None:
            result = gap >= self.min_hours * _HOUR
            where = f"{self.path}/minGapHours"
            steps.append(TraceStep(where, "$gte", shown(self.min_hours), hours, event.id, result, "hours"))
        if self.max_hours is not None:
            result = gap <= self.max_hours * _HOUR
            where = f"{self.path}/maxGapHours"
            steps.append(TraceStep(where, "$lte", shown(self.max_hours), hours, event.id, result, "hours"))
        return tuple(steps)


class DurationEntry(SelectingEntry):
    """``$duration``: how long it took from starts to ends, in all or in some pair."""

    operator = "$duration"

    def __init__(
        self,
        path: str,
        start: Selection,
        end: Selection,
        *,
        threshold: Threshold,
        unit: str,
        any_pair: bool,
        match_property: str | None,
        find: Any,
    ):
        self.path = path
        self.start, self.end = start, end
        self.selections = (start, end)
        self.threshold = threshold
        self.unit = unit
        self.any_pair = any_pair
        self.match_property = match_property
        self.find = find
        self.written = unit
        self.settle(grows=False, shrinks=False)

    def holds(self, scope: Scope) -> bool:
        """Return whether the entry is satisfied."""
        lengths = self._lengths(scope)
        if self.any_pair:
            return any(self.threshold.holds(length) for length, _ in lengths)
        return bool(lengths) and self.threshold.holds(self._total(lengths))

    def explain(self, scope: Scope) -> TraceStep:
        """Return the same answer with its reasons: the total, or the pair that satisfies it, or the longest pair."""
        lengths = self._lengths(scope)
        if not lengths:
            note = "there is no start with an end"
            return TraceStep(self.path, self.operator, self.written, None, None, False, note=note)
        number, event_id = self._total(lengths), None
        if self.any_pair:
            satisfied = [pair for pair in lengths if self.threshold.holds(pair[0])]
            number, event_id = satisfied[0] if satisfied else max(lengths, key=lambda pair: pair[0])
        children = self.threshold.explain(number, self.unit, event_id)
        result = all(child.result for child in children)
        return TraceStep(self.path, self.operator, self.written, shown(number), event_id, result, children=children)

    def _total(self, lengths: list[tuple[Number, str]]) -> Number:
        return sum((length for length, _ in lengths), Fraction(0))

    def _lengths(self, scope: Scope) -> list[tuple[Number, str]]:
        """How long each pair took, in the unit, with the event that ended it."""
        open_starts: dict[Any, list[datetime]] = {}
        lengths: list[tuple[Number, str]] = []
        scope.look(len(scope.events))
        for event in scope.events:
            is_start, is_end = self.start.matches(event, scope.now), self.end.matches(event, scope.now)
            if not is_start and not is_end:
                continue
            key = self._key(event)
            if key is NOTHING:
                continue
            starts = open_starts.setdefault(key, [])
            # An event that is both ends what was open before it begins something new.
            if is_end and starts:
                took = _microseconds(event.occurred_at - starts.pop())
                lengths.append((Fraction(took, UNITS[self.unit]), event.id))
            if is_start:
                starts.append(event.occurred_at)
        return lengths

    def _key(self, event: Event) -> Any:
        if self.find is None:
            return None
        found = self.find(event.payload)
        return NOTHING if found is None else strict(found)


def _gaps(events: list[Event]) -> list[tuple[int, Event]]:
    """The gap before each event but the first, in microseconds."""
    return [(_microseconds(after.occurred_at - before.occurred_at), after) for before, after in pairwise(events)]


def _microseconds(length: timedelta) -> int:
    return length // MICROSECOND
