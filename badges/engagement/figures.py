"""
The figures of a learner, derived from the learner's activities. Pure.

``stats_of`` is the definition: it reads all activities. ``Totals`` are what is needed to add an activity without
reading the others again. Both give the same figures for any order of the activities and any duplicates.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from badges.engagement.experience import NO_XP, XPRule
from badges.engagement.streaks import Runs, add_day, current_streak, day_of, longest_streak
from badges.rules import EngagementStats


class PastActivity(NamedTuple):
    """
    An activity of one learner.

    ``digest`` identifies it: two with the same digest are one. ``score`` is a number of points, ``cards`` a number of
    cards; None where an activity has none.
    """

    digest: UUID
    kind: str
    occurred_at: dt.datetime
    score: float | None = None
    cards: int | None = None


@dataclass(frozen=True)
class Basis:
    """What the figures depend on besides the activities: the XP rules by kind, and the time zone that days are in."""

    rules: Mapping[str, XPRule]
    zone: ZoneInfo

    def xp_of(self, activity: PastActivity) -> int:
        """Return the XP of one activity."""
        return self.rules.get(activity.kind, NO_XP).xp_of(score=activity.score, cards=activity.cards)

    @property
    def digest(self) -> str:
        """32 hexadecimal digits. Totals with another digest have to be made anew."""
        rules = sorted((kind, [str(getattr(rule, key)) for key in rule.__slots__]) for kind, rule in self.rules.items())
        return hashlib.sha256(json.dumps([self.zone.key, rules]).encode()).hexdigest()[:32]


@dataclass
class Totals:
    """The sums over the activities of one learner: XP, the number of activities by kind, and the runs of days."""

    xp: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    runs: Runs = field(default_factory=list)

    def add(self, activity: PastActivity, basis: Basis) -> None:
        """Add an activity that has not been added before."""
        self.xp += basis.xp_of(activity)
        self.counts[activity.kind] = self.counts.get(activity.kind, 0) + 1
        add_day(self.runs, day_of(activity.occurred_at, basis.zone))

    def stats(self, basis: Basis, *, now: dt.datetime) -> EngagementStats:
        """Return the figures at a moment."""
        today = day_of(now, basis.zone)
        return EngagementStats(
            total_xp=self.xp,
            activities=dict(sorted(self.counts.items())),
            current_streak=current_streak(self.runs, today=today),
            longest_streak=longest_streak(self.runs, today=today),
        )


def totals_of(activities: Iterable[PastActivity], basis: Basis) -> Totals:
    """Return the totals of all activities of one learner, in any order."""
    totals = Totals()
    for activity in {activity.digest: activity for activity in activities}.values():
        totals.add(activity, basis)
    return totals


def stats_of(activities: Iterable[PastActivity], basis: Basis, *, now: dt.datetime) -> EngagementStats:
    """Return the figures of one learner at a moment, from all activities of the learner in any order."""
    return totals_of(activities, basis).stats(basis, now=now)
