"""
Where learners stand on templates: read for a batch, change, write for a batch.

A ``Standing`` is the working copy of one learner's progress on one template while the pipeline decides. Nothing here
asks the database per learner or per template.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import FilteredRelation, Q
from uuid6 import uuid7

from badges.catalog.causes import Cause
from badges.inserts import insert
from badges.progress.models import ACTIVE, BadgeProgress, Fulfillment


@dataclass
class Standing:
    """A learner on a template: requirements with an active fulfilment, and when it was first complete, if ever."""

    pair: uuid.UUID
    fulfilled: set[int] = field(default_factory=set)
    completed_at: dt.datetime | None = None
    begun: bool = False
    new: list[Fulfillment] = field(default_factory=list)
    changed: bool = False

    def fulfill(self, requirement_id: int, *, cause: Cause, revision_id: int, now: dt.datetime) -> bool:
        """Note that a requirement is met, unless it was; returns whether that is new."""
        if requirement_id in self.fulfilled:
            return False
        self.fulfilled.add(requirement_id)
        self.new.append(
            Fulfillment(
                id=uuid7(),
                progress_id=self.pair,
                requirement_id=requirement_id,
                active_key=ACTIVE,
                fulfilled_at=now,
                revision_id=revision_id,
                **cause.fields(),
            )
        )
        return True

    def complete(self, *, now: dt.datetime) -> None:
        """Note that every group has a fulfilled member."""
        self.completed_at = now
        self.changed = True


def load(pairs: Iterable[uuid.UUID]) -> dict[uuid.UUID, Standing]:
    """Return a standing for every pair, also for those that have not begun; one statement."""
    standings = {pair: Standing(pair) for pair in pairs}
    rows = (
        BadgeProgress.objects.filter(id__in=list(standings))
        .annotate(active=FilteredRelation("fulfillments", condition=Q(fulfillments__active_key=ACTIVE)))
        .order_by()
        .values_list("id", "completed_at", "active__requirement_id")
    )
    for pair, completed_at, requirement_id in rows:
        standing = standings[pair]
        standing.begun = True
        standing.completed_at = completed_at
        if requirement_id is not None:
            standing.fulfilled.add(requirement_id)
    return standings


def store(standings: Iterable[tuple[Standing, int, int]], *, now: dt.datetime) -> None:
    """Write what changed, given (standing, learner id, template id): two statements, one per table."""
    ordered = sorted(standings, key=lambda item: item[0].pair)
    rows = [
        BadgeProgress(
            id=standing.pair,
            learner_id=learner_id,
            template_id=template_id,
            created_at=now,
            completed_at=standing.completed_at,
        )
        for standing, learner_id, template_id in ordered
        if standing.changed or not standing.begun
    ]
    insert(rows, unique="id", update="completed_at")
    insert(fulfillment for standing, _, _ in ordered for fulfillment in standing.new)
