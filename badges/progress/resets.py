"""
Resets of requirements, by person: up to when facts are void.

The state of progress (``badges.progress.states``) takes them into account; here they are read and written. A person is
the LMS user id, or minus the primary key of a learner who has none.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable

from django.db.models import F

from badges.catalog.causes import Cause, CauseKind
from badges.database import Among
from badges.inserts import insert, new_row
from badges.progress.models import RequirementReset
from badges.progress.states import ProgressState

_NEWEST = ("void_until", "kind", "event_source", "event_id", "event_type", "revision", "received_at")


def new_reset(
    person: int, requirement_id: int, *, at: dt.datetime, cause: Cause, revision_id: int, now: dt.datetime
) -> RequirementReset:
    """Return an unsaved row: facts of a requirement at or before ``at`` are void for a person."""
    return new_row(
        RequirementReset,
        person=person,
        requirement_id=requirement_id,
        void_until=at,
        kind=cause.kind,
        event_source=cause.event_source,
        event_id=cause.event_id,
        event_type=cause.event_type,
        revision_id=revision_id,
        received_at=now,
    )


def load(wanted: Iterable[tuple[ProgressState, Collection[int], Collection[int]]]) -> None:
    """
    Fill ``void_until`` of states; one statement, or none.

    Each is given with the keys by which the person may be stored, and the ids of the requirements that may have been
    reset.
    """
    states: dict[tuple[int, int], ProgressState] = {}
    for state, people, requirement_ids in wanted:
        for person in people:
            states |= {(person, requirement_id): state for requirement_id in requirement_ids}
    if not states:
        return
    people, requirement_ids = {person for person, _ in states}, {requirement_id for _, requirement_id in states}
    rows = RequirementReset.objects.filter(Among(F("person"), people), Among(F("requirement_id"), requirement_ids))
    for person, requirement_id, at in rows.order_by().values_list("person", "requirement_id", "void_until"):
        found = states.get((person, requirement_id))
        if found is not None:
            found.void_until[requirement_id] = max(at, found.void_until.get(requirement_id, at))


def store(rows: Iterable[RequirementReset]) -> None:
    """Write resets; what is stored stays if it is newer. One statement."""
    newest: dict[tuple[int, int], RequirementReset] = {}
    for row in rows:
        key = (row.person, row.requirement_id)
        if key not in newest or newest[key].void_until < row.void_until:
            newest[key] = row
    # One order for all processes, so that they wait for each other and do not deadlock.
    ordered = [newest[key] for key in sorted(newest)]
    insert(ordered, unique=("person", "requirement"), update=_NEWEST, if_greater="void_until")


def of_people(people: Collection[int], requirement_ids: Collection[int]) -> list[RequirementReset]:
    """Return the resets of people, with the requirements and the revisions; one statement, or none."""
    if not people or not requirement_ids:
        return []
    rows = RequirementReset.objects.filter(person__in=people, requirement__in=requirement_ids)
    return list(rows.select_related("requirement", "revision"))


def cause_of(row: RequirementReset) -> Cause:
    """Return what a requirement was reset by."""
    return Cause(
        CauseKind(row.kind),
        event_source=row.event_source,
        event_id=row.event_id,
        event_type=row.event_type,
        event_time=row.void_until,
    )


def delete_of(person: int) -> int:
    """Delete the resets of a person; return how many."""
    return RequirementReset.objects.filter(person=person).delete()[0]
