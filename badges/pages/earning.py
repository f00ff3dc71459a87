"""
What a learner may earn: what was begun, the nearest to its end first, and what was not; with what is missing, in words.

Each page costs the same number of statements. Criteria documents are evaluated for the templates of the page only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from rest_framework.request import Request

from badges.awarding.models import UserCredential, held
from badges.catalog.criteria import describe_criteria
from badges.catalog.event_type_titles import titles_of
from badges.catalog.models import BadgeTemplate
from badges.catalog.rule_words import describe_rules
from badges.explanations import documents_void_until, missing_of_documents
from badges.progress.models import ACTIVE as FULFILLED
from badges.progress.models import BadgeProgress
from badges.progress.reading import (
    ProgressReport,
    RequirementReport,
    live_requirements,
    report,
    report_of_nothing,
    with_reports,
)
from badges.rest_api.pagination import BySlugPagination
from badges.rules import CriteriaError, parse_criteria

PAGE_SIZE = 10


@dataclass(frozen=True, slots=True)
class Line:
    """A requirement in words. ``missing`` says what is missing of a criteria document."""

    text: str
    done: bool
    missing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Group:
    """Requirements of which one is enough."""

    lines: Sequence[Line]
    done: bool


@dataclass(frozen=True, slots=True)
class Earnable:
    """A template that a learner may earn. Without ``groups`` it is given for the learner's activities."""

    template: BadgeTemplate
    groups: Sequence[Group]
    done: int

    @property
    def total(self) -> int:
        """The number of groups."""
        return len(self.groups)


class OtherTemplatesPagination(BySlugPagination):
    """Pages of templates that were not begun."""

    cursor_param = "more"
    page_size = PAGE_SIZE

    def _size(self, request: Request) -> int:
        return self.page_size


def begun_by(learner_id: int, page: int, *, now: dt.datetime) -> tuple[list[BadgeProgress], bool]:
    """
    Return a page of what a learner has begun and may still earn, and whether there is another one; five statements.

    ``page`` is from 1 on. What has the fewest open groups comes first, and of those what was begun last.
    """
    live = live_requirements().filter(template=OuterRef("template"))
    met = live.filter(fulfillments__progress=OuterRef("pk"), fulfillments__active_key=FULFILLED)
    rows: Any = (
        BadgeProgress.objects.filter(learner=learner_id, template__is_active=True, template__archived_at=None)
        .exclude(_is_closed(learner_id, "template", now))
        .annotate(open_groups=_groups_in(live) - _groups_in(met))
        .order_by("open_groups", "-created_at", "-pk")
        .select_related("template")
    )
    start = (page - 1) * PAGE_SIZE
    read: Any = with_reports(rows)
    read = read.prefetch_related("template__live_requirements__rules")
    found: list[BadgeProgress] = list(read[start : start + PAGE_SIZE + 1])
    return found[:PAGE_SIZE], len(found) > PAGE_SIZE


def others_for(
    learner_id: int | None, request: HttpRequest, pagination: OtherTemplatesPagination, *, now: dt.datetime
) -> list[BadgeTemplate]:
    """
    Return the page of templates that a request asks for, which a learner may earn and has not begun; three statements.

    ``learner_id`` is None for an account about which nothing has happened yet. Raises
    ValidationError of REST framework for a cursor of another list.
    """
    rows = BadgeTemplate.objects.filter(is_active=True, archived_at=None)
    if learner_id is not None:
        rows = rows.exclude(_is_closed(learner_id, "pk", now)).exclude(
            Exists(BadgeProgress.objects.filter(learner=learner_id, template=OuterRef("pk")))
        )
    live = live_requirements().prefetch_related("rules")
    rows = rows.select_related("current_revision").prefetch_related(
        Prefetch("requirements", queryset=live, to_attr="live_requirements")
    )
    return pagination.paginate_queryset(rows, Request(request))


def in_words(
    begun: Sequence[BadgeProgress],
    others: Sequence[BadgeTemplate],
    *,
    lms_user_id: int | None,
    learner_id: int | None,
    at: dt.datetime,
) -> tuple[list[Earnable], list[Earnable]]:
    """
    Return what was begun and the other templates in the reader's language.

    Six statements at most, besides those of the figures, however many there are.
    """
    reports: dict[Any, ProgressReport] = {
        **{row.pk: report(row) for row in begun},
        **{row.uuid: report_of_nothing(row) for row in others},
    }
    asked = [(key, found) for key, each in reports.items() if (found := each.open_criteria) is not None]
    void = documents_void_until([row for row in begun if reports[row.pk].open_criteria is not None], at=at)
    missing = missing_of_documents(asked, lms_user_id=lms_user_id, learner_id=learner_id, void=void, at=at)
    titles = _titles(reports.values())
    return (
        [_earnable(row.template, reports[row.pk], missing.get(row.pk, []), titles) for row in begun],
        [_earnable(row, reports[row.uuid], missing.get(row.uuid, []), titles) for row in others],
    )


def _titles(reports: Iterable[ProgressReport]) -> dict[str, str]:
    """Return what readers call the event types that reports name; one statement."""
    types: set[str] = set()
    for reported in reports:
        for requirement in (each for group in reported.groups for each in group.requirements):
            if requirement.criteria is None:
                types.add(requirement.requirement.event_type)
            else:
                with suppress(CriteriaError):
                    types |= parse_criteria(requirement.criteria).event_types - {None}  # type: ignore[arg-type]
    return titles_of(types)


def _earnable(
    template: BadgeTemplate, reported: ProgressReport, missing: Sequence[str], titles: Mapping[str, str]
) -> Earnable:
    groups = [
        Group([_line(requirement, missing, titles) for requirement in group.requirements], group.fulfilled)
        for group in reported.groups
    ]
    return Earnable(template, groups, reported.fulfilled)


def _line(reported: RequirementReport, missing: Sequence[str], titles: Mapping[str, str]) -> Line:
    row, done = reported.requirement, reported.fulfillment is not None
    if reported.criteria is not None:
        text = describe_criteria(reported.criteria, lambda event_type: f"“{titles.get(event_type, event_type)}”")
        return Line(text, done, () if done else missing)
    return Line(reported.description or describe_rules(row.rules.all(), f"“{titles[row.event_type]}”"), done)


def _is_closed(learner_id: int, template: str, now: dt.datetime) -> Exists:
    """Return the condition that a learner cannot earn a template: it is held, blocked, or was awarded once for all."""
    rows = UserCredential.objects.filter(learner=learner_id, template=OuterRef(template))
    return Exists(rows.filter(held(now) | Q(blocked=True) | Q(template__award_once=True)))


def _groups_in(requirements: QuerySet[Any]) -> Coalesce:
    """Return the number of groups of requirements, as an expression; one without a group is a group of its own."""
    counted = (
        requirements.order_by()
        .values("template")
        .annotate(groups=Count("group", distinct=True) + Count("pk", filter=Q(group=None)))
    )
    return Coalesce(Subquery(counted.values("groups")), 0)
