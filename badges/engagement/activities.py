"""
Writing activities and reading the figures that follow from them.

The sums of a learner (``LearnerEngagement``) are changed with the activities. So the number of statements depends
neither on the number of activities nor on how many there were before.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings

from badges.conf import config
from badges.engagement.experience import XPRule, read_rules
from badges.engagement.figures import Basis, PastActivity, Totals
from badges.engagement.models import Activity, LearnerEngagement
from badges.inserts import insert, new_row
from badges.rules import EngagementStats, event_digest, figure_of

_COLUMNS = ("digest", "kind", "occurred_at", "score", "cards")


@dataclass(frozen=True, slots=True)
class NewActivity:
    """An activity that is to be recorded. ``source`` and ``event_id`` together identify it for its learner."""

    learner_id: int
    kind: str
    source: str
    event_id: str
    occurred_at: dt.datetime
    score: float | None = None
    cards: int | None = None

    @property
    def key(self) -> tuple[int, UUID]:
        """What identifies it among the activities of all learners."""
        return self.learner_id, event_digest(self.source, self.event_id)


@dataclass(frozen=True, slots=True)
class Recorded:
    """
    What became of activities that were to be recorded.

    ``new`` are those that were not known before. ``xp`` are the XP of each activity by its key, also of the known ones.
    ``stats`` are the figures of their learners.
    """

    new: Sequence[NewActivity]
    xp: Mapping[tuple[int, UUID], int]
    stats: Mapping[int, EngagementStats]


def record(
    activities: Iterable[NewActivity], *, now: dt.datetime, time_zones: Mapping[int, str] | None = None
) -> Recorded:
    """
    Write activities; one that is known already stays as it is. Return what became of them.

    ``time_zones`` are IANA names by the id of the learner. They replace those that are stored, for learners with a new
    activity. Must run in a transaction that has locked the learners. Four statements, and one more when sums have to be
    made anew; two when nothing is new.
    """
    given: dict[tuple[int, UUID], NewActivity] = {}
    for activity in activities:
        given.setdefault(activity.key, activity)
    learners = sorted({learner_id for learner_id, _ in given})
    known = _known(given)
    rows = {key: known.get(key) or _past(activity) for key, activity in given.items()}
    new = {key: activity for key, activity in given.items() if key not in known}
    _insert(new, now)
    found = _read_engagement(learners)
    rules, _problems = read_rules(config.engagement["xp"])
    added: dict[int, list[PastActivity]] = {}
    for learner_id, digest in new:
        added.setdefault(learner_id, []).append(rows[learner_id, digest])
    changed: dict[int, tuple[str, Basis, Totals]] = {}
    unchanged: dict[int, tuple[Basis, Totals]] = {}
    outdated: dict[int, tuple[str, Basis]] = {}
    for learner_id in learners:
        row = found.get(learner_id)
        given_zone = (time_zones or {}).get(learner_id) if learner_id in added else None
        zone = given_zone or (row.time_zone if row else "")
        basis = basis_of(zone, rules)
        if row is not None and row.basis != basis.digest:
            outdated[learner_id] = zone, basis
            continue
        totals = _totals(row)
        for past in added.get(learner_id, ()):
            totals.add(past, basis)
        if row is None or row.time_zone != zone or learner_id in added:
            changed[learner_id] = zone, basis, totals
        else:
            unchanged[learner_id] = basis, totals
    for learner_id, totals in _totals_anew({key: basis for key, (_, basis) in outdated.items()}).items():
        changed[learner_id] = (*outdated[learner_id], totals)
    _store(changed, now)
    of_learner = unchanged | {key: (basis, totals) for key, (_, basis, totals) in changed.items()}
    return Recorded(
        new=list(new.values()),
        xp={key: of_learner[key[0]][0].xp_of(row) for key, row in rows.items()},
        stats={key: totals.stats(basis, now=now) for key, (basis, totals) in of_learner.items()},
    )


def stats_of(learner_ids: Collection[int], *, now: dt.datetime) -> dict[int, EngagementStats]:
    """Return the figures of learners at a moment; one statement, or two after the rules were changed."""
    rules, _problems = read_rules(config.engagement["xp"])
    rows = _read_engagement(learner_ids)
    bases = {key: basis_of(row.time_zone, rules) for key, row in rows.items()}
    anew = _totals_anew({key: bases[key] for key, row in rows.items() if row.basis != bases[key].digest})
    found = {key: (anew.get(key) or _totals(row)).stats(bases[key], now=now) for key, row in rows.items()}
    return {key: found.get(key) or EngagementStats() for key in learner_ids}


def figures_of(learner_ids: Collection[int], names: Collection[str], *, now: dt.datetime) -> dict[int, dict[str, int]]:
    """Return the figures of learners that criteria documents ask for by ``$stat``; statements as ``stats_of``."""
    return {
        learner_id: {name: figure for name in names if (figure := figure_of(stats, name)) is not None}
        for learner_id, stats in stats_of(learner_ids, now=now).items()
    }


def delete_of(learner_id: int) -> int:
    """Delete the activities of a learner and what follows from them; return how many activities there were."""
    LearnerEngagement.objects.filter(learner=learner_id).delete()
    return Activity.objects.filter(learner=learner_id).delete()[0]


def basis_of(zone: str, rules: Mapping[str, XPRule]) -> Basis:
    """Return what figures depend on, for a learner with this time zone; empty: that of the site."""
    found = time_zone(zone) or time_zone(config.engagement["time_zone"])
    return Basis(rules, found or ZoneInfo(settings.TIME_ZONE))


def time_zone(name: Any) -> ZoneInfo | None:
    """Return a time zone; None when there is no name, or when this machine does not have the zone any more."""
    try:
        return ZoneInfo(name) if name else None
    except (LookupError, TypeError, ValueError, OSError):
        return None


def _known(keys: Iterable[tuple[int, UUID]]) -> dict[tuple[int, UUID], PastActivity]:
    """Return which activities there are already; one statement."""
    keys = set(keys)
    rows = Activity.objects.filter(
        learner__in=sorted({learner_id for learner_id, _ in keys}), digest__in=sorted({digest for _, digest in keys})
    ).order_by()
    found = {}
    for learner_id, *values in rows.values_list("learner_id", *_COLUMNS):
        past = PastActivity(*values)
        if (learner_id, past.digest) in keys:
            found[learner_id, past.digest] = past
    return found


def _past(activity: NewActivity) -> PastActivity:
    return PastActivity(activity.key[1], activity.kind, activity.occurred_at, activity.score, activity.cards)


def _insert(new: Mapping[tuple[int, UUID], NewActivity], now: dt.datetime) -> None:
    insert(
        new_row(
            Activity,
            learner_id=learner_id,
            digest=digest,
            kind=activity.kind,
            source=activity.source,
            event_id=activity.event_id,
            score=activity.score,
            cards=activity.cards,
            occurred_at=activity.occurred_at,
            received_at=now,
        )
        for (learner_id, digest), activity in sorted(new.items(), key=lambda item: item[0])
    )


def _read_engagement(learner_ids: Collection[int]) -> dict[int, LearnerEngagement]:
    return {row.learner_id: row for row in LearnerEngagement.objects.filter(learner__in=sorted(learner_ids))}


def _totals(row: LearnerEngagement | None) -> Totals:
    if row is None:
        return Totals()
    return Totals(row.total_xp, json.loads(row.counts), [(first, last) for first, last in json.loads(row.runs)])


def _totals_anew(bases: Mapping[int, Basis]) -> dict[int, Totals]:
    """Return the totals of learners from all of their activities; one statement, none without learners."""
    if not bases:
        return {}
    totals = {key: Totals() for key in bases}
    rows = Activity.objects.filter(learner__in=sorted(bases)).order_by()
    # Added one by one, so that activities do not pile up in memory. (MariaDB's driver holds all rows of a result, and
    # pages would cost statements.) The table holds each activity once.
    for learner_id, *values in rows.values_list("learner_id", *_COLUMNS).iterator():
        totals[learner_id].add(PastActivity(*values), bases[learner_id])
    return totals


def _store(changed: Mapping[int, tuple[str, Basis, Totals]], now: dt.datetime) -> None:
    rows = [
        new_row(
            LearnerEngagement,
            learner_id=learner_id,
            time_zone=zone,
            basis=basis.digest,
            total_xp=totals.xp,
            counts=json.dumps(totals.counts, sort_keys=True),
            runs=json.dumps(totals.runs),
            changed_at=now,
        )
        for learner_id, (zone, basis, totals) in sorted(changed.items())
    ]
    update = ("time_zone", "basis", "total_xp", "counts", "runs", "changed_at")
    insert(rows, unique="learner", update=update)
