"""What a designer relies on who gives a badge for what happened before its template existed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api, pipeline
from badges.catalog.api import archive_template, export_template, save_template
from badges.exceptions import Permanent
from badges.models import (
    BackfilledBadge,
    BadgeProgress,
    Fulfillment,
    Learner,
    LoggedEvent,
    OutboxMessage,
    RequirementReset,
    Run,
    RunMode,
    RunState,
    UserCredential,
)
from badges.runs import queue
from tests.backfill.running import carry_out, done, planned, result_of, start
from tests.factories import (
    ALGEBRA,
    GEOMETRY,
    LearnerFactory,
    UserFactory,
    credly_issuer,
    make_passing,
    make_template,
    penalty,
    requirement,
)
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

NOON = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
SAVED = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
TWICE = {"event": "org.openedx.learning.course.passing.status.updated.v1", "criteria": {"$eventCount": {"$gte": 2}}}


def happened(person: int, course: str = ALGEBRA, *, passes: bool = True, minute: int = 0) -> Any:
    """Let an event arrive, and return it."""
    event = make_passing(
        course_key=course,
        is_passing=passes,
        time=NOON + dt.timedelta(minutes=minute),
        lms_user_id=person,
        username=f"learner{person}",
    )
    pipeline.handle([event], now=NOON + dt.timedelta(days=1))
    return event


def holders(template: Any) -> set[int | None]:
    rows = UserCredential.objects.filter(template=template, status="awarded")
    return set(rows.values_list("learner__lms_user_id", flat=True))


def everything() -> Any:
    """Return what a backfill may write, without its run."""
    tables = (Learner, BadgeProgress, Fulfillment, RequirementReset, UserCredential, OutboxMessage)
    return [list(table.objects.order_by("pk").values()) for table in tables]


def test_those_who_earned_a_badge_before_its_template_get_it_with_the_old_event_as_the_cause():
    event = happened(41)
    happened(42, GEOMETRY)
    template = make_template(issuers=[credly_issuer()], now=SAVED)

    run = done(template)

    credential = UserCredential.objects.get()
    assert holders(template) == {41}
    assert (credential.cause_event_source, credential.cause_event_id) == (event.source, event.id)
    assert (credential.cause_event_type, credential.cause_event_time) == (event.type, event.time)
    assert credential.revision == template.current_revision
    assert credential.awarded_at > SAVED
    assert Fulfillment.objects.get().cause_event_id == event.id
    assert set(OutboxMessage.objects.values_list("channel", flat=True)) >= {"announce", "credly"}
    assert run.read_counts() == {f"{template.slug}: gained": 1}
    (row,) = result_of(run)
    assert (row["lms_user_id"], row["template"], row["event_id"]) == ("41", template.slug, event.id)
    assert row["credential"] == str(credential.pk)


def test_a_plan_says_who_would_gain_by_which_events_and_writes_nothing_else():
    LearnerFactory(lms_user_id=41, user__username="=houba")
    event = happened(41)
    happened(42)
    happened(43, GEOMETRY)
    template = make_template(now=SAVED)
    before = everything()

    run = planned(template)

    assert everything() == before
    assert run.read_counts() == {f"{template.slug}: would gain": 2}
    rows = {row["lms_user_id"]: row for row in result_of(run)}
    assert rows.keys() == {"41", "42"}
    assert rows["41"]["username"] == "'=houba"
    assert rows["41"]["events"] == f"pass: {event.id} of {event.time.isoformat()}"


def test_a_plan_is_applied_from_its_own_parameters_and_a_second_time_nothing_changes():
    happened(41)
    template = make_template(now=SAVED)
    plan = planned(template, since="2026-03-31T11:00:00+00:00", event_time=True)

    run = carry_out(queue.apply_plan(plan))

    assert run.read_parameters() == plan.read_parameters()
    assert UserCredential.objects.get().awarded_at == NOON
    before = everything()
    again = done(template)
    assert everything() == before
    assert again.read_counts() == {f"{template.slug}: complete before": 1}
    assert planned(template).read_counts() == again.read_counts()


def test_events_before_the_given_time_are_left_out():
    happened(41, minute=0)
    happened(42, minute=2)
    template = make_template(now=SAVED)
    done(template, since=NOON + dt.timedelta(minutes=1))
    assert holders(template) == {42}


def test_people_who_are_only_in_the_log_become_learners_without_an_account():
    happened(41)
    happened(42, GEOMETRY)
    template = make_template(now=SAVED, issuers=[credly_issuer()])
    assert not Learner.objects.exists()

    done(template)

    learner = Learner.objects.get()
    assert (learner.lms_user_id, learner.user) == (41, None)
    assert holders(template) == {41}


def test_events_from_before_the_lms_user_id_was_known_count_once():
    learner = LearnerFactory(lms_user_id=41)
    first, second = happened(41, minute=0), happened(41, GEOMETRY, minute=1)
    LoggedEvent.objects.filter(event_id=first.id).update(person=-learner.pk)
    template = make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": GEOMETRY}, now=SAVED)

    assert planned(template).read_counts() == {"both: would gain": 1}
    run = done(template)

    assert run.read_counts() == {"both: gained": 1}
    assert UserCredential.objects.get().cause_event_id == second.id


def test_who_is_on_the_way_keeps_what_counts_so_that_a_later_event_completes_it():
    happened(41, ALGEBRA)
    template = make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": GEOMETRY}, now=SAVED)
    assert done(template).read_counts() == {"both: on the way": 1}
    happened(41, GEOMETRY, minute=9)
    assert holders(template) == {41}


def test_penalties_of_the_past_count_and_no_badge_is_awarded_and_revoked_in_between():
    happened(41, minute=0)
    happened(41, passes=False, minute=1)
    happened(42, minute=0)
    happened(42, passes=False, minute=1)
    again = happened(42, minute=2)
    newest = happened(42, minute=3)
    template = make_template(penalties=[penalty()], now=SAVED)

    done(template)

    credential = UserCredential.objects.get()
    assert (credential.learner.lms_user_id, credential.cause_event_id) == (42, again.id)
    fulfillment = Fulfillment.objects.get()
    assert (fulfillment.cause_event_id, fulfillment.newest_event_id) == (again.id, newest.id)
    happened(41, minute=-1)  # late, and void
    assert holders(template) == {42}


def test_a_penalty_in_the_log_is_remembered_for_people_without_a_learner():
    happened(41, passes=False, minute=5)
    template = make_template(penalties=[penalty()], now=SAVED)
    done(template)
    assert not Learner.objects.exists()
    happened(41, minute=3)
    assert holders(template) == set()


def test_nobody_loses_a_badge_or_a_fulfilled_requirement_to_a_penalty_that_is_newer_than_the_template():
    template = make_template()
    happened(41, minute=0)
    happened(41, passes=False, minute=1)
    assert holders(template) == {41}
    save_template(export_template(template) | {"penalties": [penalty()]}, author=None, now=SAVED)

    run = done(template)

    assert holders(template) == {41}
    assert Fulfillment.objects.filter(active_key="active").count() == 1
    assert run.read_counts() == {f"{template.slug}: complete before": 1}


def test_an_edited_template_gives_its_badge_to_those_whom_less_is_demanded_of_now():
    both = [requirement("a"), requirement("b", course=GEOMETRY)]
    template = make_template(requirements=both)
    event = happened(41)
    save_template(export_template(template) | {"requirements": both[:1]}, author=None, now=SAVED)
    LoggedEvent.objects.all().delete()  # the fulfilment is kept longer than the log

    assert planned(template).read_counts() == {f"{template.slug}: would gain": 1}
    done(template)

    assert UserCredential.objects.get().cause_event_id == event.id


def test_blocked_learners_get_nothing():
    template = make_template()
    happened(41)
    api.revoke(41, template.slug, reason="Cheated.", block=True)
    Fulfillment.objects.all().delete()
    BadgeProgress.objects.all().delete()
    assert planned(template).read_counts() == {f"{template.slug}: complete, but not given": 1}
    done(template)
    assert holders(template) == set()


def test_criteria_count_logged_events_and_go_on_counting_them():
    happened(41, minute=0)
    second = happened(41, minute=1)
    happened(42, minute=0)
    template = make_template(requirements=[], criteria=TWICE, now=SAVED)

    assert planned(template).read_counts() == {f"{template.slug}: would gain": 1}
    done(template)

    assert UserCredential.objects.get().cause_event_id == second.id
    assert holders(template) == {41}
    happened(42, minute=9)
    assert holders(template) == {41, 42}


def test_a_plan_does_not_make_criteria_count_earlier_events():
    happened(42, minute=0)
    template = make_template(requirements=[], criteria=TWICE, now=SAVED)
    planned(template)
    pipeline.handle([make_passing(time=NOON, lms_user_id=42, username="learner42")], now=SAVED + dt.timedelta(days=1))
    assert holders(template) == set()


def test_a_template_with_requirements_and_criteria_needs_both():
    happened(41, ALGEBRA, minute=0)
    happened(42, ALGEBRA, minute=0)
    happened(42, GEOMETRY, minute=1)
    template = make_template(requirements=[requirement(course=ALGEBRA)], criteria=TWICE, now=SAVED)
    done(template)
    assert holders(template) == {42}


def test_a_badge_that_would_have_ended_by_now_is_not_given_at_the_time_of_the_event():
    happened(41)
    template = make_template(now=SAVED, expiry={"days": 30})
    run = done(template, event_time=True)
    assert holders(template) == set()
    assert run.read_counts() == {f"{template.slug}: complete, but not given": 1}


def test_a_run_is_for_one_revision():
    happened(41)
    template = make_template(now=SAVED)
    plan = planned(template)
    waiting = queue.apply_plan(plan)
    save_template(export_template(template) | {"description": "New."}, author=None, now=SAVED)

    run = carry_out(waiting)

    assert (run.state, holders(template)) == (RunState.FAILED, set())
    assert "was edited or switched off since this run was asked for" in run.note
    with pytest.raises(Permanent, match="was edited"):
        queue.apply_plan(plan)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({}, "give a list of slugs"),
        ({"templates": ["houba"]}, "no badge template with the slug houba"),
        ({"templates": ["star", "star"]}, "each template once"),
        ({"templates": ["star"], "since": "yesterday"}, "since: write a time"),
        ({"templates": ["star"], "since": "2026-03-01T00:00:00"}, "needs an offset"),
        ({"templates": ["star"], "event_time": "yes"}, "event_time: write true or false"),
        ({"templates": ["star"], "until": "x"}, "until: there is no such parameter"),
        ({"templates": ["asleep"]}, "asleep is not active"),
        ({"templates": ["gone"]}, "gone is not active"),
        ({"templates": ["by-hand"]}, "has no requirements and no criteria"),
    ],
)
def test_a_wrong_parameter_is_refused_with_the_remedy(parameters, words):
    make_template(slug="star")
    make_template(slug="asleep", is_active=False)
    make_template(slug="by-hand", requirements=[])
    archive_template(make_template(slug="gone"), author=None, now=SAVED)
    with pytest.raises(Permanent, match=words):
        queue.start("backfill", mode=RunMode.PLAN, parameters=parameters)
    assert not Run.objects.exists()


def test_a_chunk_costs_the_same_however_many_people_and_events_it_has():
    template = make_template(penalties=[penalty()], requirements=[requirement()], criteria=TWICE, now=SAVED)

    def cost(people: range) -> int:
        for person in people:
            happened(person)
            happened(person, passes=False, minute=-1)
        with counted_statements() as statements:
            done(template)
        return len(statements)

    LoggedEvent.objects.all().delete()
    cost(range(100, 103))
    few = cost(range(200, 203))
    LoggedEvent.objects.all().delete()
    assert cost(range(300, 340)) == few


def test_retirement_removes_what_backfills_say_of_a_person():
    happened(41)
    happened(42)
    template = make_template(now=SAVED)
    plan, run = planned(template), done(template)
    api.retire(41)
    assert set(BackfilledBadge.objects.values_list("person", flat=True)) == {42}
    for each in (plan, run):
        each.refresh_from_db()
        assert not each.result


def test_retired_people_get_nothing():
    template = make_template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": GEOMETRY})
    happened(41)
    api.retire(41)
    save_template(export_template(template) | {"requirements": [requirement("a")]}, author=None, now=SAVED)
    done(template)
    assert not UserCredential.objects.exists()


def test_several_templates_are_decided_in_one_run_and_only_those():
    happened(41)
    happened(42, GEOMETRY)
    star, moon = make_template(slug="star", now=SAVED), make_template(slug="moon", now=SAVED)
    sun = make_template(slug="sun", requirements=[requirement(course=GEOMETRY)], now=SAVED)
    run = start(star, sun, by=UserFactory())
    carry_out(run)
    assert (holders(star), holders(sun), holders(moon)) == ({41}, {42}, set())
    assert run.subject == "star, sun"
