"""
The pace at which a circuit lets rows through, after the other side has answered that there are too many requests.

Pure functions. Providers do not publish their limits, so the pace is found out: each refusal for too many requests at
least doubles the time between two requests, and without a refusal that time becomes shorter by itself.
"""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass

# Seconds between two requests after the first refusal.
FIRST_INTERVAL = 0.5
LONGEST_INTERVAL = 300.0

# A shorter interval is no limit any more: an answer takes longer.
SHORTEST_INTERVAL = 0.05

# By this factor more requests go out after each minute without a refusal.
GROWTH_PER_MINUTE = 1.1

# The requests of so many seconds go together, so that a worker need not ask the database for each.
TOGETHER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """The seconds between two requests, as they were at a moment. An ``interval`` of 0: as many as there are."""

    interval: float = 0.0
    at: dt.datetime | None = None


def interval_at(pace: Pace, now: dt.datetime) -> float:
    """Return the seconds between two requests at ``now``; 0 when there is no limit, or no longer one."""
    if pace.at is None or pace.interval <= 0:
        return 0.0
    minutes = max((now - pace.at).total_seconds(), 0.0) / 60
    interval = float(pace.interval * GROWTH_PER_MINUTE**-minutes)
    return interval if interval >= SHORTEST_INTERVAL else 0.0


def slower(pace: Pace, now: dt.datetime) -> Pace:
    """Return the pace after a refusal: half as many requests as now, or the first limit."""
    return Pace(min(max(2 * interval_at(pace, now), FIRST_INTERVAL), LONGEST_INTERVAL), now)


def turns_at_once(interval: float) -> int:
    """Return how many requests go together: those of ``TOGETHER_SECONDS``, or one."""
    return max(1, int(TOGETHER_SECONDS / interval))


def turn_at(pace: Pace, number: int, start: dt.datetime) -> dt.datetime:
    """Return when ``number`` more requests have gone out after ``start``, if none of them is refused."""
    interval = interval_at(pace, start)
    growth = math.log(GROWTH_PER_MINUTE) / 60
    return start + dt.timedelta(seconds=math.log1p(number * interval * growth) / growth)
