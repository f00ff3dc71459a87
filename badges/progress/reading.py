"""Reports of progress, for pages and the API: the requirements of a template, and which of them are fulfilled."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Prefetch, QuerySet

from badges.catalog.criteria import criteria_of, describe_criteria
from badges.catalog.documents import CRITERIA_KEY, Document
from badges.catalog.models import BadgeRequirement, BadgeTemplate
from badges.progress.models import ACTIVE, BadgeProgress, Fulfillment, RequirementReset
from badges.rules import completion


@dataclass(frozen=True)
class RequirementReport:
    """
    A requirement and its active fulfilment, or None. ``reset`` is its last reset by a penalty, if whoever asked gave
    the resets to ``report``: facts up to then are void.

    ``criteria`` is the document if the requirement is the criteria document of its template, else None. ``missing`` is
    what is missing of it, as far as whoever asked gave that to ``report``.
    """

    requirement: BadgeRequirement
    fulfillment: Fulfillment | None
    criteria: Document | None = None
    missing: Sequence[str] | None = None
    reset: RequirementReset | None = None

    @property
    def description(self) -> str:
        """What the author wrote about it; a criteria document in the reader's language."""
        return self.requirement.description if self.criteria is None else describe_criteria(self.criteria)


@dataclass(frozen=True)
class GroupReport:
    """Alternative requirements, of which one is enough. ``name`` is None for a requirement that stands alone."""

    name: str | None
    requirements: tuple[RequirementReport, ...]

    @property
    def fulfilled(self) -> bool:
        """Whether one of the requirements is fulfilled."""
        return any(requirement.fulfillment for requirement in self.requirements)


@dataclass(frozen=True)
class ProgressReport:
    """The requirements of a template today, group by group, and which of them a learner has fulfilled."""

    groups: tuple[GroupReport, ...]

    @property
    def fulfilled(self) -> int:
        """The number of groups that are fulfilled."""
        return sum(group.fulfilled for group in self.groups)

    @property
    def total(self) -> int:
        """The number of groups."""
        return len(self.groups)

    @property
    def open_criteria(self) -> RequirementReport | None:
        """The criteria document, if there is one that is not fulfilled."""
        members = (requirement for group in self.groups for requirement in group.requirements)
        return next((each for each in members if each.criteria is not None and each.fulfillment is None), None)


def live_requirements() -> QuerySet[BadgeRequirement]:
    """Return the requirements of today of all templates, in their order."""
    return BadgeRequirement.objects.filter(archived_at=None).order_by("id")


def with_reports(rows: QuerySet[BadgeProgress]) -> QuerySet[BadgeProgress]:
    """Return rows with what ``report`` needs of them; three more statements, however many rows there are."""
    active = Fulfillment.objects.filter(active_key=ACTIVE).select_related("revision")
    return rows.prefetch_related(
        "template__current_revision",  # holds the criteria documents
        Prefetch("template__requirements", queryset=live_requirements(), to_attr="live_requirements"),
        Prefetch("fulfillments", queryset=active, to_attr="active_fulfillments"),
    )


def void_until(
    fulfillments: Iterable[Fulfillment], *, at: dt.datetime, reset: RequirementReset | None = None
) -> dt.datetime | None:
    """
    Return the time up to which facts of a requirement are void at a moment; None if it was not reset until then.

    ``fulfillments`` are all those of one learner and one requirement, the past ones among them. ``reset`` is the last
    reset by a penalty, which may have found no fulfilment.
    """
    times = [row.reset_event_time or row.reset_at for row in fulfillments]
    times.append(reset.void_until if reset else None)
    return max((time for time in times if time is not None and time <= at), default=None)


def criteria_void_until(progress_ids: Collection[uuid.UUID], *, at: dt.datetime) -> dict[uuid.UUID, dt.datetime]:
    """Return up to when facts of criteria documents are void at a moment, by the id of the progress; one statement."""
    was_reset = Fulfillment.objects.filter(progress__in=progress_ids, requirement__key=CRITERIA_KEY, active_key=None)
    rows: dict[uuid.UUID, list[Fulfillment]] = {}
    for row in was_reset.only("progress_id", "reset_event_time", "reset_at"):
        rows.setdefault(row.progress_id, []).append(row)
    return {progress_id: time for progress_id, found in rows.items() if (time := void_until(found, at=at)) is not None}


def report(
    progress: BadgeProgress,
    *,
    missing: Sequence[str] | None = None,
    resets: Mapping[int, RequirementReset] | None = None,
) -> ProgressReport:
    """
    Return the report of a row that was read through ``with_reports``; no statement.

    ``missing`` is what is missing of the criteria document (``badges.api.missing_criteria``), ``resets`` are the resets
    of the learner by id of the requirement (``badges.api.last_resets``).
    """
    fulfillments = {fulfillment.requirement_id: fulfillment for fulfillment in cast(Any, progress).active_fulfillments}
    return _report(progress.template, fulfillments, missing, resets or {})


def report_of_nothing(template: BadgeTemplate, *, missing: Sequence[str] | None = None) -> ProgressReport:
    """
    Return the report on a template of which nothing is fulfilled; no statement.

    Its ``live_requirements`` and its ``current_revision`` must have been read.
    """
    return _report(template, {}, missing, {})


def _report(
    template: BadgeTemplate,
    fulfillments: dict[int, Fulfillment],
    missing: Sequence[str] | None,
    resets: Mapping[int, RequirementReset],
) -> ProgressReport:
    requirements = cast(Any, template).live_requirements
    criteria = criteria_of(template) if any(row.key == CRITERIA_KEY for row in requirements) else None
    return ProgressReport(tuple(_groups(requirements, fulfillments, criteria, missing, resets)))


def _groups(
    requirements: Iterable[BadgeRequirement],
    fulfillments: dict[int, Fulfillment],
    criteria: Document | None,
    missing: Sequence[str] | None,
    resets: Mapping[int, RequirementReset],
) -> Iterable[GroupReport]:
    by_id = {requirement.pk: requirement for requirement in requirements}
    # With nothing fulfilled, every group is open. So this names all groups.
    nothing_fulfilled = completion(((requirement.pk, requirement.group) for requirement in by_id.values()), frozenset())
    for group in nothing_fulfilled.open:
        ids = cast("tuple[int, ...]", group.requirements)
        members = (
            RequirementReport(row, fulfillments.get(row.pk), criteria, missing, resets.get(row.pk))
            if row.key == CRITERIA_KEY
            else RequirementReport(row, fulfillments.get(row.pk), reset=resets.get(row.pk))
            for row in map(by_id.__getitem__, ids)
        )
        yield GroupReport(group.group, tuple(members))
