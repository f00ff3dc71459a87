"""What an operator relies on: a batch costs the same, however many templates there are and however big it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.catalog import versions
from badges.catalog.documents import Document, document_text
from badges.catalog.models import BadgeRequirement, BadgeTemplate, TemplateRevision
from badges.conf import PASSING_STATUS
from badges.engagement.models import Activity
from badges.fields import KeyField
from badges.history.models import LoggedEvent
from badges.intake.models import InboxMessage
from badges.progress.models import RequirementReset
from tests.factories import SAVED, credly_issuer, make_template, requirement, rule
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

LIMIT, LIMIT_WITH_EVENT_LOG, LIMIT_WITH_ENGAGEMENT = 20, 22, 40
LIMIT_WITH_CRITERIA = LIMIT_WITH_PENALTIES = 28
LOG_OFF, LOG_ON = {"event_log": {"days": 0}}, {"event_log": {"days": 180}}
SHARED = "course-v1:Shared+Course+1"


def make_templates(
    count: int, criteria_of: Callable[[str, str], Document] | None = None, *, with_penalties: bool = False
) -> None:
    """
    Make active templates in bulk, each issued at Credly.

    Half of them share the event type and the course and are told apart by the course's name, a second equality. With
    penalties, each also has one: failing the same course.
    """
    first = BadgeTemplate.objects.count()
    BadgeTemplate.objects.bulk_create(
        BadgeTemplate(slug=f"t{number}", name=f"T {number}", is_active=True) for number in range(first, count)
    )
    templates = list(BadgeTemplate.objects.order_by("id")[first:])
    demanded: dict[str, Any] = {"key": "pass", "event_type": PASSING_STATUS, "may_be_reset": with_penalties}
    if criteria_of:
        demanded = {"key": "criteria", "event_type": "", "counts_from": SAVED}
    BadgeRequirement.objects.bulk_create(BadgeRequirement(template=template, **demanded) for template in templates)
    TemplateRevision.objects.bulk_create(
        TemplateRevision(
            template=template,
            number=1,
            is_active=True,
            document=document_text(document_of(template, number, criteria_of, with_penalties=with_penalties)),
        )
        for number, template in enumerate(templates, start=first)
    )
    newest = TemplateRevision.objects.filter(template=OuterRef("pk"))
    BadgeTemplate.objects.filter(current_revision=None).update(current_revision=Subquery(newest.values("pk")))
    versions.bump_version()
    pipeline.warm_up()


def document_of(
    template: BadgeTemplate,
    number: int,
    criteria_of: Callable[[str, str], Document] | None = None,
    *,
    with_penalties: bool = False,
) -> Document:
    course, name = (SHARED, f"run {number}") if number % 2 == 0 else (f"course-v1:Own+C{number}+1", "")
    rules = [rule("is_passing", "eq", True), rule("course.course_key", "eq", course)]
    if name:
        rules.append(rule("course.display_name", "eq", name))
    fails = [rule("is_passing", "eq", False), *rules[1:]]
    penalties = [{"event_type": PASSING_STATUS, "requirements": ["pass"], "rules": fails}]
    return {
        "slug": template.slug,
        "uuid": str(template.uuid),
        "award_once": False,
        "penalties": penalties if with_penalties else [],
        "criteria": criteria_of(course, name) if criteria_of else None,
        "issuers": [credly_issuer()],
        "requirements": []
        if criteria_of
        else [{"key": "pass", "event_type": PASSING_STATUS, "group": None, "rules": rules}],
    }


def statements_of(batch: list[object]) -> list[str]:
    with counted_statements() as statements:
        pipeline.handle(batch)  # type: ignore[arg-type]
    return [statement[:70] for statement in statements]


@pytest.fixture
def batch(passing: Callable[..., object]) -> Callable[..., list[object]]:
    def make(size: int, *, first: int = 1, template: int = 0, **given: Any) -> list[object]:
        course = {"course_key": SHARED, "course_name": f"run {template}"} | given
        return [
            passing(lms_user_id=number, username=f"learner-{number}", **course) for number in range(first, first + size)
        ]

    return make


@pytest.mark.parametrize(
    ("config", "limit", "templates"), [(LOG_OFF, LIMIT, 2_000), (LOG_ON, LIMIT_WITH_EVENT_LOG, 2_000)]
)
def test_a_batch_of_new_learners_who_complete_costs_the_same_for_any_size_and_any_number_of_templates(
    batch, settings, config, limit, templates
):
    settings.LMS_BADGES_CONFIG = config
    costs = {}
    make_templates(1)
    costs["one of one"] = merged(statements_of(batch(1, first=1)))
    costs["many of one"] = merged(statements_of(batch(500, first=1_000)))
    make_templates(templates)
    costs["one of many"] = merged(statements_of(batch(1, first=2_000, template=templates // 2)))
    costs["many of many"] = merged(statements_of(batch(500, first=3_000, template=templates // 2)))

    assert UserCredential.objects.count() == 1_002
    counts = {what: len(statements) for what, statements in costs.items()}
    assert len(set(counts.values())) == 1, counts
    assert counts["many of many"] <= limit, costs["many of many"]


@pytest.mark.parametrize(
    ("config", "templates"), [pytest.param(LOG_OFF, 2_000, id="2,000"), pytest.param(LOG_ON, 100, id="100")]
)
def test_a_batch_with_penalties_costs_the_same_for_any_size_and_any_number_of_templates(
    batch, settings, config, templates
):
    """Of each batch, a third is revoked, a third is awarded, and the rest is unknown here and fails."""
    settings.LMS_BADGES_CONFIG = config

    def cost_of(size: int, first: int, template: int) -> list[str]:
        given = {"template": template}
        pipeline.handle(batch(size, first=first, **given))
        lose = batch(size, first=first, is_passing=False, **given)
        unknown = batch(size, first=first + 2 * size, is_passing=False, **given)
        return merged(statements_of([*lose, *batch(size, first=first + size, **given), *unknown]))

    costs = {}
    make_templates(1, with_penalties=True)
    costs["few of one"] = cost_of(1, 1, 0)
    costs["many of one"] = cost_of(150, 1_000, 0)
    make_templates(templates, with_penalties=True)
    costs["few of many"] = cost_of(1, 2_000, templates // 2)
    costs["many of many"] = cost_of(150, 3_000, templates // 2)

    assert UserCredential.objects.filter(status="revoked").count() == 302
    assert UserCredential.objects.filter(status="awarded").count() == 302
    assert RequirementReset.objects.count() == 604
    counts = {what: len(statements) for what, statements in costs.items()}
    assert len(set(counts.values())) == 1, counts
    assert counts["many of many"] <= LIMIT_WITH_PENALTIES, costs["many of many"]


def test_a_batch_without_penalties_costs_one_statement_more_where_a_penalty_could_have_been(batch, settings):
    settings.LMS_BADGES_CONFIG = LOG_ON
    make_templates(1)
    without = merged(statements_of(batch(5)))
    make_templates(2, with_penalties=True)
    with_penalties = merged(statements_of(batch(5, first=100, course_key="course-v1:Own+C1+1")))

    assert len(with_penalties) == len(without) + 1 <= LIMIT_WITH_EVENT_LOG, with_penalties


def make_criteria_templates(count: int) -> None:
    """Make templates with a document each: the course has been passed twice, and time alone can make it true, too."""
    make_templates(count, criteria_of)


def criteria_of(course: str, name: str) -> Document:
    wanted = {"is_passing": True, "course.course_key": course, **({"course.display_name": name} if name else {})}
    return {
        "$and": [
            {"event": PASSING_STATUS, "criteria": {**wanted, "$eventCount": {"$gte": 2}}},
            {
                "$timeWindow": {
                    "last": "7d",
                    "flow": {"$not": {"event": PASSING_STATUS, "criteria": {**wanted, "x": 1}}},
                }
            },
        ]
    }


def test_a_batch_with_criteria_costs_the_same_for_any_size_and_any_number_of_templates(batch, settings):
    settings.LMS_BADGES_CONFIG = LOG_ON
    costs = {}
    make_criteria_templates(1)
    for name, size, first in (("one of one", 1, 1), ("many of one", 500, 1_000)):
        pipeline.handle(batch(size, first=first))
        costs[name] = merged(statements_of(batch(size, first=first)))
    make_criteria_templates(2_000)
    for name, size, first in (("one of many", 1, 2_000), ("many of many", 500, 3_000)):
        pipeline.handle(batch(size, first=first, template=1_000))
        costs[name] = merged(statements_of(batch(size, first=first, template=1_000)))

    assert UserCredential.objects.count() == 1_002
    counts = {what: len(statements) for what, statements in costs.items()}
    assert len(set(counts.values())) == 1, costs
    assert counts["many of many"] <= LIMIT_WITH_CRITERIA, costs["many of many"]


def test_a_batch_with_criteria_and_activities_costs_the_same_for_any_size_and_any_history(batch, settings):
    engagement = {"events": {PASSING_STATUS: "course"}, "xp": {"course": {"xp": 10}}}
    settings.LMS_BADGES_CONFIG = {**LOG_ON, "engagement": engagement}
    make_criteria_templates(40)
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    make_template(slug="many-xp", requirements=[], criteria={"$stat": {"xp": {"$gte": 1_000}}})
    costs = {}
    for size, first in ((1, 1), (500, 1_000)):
        for _ in range(3):
            costs[size] = merged(statements_of(batch(size, first=first)))

    assert UserCredential.objects.filter(template__slug="first_xp").count() == 501
    assert Activity.objects.count() == 1_503
    assert len(costs[1]) == len(costs[500]), costs
    assert len(costs[500]) <= LIMIT_WITH_ENGAGEMENT, costs[500]


@pytest.mark.parametrize("size", [1, 500])
def test_checks_that_are_due_cost_the_same_for_any_number(batch, settings, size):
    settings.LMS_BADGES_CONFIG = LOG_ON
    make_criteria_templates(1)
    pipeline.handle(batch(size))

    with counted_statements() as statements:
        pipeline.process_pending(now=timezone.now() + timedelta(days=8))

    assert InboxMessage.objects.filter(kind="criteria").count() == size
    assert not InboxMessage.objects.filter(kind="criteria", state="pending").exists()
    assert len(merged([statement[:70] for statement in statements])) <= 20, statements


@pytest.mark.parametrize("size", [1, 500])
def test_badges_that_end_cost_one_statement_more_and_their_renewal_two(batch, settings, passing, size):
    settings.LMS_BADGES_CONFIG = LOG_OFF
    make_template(
        slug="ends", requirements=[requirement(course=SHARED)], expiry={"days": 10}, issuers=[credly_issuer()]
    )
    pipeline.warm_up()
    now = timezone.now()

    def passed(at):
        people = range(1, size + 1)
        return [passing(course_key=SHARED, lms_user_id=each, username=f"learner-{each}", time=at) for each in people]

    def statements_at(at):
        with counted_statements() as statements:
            pipeline.handle(passed(at), now=at)
        return merged([statement[:70] for statement in statements])

    first, renewal = statements_at(now), statements_at(now + timedelta(days=9))

    assert UserCredential.objects.filter(status="replaced").count() == size
    assert len(first) <= LIMIT + 1, first
    assert len(renewal) <= LIMIT + 1, renewal


@pytest.mark.parametrize("templates", [1, 2_000])
def test_a_batch_that_matches_nothing_costs_one_statement_while_the_event_log_is_off(batch, templates, settings):
    settings.LMS_BADGES_CONFIG = LOG_OFF
    make_templates(templates)

    statements = statements_of(batch(500, template=77_777))

    assert len(statements) == 1, statements


@pytest.mark.parametrize("size", [1, 500])
def test_a_batch_that_matches_nothing_costs_one_transaction_with_one_insert_while_the_event_log_is_on(
    batch, size, settings
):
    settings.LMS_BADGES_CONFIG = LOG_ON
    make_templates(1)

    statements = merged(statements_of(batch(size, template=77_777)))

    assert LoggedEvent.objects.count() == size
    assert len([statement for statement in statements if "INSERT" in statement]) == 1
    assert len(statements) <= 6, statements


@pytest.mark.parametrize("size", [1, 500])
def test_a_batch_of_duplicates_costs_less(batch, size):
    make_templates(1)
    pipeline.handle(batch(size))  # type: ignore[arg-type]

    statements = statements_of(batch(size))

    assert len(merged(statements)) <= 12, "\n".join(merged(statements))


def merged(statements: list[str]) -> list[str]:
    """Only SQLite may split an insert, at 999 variables a statement: neighbours into one table count once there."""
    if connection.vendor != "sqlite":
        return statements
    kept: list[str] = []
    for statement in statements:
        table = _inserted_table(statement)
        if not (table and kept and _inserted_table(kept[-1]) == table):
            kept.append(statement)
    return kept


def _inserted_table(statement: str) -> str | None:
    found = re.match(r'INSERT INTO "?`?(\w+)', statement)
    return found[1] if found else None


def test_text_that_identifies_is_compared_byte_by_byte():
    assert isinstance(BadgeTemplate._meta.get_field("slug"), KeyField)
