"""How far a learner is, read from what was demanded and what was fulfilled: for pages and the API."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from django.db.models import Prefetch, QuerySet

from badges.catalog.models import BadgeRequirement
from badges.progress.models import ACTIVE, BadgeProgress, Fulfillment
from badges.rules import completion


@dataclass(frozen=True)
class Demand:
    """A requirement, and what fulfils it, if anything does."""

    requirement: BadgeRequirement
    fulfillment: Fulfillment | None


@dataclass(frozen=True)
class Group:
    """Alternatives of which one is enough; ``name`` is None for a requirement that stands alone."""

    name: str | None
    demands: tuple[Demand, ...]

    @property
    def fulfilled(self) -> bool:
        """Is one of them met?"""
        return any(demand.fulfillment for demand in self.demands)


@dataclass(frozen=True)
class Report:
    """What a template demands today, group by group, and what of it a learner has met."""

    groups: tuple[Group, ...]

    @property
    def fulfilled(self) -> int:
        """How many groups are met."""
        return sum(group.fulfilled for group in self.groups)

    @property
    def total(self) -> int:
        """How many groups there are."""
        return len(self.groups)


def with_reports(rows: QuerySet[BadgeProgress]) -> QuerySet[BadgeProgress]:
    """Let rows bring what ``report`` needs: two statements more, however many rows."""
    live = BadgeRequirement.objects.filter(archived_at=None).order_by("id")
    met = Fulfillment.objects.filter(active_key=ACTIVE).select_related("revision")
    return rows.prefetch_related(
        Prefetch("template__requirements", queryset=live, to_attr="live_requirements"),
        Prefetch("fulfillments", queryset=met, to_attr="active_fulfillments"),
    )


def report(progress: BadgeProgress) -> Report:
    """Return how far a row of ``with_reports`` is."""
    demanded = cast(Any, progress.template).live_requirements
    met = {fulfillment.requirement_id: fulfillment for fulfillment in cast(Any, progress).active_fulfillments}
    return Report(tuple(_groups(demanded, met)))


def _groups(demanded: Iterable[BadgeRequirement], met: dict[int, Fulfillment]) -> Iterable[Group]:
    by_id = {requirement.pk: requirement for requirement in demanded}
    # Asked as if nothing were met, completion names every group there is.
    every = completion(((requirement.pk, requirement.group) for requirement in by_id.values()), frozenset())
    for group in every.open:
        ids = cast("tuple[int, ...]", group.requirements)
        yield Group(group.group, tuple(Demand(by_id[key], met.get(key)) for key in ids))
