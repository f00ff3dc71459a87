"""
The state of progress while a batch is decided: loaded for the batch, changed in memory, stored for the batch.

A ``ProgressState`` is the progress of one learner on one template. The number of statements does not depend on how many
there are. ``fulfill`` and ``reset`` change memory only. Facts may be given in any order: whether a requirement is
fulfilled in the end, and by which newest fact, depends only on the times of the facts and of the resets.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from django.db.models import F, FilteredRelation, Max, Q
from django.db.models.functions import Coalesce
from uuid6 import uuid7

from badges.catalog.causes import Cause, CauseKind
from badges.database import Among
from badges.inserts import insert, new_row
from badges.progress.models import ACTIVE, BadgeProgress, Fulfillment
from badges.rules import completion

# What may change in a row that is stored.
_CHANGING = (
    *("active_key", "newest_event_source", "newest_event_id", "newest_event_time", "reset_at"),
    *("reset_kind", "reset_event_source", "reset_event_id", "reset_event_type", "reset_event_time"),
    *("reset_person", "reset_reason"),
)


class Change(Enum):
    """How the completeness of progress has changed."""

    COMPLETED = "completed"
    INCOMPLETE = "incomplete"


@dataclass(slots=True)
class ActiveFulfillment:
    """
    A requirement that is fulfilled: its row, the time of its first fact, and its newest fact.

    The first fact is the one that fulfilled the requirement. ``newest_time`` is at or after ``first_time``. ``row`` is
    the row if it is not stored yet, or will be changed.
    """

    id: uuid.UUID
    first_time: dt.datetime
    newest_time: dt.datetime
    newest: Cause
    row: Fulfillment | None = None


@dataclass
class ProgressState:
    """
    The progress of one learner on one template.

    - ``fulfilled``: the active fulfilments by requirement id.
    - ``void_until``: for requirements that were reset, the time up to which facts are void. ``progress.resets`` loads
      it.
    - ``begun``: whether there is a row of progress; ``changed``: whether that row has to be updated.
    - ``new``: fulfilments that are not stored yet, in the order in which they have to be written.
    - ``updated``: stored fulfilments that have to be updated.
    """

    learner_template_id: uuid.UUID
    fulfilled: dict[int, ActiveFulfillment] = field(default_factory=dict)
    void_until: dict[int, dt.datetime] = field(default_factory=dict)
    completed_at: dt.datetime | None = None
    begun: bool = False
    changed: bool = False
    new: list[Fulfillment] = field(default_factory=list)
    updated: dict[uuid.UUID, Fulfillment] = field(default_factory=dict)
    _lost: set[Hashable] = field(default_factory=set)

    def fulfill(self, requirement_id: int, *, cause: Cause, revision_id: int, now: dt.datetime) -> bool:
        """
        Apply a fact that meets a requirement; return whether it was not fulfilled before and is now.

        The time of the fact is that of the event, or ``now`` without an event. A fact at or before ``void_until`` is
        void. A fact of a requirement that is fulfilled is remembered if it is newer than the others.
        """
        time = cause.event_time or now
        void_until = self.void_until.get(requirement_id)
        if void_until is not None and time <= void_until:
            return False
        active = self.fulfilled.get(requirement_id)
        if active is None:
            self._begin(requirement_id, cause, time, revision_id, now)
            return True
        is_newer = (time, cause.event_id) > (active.newest_time, active.newest.event_id)
        if is_newer and cause.kind is CauseKind.EVENT:
            active.newest_time, active.newest = time, cause
            row = active.row or self._update(active, requirement_id, revision_id, now)
            row.newest_event_source, row.newest_event_id = cause.event_source, cause.event_id
            row.newest_event_time = cause.event_time
        return False

    def reset(self, requirement_id: int, *, cause: Cause, at: dt.datetime, revision_id: int, now: dt.datetime) -> bool:
        """
        Make facts at or before ``at`` void; return whether the requirement was fulfilled before and is not now.

        The row of a fulfilment that began at or before ``at`` stays as history, with the cause of the reset. If its
        newest fact is later than ``at``, the requirement stays fulfilled: by that fact, in a new row.
        """
        self.void_until[requirement_id] = max(at, self.void_until.get(requirement_id, at))
        active = self.fulfilled.get(requirement_id)
        if active is None or active.first_time > at:
            return False
        row = active.row or self._update(active, requirement_id, revision_id, now)
        row.active_key, row.reset_at = None, now
        row.newest_event_source = row.newest_event_id = row.newest_event_time = None
        for column, value in cause.fields("reset").items():
            setattr(row, column, value)
        del self.fulfilled[requirement_id]
        if active.newest_time <= at:
            self._lost.add(requirement_id)
            return True
        self._begin(requirement_id, active.newest, active.newest_time, revision_id, now)
        return False

    def recompute(self, requirements: Iterable[tuple[Hashable, str | None]], *, now: dt.datetime) -> Change | None:
        """
        Compare what is fulfilled with a template's requirements, each given as (id, group); return what has changed.

        COMPLETED: every group has a fulfilled member now, for the first time or again. INCOMPLETE: the progress was
        complete, and a reset has left a group open. A template that has got more requirements makes no progress
        incomplete, also when a reset takes an alternative of another group.
        """
        lost, self._lost = self._lost, set()
        if self.completed_at is not None and not lost:
            return None
        found = completion(requirements, self.fulfilled)
        if self.completed_at is None:
            if not found.complete:
                return None
            self.completed_at, self.changed = now, True
            return Change.COMPLETED
        if lost.isdisjoint(requirement for group in found.open for requirement in group.requirements):
            return None
        self.completed_at, self.changed = None, True
        return Change.INCOMPLETE

    def complete_since(self, requirements: Iterable[tuple[Hashable, str | None]]) -> dt.datetime | None:
        """
        Return the earliest of the newest facts of the groups: all facts that completed them anew are at or after it.

        In a group of alternatives the newest fact counts. None if a group is open, and without requirements.
        """
        newest: dict[Hashable, dt.datetime | None] = {}
        for requirement_id, group in requirements:
            key = (group, None) if group else (None, requirement_id)  # as ``completion`` does
            active = self.fulfilled.get(requirement_id)  # type: ignore[call-overload]
            times = [each for each in (newest.get(key), active and active.newest_time) if each is not None]
            newest[key] = max(times, default=None)
        moments = [moment for moment in newest.values() if moment is not None]
        return min(moments, default=None) if len(moments) == len(newest) else None

    def _begin(
        self, requirement_id: int, cause: Cause, time: dt.datetime, revision_id: int, now: dt.datetime
    ) -> ActiveFulfillment:
        row = self._row(uuid7(), requirement_id, cause, revision_id, now)
        self.new.append(row)
        active = self.fulfilled[requirement_id] = ActiveFulfillment(row.id, time, time, cause, row)
        return active

    def _update(
        self, active: ActiveFulfillment, requirement_id: int, revision_id: int, now: dt.datetime
    ) -> Fulfillment:
        """
        Return a row that updates the stored one.

        Only the columns that change are written. If the stored row was deleted meanwhile, this row is inserted: a
        fulfilment by the newest fact, which is true as well.
        """
        active.row = self.updated[active.id] = self._row(active.id, requirement_id, active.newest, revision_id, now)
        return active.row

    def _row(self, id: uuid.UUID, requirement_id: int, cause: Cause, revision_id: int, now: dt.datetime) -> Fulfillment:
        return new_row(
            Fulfillment,
            id=id,
            progress_id=self.learner_template_id,
            requirement_id=requirement_id,
            active_key=ACTIVE,
            fulfilled_at=now,
            revision_id=revision_id,
            **cause.fields(),
        )


def load(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, ProgressState]:
    """Return the state for every learner_template_id, also where no progress has begun; one statement."""
    states = {learner_template_id: ProgressState(learner_template_id) for learner_template_id in learner_template_ids}
    rows = (
        BadgeProgress.objects.filter(Among(F("id"), states))
        .annotate(active=FilteredRelation("fulfillments", condition=Q(fulfillments__active_key=ACTIVE)))
        .order_by()
        .values_list(
            "id",
            "completed_at",
            "active__requirement_id",
            "active__id",
            Coalesce(F("active__cause_event_time"), F("active__fulfilled_at")),
            Coalesce(F("active__newest_event_time"), F("active__cause_event_time"), F("active__fulfilled_at")),
            Coalesce(F("active__newest_event_source"), F("active__cause_event_source")),
            Coalesce(F("active__newest_event_id"), F("active__cause_event_id")),
            "active__cause_event_type",
        )
    )
    for learner_template_id, completed_at, requirement_id, pk, first_time, newest_time, source, event_id, type in rows:
        state = states[learner_template_id]
        state.begun = True
        state.completed_at = completed_at
        if requirement_id is not None:
            newest = Cause(
                CauseKind.EVENT, event_source=source, event_id=event_id, event_type=type, event_time=newest_time
            )
            state.fulfilled[requirement_id] = ActiveFulfillment(pk, first_time, newest_time, newest)
    return states


def load_expired(states: Mapping[uuid.UUID, ProgressState]) -> None:
    """
    Make the facts void that counted for badges which have expired since; one statement, none without states.

    For templates with an expiry: a late event must not bring back what its badge was given for.
    """
    if not states:
        return
    expired = Fulfillment.objects.filter(progress__in=list(states), active_key=None, reset_kind=CauseKind.EXPIRED)
    times = expired.order_by().values_list("progress_id", "requirement_id").annotate(Max("reset_event_time"))
    for progress_id, requirement_id, time in times:
        void_until = states[progress_id].void_until
        void_until[requirement_id] = max(time, void_until.get(requirement_id, time))


def store(states: Iterable[tuple[ProgressState, int, int]], *, now: dt.datetime) -> None:
    """
    Write what changed in states, each given as (state, learner id, template id).

    One statement for progress, one for new fulfilments, and one for those that are updated.
    """
    ordered = sorted(states, key=lambda item: item[0].learner_template_id)
    rows = [
        new_row(
            BadgeProgress,
            id=state.learner_template_id,
            learner_id=learner_id,
            template_id=template_id,
            created_at=now,
            completed_at=state.completed_at,
        )
        for state, learner_id, template_id in ordered
        if state.changed or (state.new and not state.begun)
    ]
    insert(rows, unique="id", update="completed_at")
    # Updates first: a fulfilment that is reset makes room for the one that takes its place.
    insert((row for state, _, _ in ordered for row in state.updated.values()), unique="id", update=_CHANGING)
    insert(row for state, _, _ in ordered for row in state.new)
