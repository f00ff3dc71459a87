"""An explanation is about one learner and the requirements of today."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from badges import api, pipeline
from badges.conf import CCX_PASSING_STATUS, PASSING_STATUS
from badges.history.models import LoggedEvent
from badges.intake.models import InboxMessage
from badges.progress.models import BadgeProgress
from badges.progress.reading import report, with_reports
from tests.factories import NOON, make_passing, make_template, penalty, requirement

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
BOTH = {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY}


def passes(course: str, number: int) -> None:
    pipeline.handle([make_passing(course_key=course, lms_user_id=number, username=f"u{number}")])


def test_fulfilments_of_other_learners_are_not_in_an_explanation() -> None:
    make_template("both", *BOTH)
    passes(ALGEBRA, 41)
    passes(BOTANY, 52)
    algebra, botany = api.explain(41, "both").requirements
    assert (len(algebra.fulfillments), len(botany.fulfillments)) == (1, 0)
    assert api.explain(41, "both").completion.satisfied == 1


def test_a_requirement_is_evaluated_for_events_of_its_own_type_only() -> None:
    make_template("mixed", {"key": "ccx", "event_type": CCX_PASSING_STATUS}, {"key": "course"})
    passes(ALGEBRA, 41)
    ccx, course = api.explain(41, "mixed").requirements
    assert (len(ccx.evaluations), len(course.evaluations)) == (0, 1)


def test_the_criteria_document_is_explained_as_a_group_and_by_no_single_event() -> None:
    make_template("both", BOTH[0], criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2}}})
    passes(ALGEBRA, 41)
    explained = api.explain(41, "both")
    assert [(one.requirement.key, len(one.evaluations)) for one in explained.requirements] == [
        ("a", 1),
        ("criteria", 0),
    ]
    assert (explained.completion.satisfied, explained.completion.total) == (1, 2)


def test_a_removed_requirement_is_not_counted_any_more() -> None:
    make_template("both", *BOTH)
    passes(ALGEBRA, 41)
    make_template("both", BOTH[0])
    explained = api.explain(41, "both")
    assert [requirement.requirement.key for requirement in explained.requirements] == ["a"]
    (progress,) = with_reports(BadgeProgress.objects.all())
    assert (report(progress).fulfilled, report(progress).total) == (1, 1)


def test_a_fulfilment_that_was_reset_is_not_counted() -> None:
    make_template("both", *BOTH)
    passes(ALGEBRA, 41)
    progress = BadgeProgress.objects.get()
    progress.fulfillments.update(active_key=None, reset_at=NOON, reset_kind="event")
    (progress,) = with_reports(BadgeProgress.objects.all())
    assert (report(progress).fulfilled, report(progress).total) == (0, 2)
    algebra, _botany = api.explain(41, "both").requirements
    assert len(algebra.fulfillments) == 1, "it stays as history"
    assert api.explain(41, "both").completion.satisfied == 0


def test_an_event_whose_rules_hold_but_that_did_not_count_has_a_note() -> None:
    make_template("both", BOTH[0])
    passes(ALGEBRA, 41)
    asked = InboxMessage.objects.all()

    def answer() -> Any:
        (found,) = api.explain(41, "both").requirements[0].evaluations
        assert found.result
        return found.note

    assert answer() == ""
    make_template("both", {"key": "a2", "course": ALGEBRA})
    assert answer() == "The event was decided before revision 2 of the template."
    asked.update(state="dead", reason="houba")
    assert answer() == "The event is a dead letter: houba"
    asked.update(state="pending", due_at=timezone.now())
    assert answer() == "The event waits to be decided."


def test_an_event_whose_payload_was_deleted_is_evaluated_as_it_was_logged() -> None:
    make_template("both", *BOTH)
    passes(ALGEBRA, 41)
    InboxMessage.objects.update(payload=None)
    algebra, botany = api.explain(41, "both").requirements
    assert [[one.result for one in each.evaluations] for each in (algebra, botany)] == [[True], [False]]
    LoggedEvent.objects.all().delete()
    assert [requirement.evaluations for requirement in api.explain(41, "both").requirements] == [[], []]


def test_an_explanation_says_what_is_missing_of_the_criteria_document() -> None:
    make_template("five", criteria={"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 3}}})
    passes(ALGEBRA, 41)
    passes(BOTANY, 41)
    explained = api.explain(41, "five").criteria
    assert explained is not None
    assert explained.result.missing() == ["2 of 3 events"]
    assert (explained.number, explained.result.satisfied, explained.earned) == (2, False, None)
    assert api.explain(41, "five", at=NOON.replace(year=2001)).criteria.number == 0  # type: ignore[union-attr]


def test_a_document_that_cannot_be_used_is_a_problem_of_the_explanation(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS, CCX_PASSING_STATUS]}
    make_template("ccx", criteria={"event": CCX_PASSING_STATUS})
    settings.LMS_BADGES_CONFIG = {"events": [PASSING_STATUS]}
    explained = api.explain(41, "ccx")
    assert explained.criteria is None
    assert explained.criteria_problem.startswith(f"/event: {CCX_PASSING_STATUS} is not configured here")


# --- penalties -------------------------------------------------------------------------------------------------------


def test_resets_are_explained_with_the_event_and_the_time_also_where_a_fact_came_too_late() -> None:
    make_template(
        slug="star",
        requirements=[requirement("pass", course=ALGEBRA), requirement("other", course=BOTANY)],
        penalties=[penalty("pass", "other", course=ALGEBRA)],
    )
    at = [NOON + dt.timedelta(minutes=minute) for minute in range(6)]
    person = {"lms_user_id": 5, "username": "spirou"}
    pipeline.handle([make_passing(time=at[1], course_key=ALGEBRA, **person)])
    lost = make_passing(time=at[3], course_key=ALGEBRA, is_passing=False, **person)
    pipeline.handle([lost])
    late = make_passing(time=at[2], course_key=BOTANY, **person)
    pipeline.handle([late])

    explained = {each.requirement.key: each for each in api.explain(5, "star").requirements}

    for found in explained.values():
        assert (found.reset.event_id, found.reset.void_until) == (lost.id, at[3])
    (reset,) = explained["pass"].fulfillments
    assert (reset.active_key, reset.reset_event_id, reset.reset_event_time) == (None, lost.id, at[3])
    assert explained["other"].fulfillments == []
    (note,) = [each.note for each in explained["other"].evaluations if each.event_id == late.id]
    assert note == f"The event is void: the requirement was reset by the event {lost.id} at {at[3].isoformat()}."


def test_what_is_missing_of_a_document_leaves_out_what_a_penalty_made_void() -> None:
    twice = {"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": 2}}}
    make_template(
        slug="star",
        requirements=[requirement("other", course=BOTANY)],
        criteria=twice,
        penalties=[penalty("criteria", course=None)],
    )
    at = [NOON + dt.timedelta(minutes=minute) for minute in range(6)]
    person = {"lms_user_id": 5, "username": "spirou"}
    pipeline.handle([make_passing(time=at[3], course_key=ALGEBRA, is_passing=False, **person)])
    pipeline.handle([make_passing(time=at[1], course_key=BOTANY, **person)])

    (progress,) = api.progress_of(5)

    assert api.missing_criteria([progress], at=at[5]) == {progress.pk: ["0 of 2 events"]}
    explained = api.explain(5, "star", at=at[5]).criteria
    assert (explained.number, explained.result.missing()) == (0, ["0 of 2 events"])
