"""
When a criteria document is earned: the first moment at which it holds for what the learner had done until then.

The moments are the times of the learner's events that can change the answer (``Criteria.triggers``). For a document
that time alone can make true they are also the moments at which it may do so, up to the present. At each moment, the
document is evaluated with the events up to that moment and with ``now`` being that moment. So what is earned does not
depend on when the events arrive.

An evaluation may ask many moments when an event arrives late. ``LIMIT`` moments are asked at once, and fewer where more
than ``MAX_LOOKS`` events would be looked at; then the answer says at which moment to go on.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from badges.rules.criteria.compiled import Criteria
from badges.rules.criteria.events import Event, in_order
from badges.rules.criteria.replay import Replay

# So many moments are asked at once.
LIMIT = 300
# When so many events have been looked at, no further moment is asked at once.
MAX_LOOKS = 300_000


class Moment(NamedTuple):
    """A moment at which a document is asked: the time of an event, or a moment of time alone without an event."""

    time: datetime
    event: Event | None = None


class Answer(NamedTuple):
    """
    Whether a document is earned.

    ``earned`` is the first moment at which it held, None if it did at no moment that was asked. ``next_check`` is the
    moment from which to ask again without a new event, None if that is not needed. It is in the past if so many moments
    have to be asked that some are left.
    """

    earned: Moment | None = None
    next_check: datetime | None = None


def earned(
    criteria: Criteria,
    history: Iterable[Event],
    *,
    since: datetime,
    now: datetime,
    newest: datetime | None = None,
    void_until: datetime | None = None,
    figures: Mapping[str, Any] | None = None,
    limit: int = LIMIT,
) -> Answer:
    """
    Return whether a document that was not earned before is earned now, and when to ask again.

    - ``history``: the learner's events in any order, those that have just arrived among them.
    - ``since``: the moments before it have been asked already. For events that arrive it is the time of the earliest.
    - ``newest``: the time of the latest event that has just arrived. Moments that cannot look back to it are not asked.
      None: all moments from ``since`` on are asked.
    - ``now``: moments of time alone are asked up to it. Events may be later.
    - ``void_until``: events at or before it do not count.

    All times know their offset. When events arrive in the order of their times, one moment is asked for each.
    """
    search = _Search(criteria, _counting(history, void_until), figures)
    moments = search.moments(since)
    if criteria.cumulative:
        return Answer(search.earliest(list(moments)))
    if criteria.needs_recheck:
        moments = _with_time_alone(moments, since, now, search)
    for asked, moment in enumerate(moments):
        if asked == limit or search.replay.looks > MAX_LOOKS:
            return Answer(None, moment.time)
        if newest is not None and moment.time > newest and search.is_beyond_reach(newest, moment.time):
            break
        if search.holds(moment):
            return Answer(moment)
    return Answer(None, search.next_check(now) if criteria.needs_recheck else None)


def _counting(history: Iterable[Event], void_until: datetime | None) -> list[Event]:
    events = in_order(history)
    return events if void_until is None else [event for event in events if event.occurred_at > void_until]


def _with_time_alone(moments: Iterator[Moment], since: datetime, now: datetime, search: _Search) -> Iterator[Moment]:
    """Yield the moments of events and, up to now, those of time alone, the first of which is ``since``."""
    following = next(moments, None)
    clock: datetime | None = since
    while True:
        if clock is not None and clock <= now and (following is None or clock < following.time):
            moment = Moment(clock)
        elif following is not None:
            moment, following = following, next(moments, None)
        else:
            return
        yield moment
        clock = search.next_moment(moment.time)


class _Search:
    """The events that count, in order, and what a document says of them at a moment."""

    def __init__(self, criteria: Criteria, events: list[Event], figures: Mapping[str, Any] | None):
        self.criteria = criteria
        self.events = events
        self.figures = figures
        self.times = [event.occurred_at for event in events]
        self.replay = Replay()

    def holds(self, moment: Moment) -> bool:
        """Return whether the document holds at a moment."""
        reach = self.criteria.reach(moment.time)
        first = 0 if reach is None else bisect_left(self.times, reach)
        events = self.events[first : bisect_right(self.times, moment.time)]
        # The moments of a cumulative document are not asked one after the other.
        replay = None if self.criteria.cumulative else self.replay
        return self.criteria.evaluate_in_order(events, now=moment.time, figures=self.figures, replay=replay).satisfied

    def moments(self, since: datetime) -> Iterator[Moment]:
        """Yield the moments of events; of several events at one moment, the last one that can change the answer."""
        pending: Event | None = None
        for position in range(bisect_left(self.times, since), len(self.events)):
            event = self.events[position]
            if pending is not None and event.occurred_at > pending.occurred_at:
                yield Moment(pending.occurred_at, pending)
                pending = None
            if self.criteria.is_triggered_by(event):
                pending = event
        if pending is not None:
            yield Moment(pending.occurred_at, pending)

    def earliest(self, moments: Sequence[Moment]) -> Moment | None:
        """Return the first moment at which a cumulative document holds, which from then on holds at all of them."""
        if not moments or not self.holds(moments[-1]):
            return None
        return moments[bisect_left(moments, True, hi=len(moments) - 1, key=self.holds)]

    def next_moment(self, after: datetime) -> datetime | None:
        """Return the next moment at which time alone may make it true, as far as the events until now tell."""
        return self.criteria.next_check_in_order(self.events[: bisect_right(self.times, after)], now=after)

    def next_check(self, now: datetime) -> datetime | None:
        """Return the first moment after now at which time alone may make it true."""
        found = self.next_moment(now)
        for moment in self.moments(now):
            if moment.time > now and (found is None or found > moment.time):
                found = self.next_moment(moment.time)
        return found

    def is_beyond_reach(self, event_time: datetime, moment: datetime) -> bool:
        """Return whether an event is too old to matter at a moment."""
        reach = self.criteria.reach(moment)
        return reach is not None and event_time < reach
