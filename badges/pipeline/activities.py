"""
Activities of learners: recorded, and the badges awarded that they earn.

A request brings one activity, and its answer names the new badges. So everything happens in one transaction: the
activity, the figures, the awards and their outbox messages.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from badges.catalog import snapshot
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.snapshot import Snapshot
from badges.engagement.activities import NewActivity, record
from badges.granting import NewAward, award, with_locked_learner
from badges.intake.models import Learner
from badges.rules import EngagementStats, meets_badge_condition


@dataclass(frozen=True, slots=True)
class RecordedActivity:
    """
    What an activity gave, and the figures of its learner after it.

    ``xp_gained`` are the XP of this activity, also when it was known before. ``is_new`` tells whether it was not.
    ``new_badges`` are the slugs of the templates that it earned.
    """

    xp_gained: int
    stats: EngagementStats
    is_new: bool
    new_badges: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActivityData:
    """An activity whose learner may not be there yet. ``badges.engagement.activities.NewActivity`` says more."""

    kind: str
    source: str
    event_id: str
    occurred_at: dt.datetime
    score: float | None = None
    cards: int | None = None

    def of(self, learner: Learner) -> NewActivity:
        """Return the activity of a learner."""
        return NewActivity(
            learner.pk, self.kind, self.source, self.event_id, self.occurred_at, score=self.score, cards=self.cards
        )


def record_activity(
    learner: Learner | Callable[[], Learner], data: ActivityData, *, time_zone: str = "", now: dt.datetime
) -> RecordedActivity:
    """
    Record an activity, award what it earns, and return what it gave.

    An activity that is known already changes nothing, whatever else the request says. ``learner`` may be a function
    that creates the learner. ``time_zone`` is the IANA name of the zone in which the learner's days begin from now on;
    empty: as before. Raises UnknownPersonError when the person was retired.
    """

    catalog = snapshot.current()

    def work(found: Learner) -> RecordedActivity:
        activity = data.of(found)
        recorded = record([activity], now=now, time_zones={found.pk: time_zone} if time_zone else None)
        stats, xp = recorded.stats[found.pk], recorded.xp[activity.key]
        if not recorded.new:
            return RecordedActivity(xp, stats, is_new=False, new_badges=())
        earned = list(awards_by_condition(catalog, {found.pk: stats}, {found.pk: activity}))
        slug_of = {each.template.id: each.template.slug for each in earned}
        awarded = [slug_of[credential.template_id] for credential in award(earned, now=now)]
        return RecordedActivity(xp, stats, is_new=True, new_badges=awarded)

    return with_locked_learner(learner, work)


def awards_by_condition(
    catalog: Snapshot, stats: Mapping[int, EngagementStats], activities: Mapping[int, NewActivity]
) -> Iterator[NewAward]:
    """
    Yield the awards of all badge conditions that hold for learners, also of badges that a learner has already.

    ``stats`` and ``activities`` are the figures of the learners, and the activities that are the causes, by the id of
    the learner.
    """
    for learner_id, figures in sorted(stats.items()):
        for slug, template in sorted(catalog.by_condition.items()):
            if meets_badge_condition(slug, figures):
                yield NewAward(learner_id, template, cause_of(activities[learner_id]))


def cause_of(activity: NewActivity) -> Cause:
    """Return an activity as the cause of an award by a badge condition."""
    return Cause(
        CauseKind.CONDITION,
        event_source=activity.source,
        event_id=activity.event_id,
        event_type=activity.kind,
        event_time=activity.occurred_at,
    )
