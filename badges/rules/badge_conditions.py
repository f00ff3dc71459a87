"""
Badge conditions: functions of a learner's engagement figures, each found by the slug of the badge that it gives.

A template that demands nothing else is given when the condition of its slug holds. Four conditions ship. Another
package brings one behind an entry point of the group ``badges.badge_conditions``; the name of the entry point is the
slug. Code that is imported anyway may register one with ``badge_condition`` instead.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from badges.common.entry_points import EntryPointLoader
from badges.exceptions import BadgesError

ENTRY_POINT_GROUP = "badges.badge_conditions"
XP_OF_50_XP = 50
DAYS_OF_A_WEEK = 7

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngagementStats:
    """
    The engagement figures of one learner at a moment.

    - ``total_xp``: the XP of all activities.
    - ``activities``: how many activities there are of each kind, such as ``{"quiz": 3}``. A kind without any is left
      out.
    - ``current_streak``: how many days in a row there was an activity, up to today or yesterday; else 0.
    - ``longest_streak``: the same for the longest such row of days.
    """

    total_xp: int = 0
    activities: Mapping[str, int] = field(default_factory=dict)
    current_streak: int = 0
    longest_streak: int = 0

    @property
    def total_activities(self) -> int:
        """The number of activities of all kinds."""
        return sum(self.activities.values())


# What criteria documents may ask for by ``$stat``, besides the number of activities of a kind: ``activities.quiz``.
_FIGURES: dict[str, Callable[[EngagementStats], int]] = {
    "xp": lambda stats: stats.total_xp,
    "current_streak": lambda stats: stats.current_streak,
    "longest_streak": lambda stats: stats.longest_streak,
    "activities": lambda stats: stats.total_activities,
}
_OF_A_KIND = "activities."


def figure_of(stats: EngagementStats, name: str) -> int | None:
    """Return the figure that criteria documents call by a name; None if there is no such figure."""
    if name in _FIGURES:
        return _FIGURES[name](stats)
    kind = name.removeprefix(_OF_A_KIND)
    return stats.activities.get(kind, 0) if kind and kind != name else None


def why_no_figure(name: str) -> str | None:
    """Return what to write instead of a name, or None if it is the name of a figure."""
    if figure_of(EngagementStats(), name) is not None:
        return None
    return f"{name!r} is no figure; write {', '.join(_FIGURES)}, or the activities of a kind, such as activities.quiz"


BadgeCondition = Callable[[EngagementStats], bool]


class UnknownBadgeCondition(BadgesError):
    """No badge condition has this slug, or the package that brings it cannot be loaded."""


def getting_started(stats: EngagementStats) -> bool:
    """There is an activity."""
    return stats.total_activities > 0


def first_xp(stats: EngagementStats) -> bool:
    """There are XP."""
    return stats.total_xp > 0


def fifty_xp(stats: EngagementStats) -> bool:
    """There are 50 XP."""
    return stats.total_xp >= XP_OF_50_XP


def week_streak(stats: EngagementStats) -> bool:
    """There were activities on seven days in a row, now or before."""
    return stats.longest_streak >= DAYS_OF_A_WEEK


SHIPPED: dict[str, BadgeCondition] = {
    "getting_started": getting_started,
    "first_xp": first_xp,
    "50_xp": fifty_xp,
    "week_streak": week_streak,
}

functions: EntryPointLoader[BadgeCondition] = EntryPointLoader(
    ENTRY_POINT_GROUP,
    noun="badge condition",
    kind=Callable,  # type: ignore[arg-type]  # any callable will do
    kind_name="function",
    error=UnknownBadgeCondition,
    remedy="deactivate the template of this slug",
    built_in=SHIPPED,
)


def badge_condition(slug: str) -> Callable[[BadgeCondition], BadgeCondition]:
    """
    Register the decorated function as the condition of the badge with this slug, in this process.

    The function gets ``EngagementStats`` and returns whether the learner is to get the badge. It must not read anything
    else, since it is asked again after every activity. The module has to be imported in every process, for example by
    ``AppConfig.ready``. An entry point does that by itself. Raises ValueError when the slug is that of a condition that
    ships.
    """
    if slug in SHIPPED:
        raise ValueError(f"The badge condition {slug!r} ships with this plugin; choose another slug.")

    def register(function: BadgeCondition) -> BadgeCondition:
        functions.register(slug, function)
        return function

    return register


def badge_condition_slugs() -> list[str]:
    """Return the slugs of all badge conditions; loads none of them."""
    return functions.names()


def meets_badge_condition(slug: str, stats: EngagementStats) -> bool:
    """
    Return whether the condition of a badge holds for a learner's figures.

    False if there is no condition of this slug, or if it fails: code of another package must not keep other badges from
    their learners. The log then names the slug and the class of the error, without values.
    """
    if slug not in functions.names():
        return False
    try:
        answer = functions.get(slug)(stats)
    except Exception as error:  # another package's code may fail in any way
        logger.error("The badge condition %s failed: %s", slug, type(error).__name__)
        return False
    if not isinstance(answer, bool):
        logger.error("The badge condition %s returned no boolean but a %s", slug, type(answer).__name__)
        return False
    return answer
