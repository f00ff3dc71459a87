"""
Streaks: days in a row with an activity. Pure.

The days of a learner are kept as runs, sorted: ``(first, last)`` each, both inclusive, as ordinals of the calendar
(``date.toordinal``). There is a day without an activity between two runs. The runs of a set of days are the same in
whatever order the days are added.
"""

from __future__ import annotations

import datetime as dt
from bisect import bisect_right
from collections.abc import Sequence

Runs = list[tuple[int, int]]


def day_of(moment: dt.datetime, zone: dt.tzinfo) -> int:
    """Return the day of a moment in a time zone."""
    try:
        return moment.astimezone(zone).toordinal()
    except OverflowError:  # at the first and the last day of the calendar
        return moment.toordinal()


def add_day(runs: Runs, day: int) -> None:
    """Add a day to runs, which may have it already."""
    place = bisect_right(runs, (day, day))
    if place < len(runs) and runs[place][0] == day:
        return
    first = last = day
    if place and runs[place - 1][1] >= day - 1:
        place -= 1
        first, last = runs[place][0], max(day, runs[place][1])
        del runs[place]
    if place < len(runs) and runs[place][0] == last + 1:
        last = runs[place][1]
        del runs[place]
    runs.insert(place, (first, last))


def longest_streak(runs: Sequence[tuple[int, int]], *, today: int) -> int:
    """Return the length of the longest run in days. Days after today do not count yet."""
    return max((min(last, today) - first + 1 for first, last in runs if first <= today), default=0)


def current_streak(runs: Sequence[tuple[int, int]], *, today: int) -> int:
    """
    Return the length of the run that has today or yesterday, in days; else 0. Days after today do not count yet.

    A streak is not over before the day without an activity is: today there is still time.
    """
    for first, last in reversed(runs):
        if first <= today:
            return min(last, today) - first + 1 if last >= today - 1 else 0
    return 0
