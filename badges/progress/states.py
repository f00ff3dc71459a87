"""
The state of progress while a batch is decided: loaded for the batch, changed in memory, stored for the batch.

A ``ProgressState`` is the progress of one learner on one template. The number of statements does not depend on how many
there are.
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
class ProgressState:
    """
    The progress of one learner on one template.

    ``fulfilled`` holds the ids of requirements with an active fulfilment, ``new`` the fulfilments that are not stored
    yet. ``begun`` tells whether there is a row of progress, and ``changed`` whether it has to be updated.
    """

    learner_template_id: uuid.UUID
    fulfilled: set[int] = field(default_factory=set)
    completed_at: dt.datetime | None = None
    begun: bool = False
    new: list[Fulfillment] = field(default_factory=list)
    changed: bool = False

    def fulfill(self, requirement_id: int, *, cause: Cause, revision_id: int, now: dt.datetime) -> bool:
        """Fulfil a requirement; return False if it was fulfilled already."""
        if requirement_id in self.fulfilled:
            return False
        self.fulfilled.add(requirement_id)
        self.new.append(
            Fulfillment(
                id=uuid7(),
                progress_id=self.learner_template_id,
                requirement_id=requirement_id,
                active_key=ACTIVE,
                fulfilled_at=now,
                revision_id=revision_id,
                **cause.fields(),
            )
        )
        return True

    def complete(self, *, now: dt.datetime) -> None:
        """Note that every group of requirements has a fulfilled member."""
        self.completed_at = now
        self.changed = True


def load(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, ProgressState]:
    """Return the state for every learner_template_id, also where no progress has begun; one statement."""
    states = {learner_template_id: ProgressState(learner_template_id) for learner_template_id in learner_template_ids}
    rows = (
        BadgeProgress.objects.filter(id__in=list(states))
        .annotate(active=FilteredRelation("fulfillments", condition=Q(fulfillments__active_key=ACTIVE)))
        .order_by()
        .values_list("id", "completed_at", "active__requirement_id")
    )
    for learner_template_id, completed_at, requirement_id in rows:
        state = states[learner_template_id]
        state.begun = True
        state.completed_at = completed_at
        if requirement_id is not None:
            state.fulfilled.add(requirement_id)
    return states


def store(states: Iterable[tuple[ProgressState, int, int]], *, now: dt.datetime) -> None:
    """Write what changed in states, each given as (state, learner id, template id); one statement for each table."""
    ordered = sorted(states, key=lambda item: item[0].learner_template_id)
    rows = [
        BadgeProgress(
            id=state.learner_template_id,
            learner_id=learner_id,
            template_id=template_id,
            created_at=now,
            completed_at=state.completed_at,
        )
        for state, learner_id, template_id in ordered
        if state.changed or not state.begun
    ]
    insert(rows, unique="id", update="completed_at")
    insert(fulfillment for state, _, _ in ordered for fulfillment in state.new)
