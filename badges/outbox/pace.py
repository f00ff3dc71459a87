"""
The pace at which a circuit lets rows through, after the other side has answered that there are too many requests.

Pure functions. Providers do not publish their limits, so the pace is found out: each refusal for too many requests at
least doubles the time between two requests, and without a refusal that time becomes shorter by itself.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

# Seconds between two requests after the first refusal.
FIRST_INTERVAL = 0.5
LONGEST_INTERVAL = 300.0

# A shorter interval is no limit any more: an answer takes longer.
SHORTEST_INTERVAL = 0.05

# By this factor more requests go out after each minute without a refusal.
GROWTH_PER_MINUTE = 1.1


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
