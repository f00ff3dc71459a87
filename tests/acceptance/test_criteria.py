"""What a designer relies on: a criteria document decides who gets the badge, from the event to the credential."""

from __future__ import annotations

import datetime as dt
import json
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from badges import api, pipeline
from badges.awarding.models import UserCredential
from badges.conf import PASSING_STATUS
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.intake.events import Event, parse_event
from badges.intake.models import InboxMessage, Learner
from badges.progress.models import BadgeProgress, Fulfillment
from badges.progress.reading import with_reports
from badges.rules import Operator, operators
from badges.rules.criteria import conditions
from badges.testing.events import LearningEvent, enrollment, grade_changed, passing_status
from tests.factories import LearnerFactory, make_template, requirement
from tests.services.processes import Process

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ENROLLED = "org.openedx.learning.course.enrollment.created.v1"
GRADE = "org.openedx.learning.course.persistent_grade_summary.changed.v1"
CONFIG = {
    "events": [PASSING_STATUS, ENROLLED, GRADE],
    "learner_paths": {GRADE: "grade.user_id", ENROLLED: "enrollment.user"},
}
ADA = 41
PASSED = {"event": PASSING_STATUS, "criteria": {"is_passing": True}}


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, **CONFIG}


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def passes(when: str, *, course: str = "Algebra", number: int = ADA, **given: Any) -> LearningEvent:
    key = f"course-v1:Demo+{course}+2026"
    return passing_status(course_key=key, time=at(when), lms_user_id=number, username=f"learner{number}", **given)


def fails(when: str, **given: Any) -> LearningEvent:
    return passes(when, is_passing=False, **given)


def enrolls(when: str, *, course: str = "Algebra", number: int = ADA, **given: Any) -> LearningEvent:
    key = f"course-v1:Demo+{course}+2026"
    return enrollment(course_key=key, time=at(when), lms_user_id=number, username=f"learner{number}", **given)


def grade(when: str, percent: float, *, course: str = "Algebra", number: int = ADA) -> LearningEvent:
    key = f"course-v1:Demo+{course}+2026"
    return grade_changed(course_key=key, percent_grade=percent, time=at(when), lms_user_id=number)


def criteria(document: dict[str, Any] | None, **given: Any) -> None:
    make_template(**{"slug": "earned", "requirements": [], "criteria": document, **given})


def event(sent: LearningEvent) -> Event:
    return parse_event(sent.line, received_from="test")


def receive(*sent: LearningEvent) -> bool:
    """Let events arrive, each by itself and a minute after it happened; return whether Ada holds the badge."""
    for each in sent:
        pipeline.handle([event(each)], now=each.metadata.time + dt.timedelta(minutes=1))
    return held()


def held(number: int = ADA) -> bool:
    return UserCredential.objects.filter(learner__lms_user_id=number, status="awarded").exists()


def cause() -> dict[str, Any]:
    """The only fulfilment, and the same cause at the credential."""
    fulfillment, credential = Fulfillment.objects.get(), UserCredential.objects.get()
    names = [f"cause_{name}" for name in ("kind", "event_source", "event_id", "event_type", "event_time")]
    found = {name: getattr(fulfillment, name) for name in names}
    assert found == {name: getattr(credential, name) for name in names}
    assert fulfillment.requirement.key == "criteria"
    assert fulfillment.revision == credential.revision
    return found


# --- each kind of document -------------------------------------------------------------------------------------------


def window(flow: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {"$timeWindow": {**options, "flow": flow}}


def times(number: int, **more: Any) -> dict[str, Any]:
    return {"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": number, **more}}}


STORIES: dict[str, tuple[dict[str, Any], list[LearningEvent], LearningEvent]] = {
    "an event whose fields are right": (
        {"event": ENROLLED, "criteria": {"mode": "verified", "course.course_key": {"$endsWith": "Algebra+2026"}}},
        [enrolls("2026-03-01", mode="audit"), enrolls("2026-03-02", mode="verified", course="Botany")],
        enrolls("2026-03-03", mode="verified"),
    ),
    "all of several": (
        {"$and": [PASSED, {"event": ENROLLED}]},
        [passes("2026-03-01"), fails("2026-03-02")],
        enrolls("2026-03-03"),
    ),
    "one of several": (
        {"$or": [{"event": ENROLLED, "criteria": {"mode": "verified"}}, times(2)]},
        [enrolls("2026-03-01"), passes("2026-03-02")],
        passes("2026-03-03"),
    ),
    "one without another": (
        {"$and": [times(2), {"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": False}}}]},
        [passes("2026-03-01")],
        passes("2026-03-02"),
    ),
    "between two dates": (
        window(times(2), start="2026-03-01T00:00:00+01:00", end="2026-03-31T00:00:00+01:00"),
        [passes("2026-02-28 22:59"), passes("2026-03-10"), passes("2026-03-30 23:30")],
        passes("2026-03-29"),
    ),
    "in the last days, on business days": (
        window(times(3), last="7d", businessDaysOnly=True),
        # The first is too old. The third and the fourth are on a weekend.
        [passes(f"2026-03-{day} 12:00") for day in ("05", "13", "14", "15", "16")],
        passes("2026-03-17 12:00"),
    ),
    "so many distinct courses": (
        times(2, distinct="course.course_key"),
        [passes("2026-03-01"), passes("2026-03-02"), fails("2026-03-03", course="Botany")],
        passes("2026-03-04", course="Botany"),
    ),
    "within some hours": (
        {"$withinTimeWindow": {"window": "24h", "conditions": times(2)}},
        [passes("2026-03-01 10:00"), passes("2026-03-02 10:01")],
        passes("2026-03-03 10:01"),
    ),
    "in several weeks": (
        {"$timePeriod": {"event": PASSING_STATUS, "periodType": "week", "periodCount": {"$gte": 2}}},
        [passes("2026-03-02"), passes("2026-03-08")],
        passes("2026-03-09"),
    ),
    "more and more": (
        {"$pattern": {"event": PASSING_STATUS, "pattern": "increasing", "periodType": "day", "includeCurrent": True}},
        [passes(f"2026-03-{day}") for day in ("01 10:00", "02 10:00", "02 11:00", "03 10:00", "03 11:00")],
        passes("2026-03-03 12:00"),
    ),
    "one after the other": (
        {"$sequence": {"sequence": [ENROLLED, PASSED], "maxGapSeconds": 86400}},
        [passes("2026-03-01"), enrolls("2026-03-02"), passes("2026-03-04"), enrolls("2026-03-05")],
        passes("2026-03-06"),
    ),
    "not too far apart": (
        window({"$gap": {"event": PASSING_STATUS, "maxGapHours": 30}}, last="3d"),
        [passes("2026-03-01"), passes("2026-03-03")],
        passes("2026-03-04 02:00"),
    ),
    "quickly": (
        {
            "$duration": {
                "startEvent": {"type": ENROLLED},
                "endEvent": {"type": PASSING_STATUS, "criteria": {"is_passing": True}},
                "duration": {"$lte": 2},
                "unit": "days",
                "of": "any",
                "matchProperty": "course.course_key",
            }
        },
        [enrolls("2026-03-01"), enrolls("2026-03-03", course="Botany"), passes("2026-03-04")],
        passes("2026-03-05", course="Botany"),
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_the_badge_is_awarded_with_the_event_that_makes_the_document_true(story: str) -> None:
    document, before, last = STORIES[story]
    criteria(document)

    assert not receive(*before)
    assert receive(last)

    assert cause() == {
        "cause_kind": "event",
        "cause_event_source": "openedx/lms/web",
        "cause_event_id": str(last.metadata.id),
        "cause_event_type": last.signal.event_type,
        "cause_event_time": last.metadata.time,
    }


@pytest.mark.parametrize("story", STORIES)
def test_events_of_one_batch_and_in_another_order_decide_the_same(story: str) -> None:
    document, before, last = STORIES[story]
    criteria(document)

    pipeline.handle([event(each) for each in (last, *reversed(before), last)])

    assert held()
    assert UserCredential.objects.count() == 1
    assert InboxMessage.objects.filter(kind="event", state="pending").count() == 0


def test_the_mean_of_grades_is_a_badge_for_a_learner_who_is_known() -> None:
    LearnerFactory(lms_user_id=ADA)
    good = {"event": GRADE, "field": "percent_grade", "type": "avg", "value": {"$gte": 0.8}}
    criteria({"$and": [{"$aggregate": good}, {"event": GRADE, "criteria": {"$eventCount": {"$gte": 2}}}]})

    assert not receive(grade("2026-03-01", 0.5), grade("2026-03-02", 0.9))
    assert not receive(grade("2026-03-03", 1, number=42))
    assert receive(grade("2026-03-04", 1.0))
    assert not Learner.objects.filter(lms_user_id=42).exists()


# --- conditions and operators of other packages -----------------------------------------------------------------------


@pytest.fixture
def streak() -> Iterator[None]:
    """A condition of another package: the learner has passed so often, and has never failed before."""

    def holds(found: Any, history: list[Any], params: dict[str, Any]) -> bool:
        return len(history) >= params["times"] and all(each.payload["is_passing"] for each in history)

    holds.event_types = (PASSING_STATUS,)  # type: ignore[attr-defined]
    conditions.functions.register("streak", holds)
    yield
    conditions.functions.unregister("streak")


def test_a_registered_condition_is_asked_about_chosen_events_with_its_parameters(streak: None) -> None:
    chosen = {"event": PASSING_STATUS, "criteria": {"course.course_key": "course-v1:Demo+Botany+2026"}}
    criteria({"$condition": {"type": "streak", "params": {"times": 3}, **chosen}})

    assert not receive(passes("2026-03-01"), passes("2026-03-02", course="Botany"), passes("2026-03-03"))
    # The events that it is not asked about are in its history.
    assert receive(passes("2026-03-04", course="Botany"))


@pytest.fixture
def divisible(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator of another package."""
    operator, find = Operator("divisible", lambda seen, operand: seen % operand == 0), operators.find_operator
    monkeypatch.setattr(
        "badges.rules.criteria.fields.find_operator", lambda name: operator if name == "divisible" else find(name)
    )


def test_an_operator_of_another_package_decides(divisible: None) -> None:
    LearnerFactory(lms_user_id=ADA)
    criteria({"event": GRADE, "criteria": {"percent_grade": {"$divisible": 0.5}}})

    assert not receive(grade("2026-03-01", 0.6))
    assert receive(grade("2026-03-02", 0.5))


# --- with requirements -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document_first", [True, False])
def test_a_template_with_requirements_and_a_document_needs_both(document_first: bool) -> None:
    criteria({"event": ENROLLED}, requirements=[requirement(course="course-v1:Demo+Algebra+2026")])
    both = [enrolls("2026-03-01"), passes("2026-03-02")]
    first, second = both if document_first else both[::-1]

    assert not receive(first)
    assert receive(second)
    assert UserCredential.objects.get().cause_event_id == str(second.metadata.id)
    assert Fulfillment.objects.count() == 2


def test_a_document_and_a_requirement_that_one_event_meets_are_one_award() -> None:
    criteria(PASSED, requirements=[requirement(course=None)])

    assert receive(passes("2026-03-01"))
    assert UserCredential.objects.count() == 1


# --- order, repetition and odd events --------------------------------------------------------------------------------


def test_an_event_that_arrives_late_counts_at_its_time() -> None:
    criteria(window(times(3), last="7d"))
    last = passes("2026-03-07")

    assert not receive(passes("2026-03-01"), last, passes("2026-06-01"))
    assert receive(passes("2026-03-03"))
    assert cause()["cause_event_id"] == str(last.metadata.id)


def test_an_award_stays_when_a_late_event_would_have_prevented_it() -> None:
    criteria({"$and": [times(2), {"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": False}}}]})

    assert receive(passes("2026-03-01"), passes("2026-03-03"))
    assert receive(fails("2026-03-02"))


def test_an_event_that_arrives_twice_counts_once() -> None:
    criteria(times(2))
    twice = passes("2026-03-01")

    assert not receive(twice, twice)
    pipeline.handle([event(twice), event(twice)])
    assert not held()
    assert receive(passes("2026-03-02"))


def test_an_event_of_the_future_does_not_count_at_earlier_moments() -> None:
    criteria({"$and": [{"event": ENROLLED}, {"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": False}}}]})

    assert not receive(fails("2199-01-01"))
    assert receive(enrolls("2026-03-02"))


def test_one_odd_old_event_does_not_keep_the_badge_from_its_learner() -> None:
    criteria(window({"$aggregate": {"event": PASSING_STATUS, "type": "count", "value": {"$gte": 2}}}, last="1y"))
    receive(passes("0001-01-01"), passes("2026-02-28"))
    LoggedEvent.objects.filter(occurred_at__year=2026).update(data="[1]")
    LoggedEvent.objects.filter(occurred_at__year=1).update(data="null")

    assert receive(passes("2026-03-01"))


def test_two_learners_are_decided_by_their_own_events() -> None:
    criteria(times(2))

    pipeline.handle([event(passes("2026-03-01")), event(passes("2026-03-02", number=42))])
    assert not held(ADA)
    pipeline.handle([event(passes("2026-03-03", number=42)), event(passes("2026-03-03", number=43))])
    assert [held(number) for number in (ADA, 42, 43)] == [False, True, False]


# --- from when on events count ---------------------------------------------------------------------------------------


def test_events_that_were_logged_before_the_template_was_saved_do_not_count_and_those_after_it_do() -> None:
    receive(passes("2026-03-01"), passes("2026-03-02"))
    assert LoggedEvent.objects.count() == 2

    criteria(times(2), now=at("2026-03-03"))

    assert not receive(passes("2026-03-04"))
    assert receive(passes("2026-03-05"))


def test_an_event_from_before_the_template_counts_if_it_arrives_after_it() -> None:
    """An LMS that was not connected for a day sends its events later."""
    criteria(times(2), now=at("2026-03-03"))

    pipeline.handle([event(passes("2026-03-01"))], now=at("2026-03-04"))
    assert receive(passes("2026-03-05"))


def test_an_event_that_was_logged_before_the_template_and_comes_again_does_not_count() -> None:
    again = passes("2026-03-01")
    receive(again)
    criteria(times(2), now=at("2026-03-03"))

    pipeline.handle([event(again), event(passes("2026-03-04"))], now=at("2026-03-05"))
    assert not held()
    assert receive(passes("2026-03-06"))


def test_an_edit_of_the_document_keeps_what_counted() -> None:
    receive(passes("2026-03-01"))
    criteria(times(5), now=at("2026-03-02"))
    receive(passes("2026-03-03"), passes("2026-03-04"))

    criteria(times(3), name="Earned with less", now=at("2026-03-05"))

    assert receive(passes("2026-03-06"))


def test_a_template_that_is_switched_off_and_on_again_keeps_what_counted() -> None:
    criteria(times(4), now=at("2026-03-01"))
    receive(passes("2026-03-02"))
    criteria(times(4), is_active=False, now=at("2026-03-03"))
    receive(passes("2026-03-04"), passes("2026-03-05"))  # what is logged meanwhile counts, when it is on again
    criteria(times(4), now=at("2026-03-06"))

    assert receive(passes("2026-03-07"))


def test_events_count_from_the_moment_at_which_the_template_becomes_active_for_the_first_time() -> None:
    criteria(times(2), is_active=False, now=at("2026-03-01"))
    receive(passes("2026-03-02"))
    criteria(times(2), now=at("2026-03-03"))

    assert not receive(passes("2026-03-04"))
    assert receive(passes("2026-03-05"))


def test_a_document_that_was_removed_and_added_again_begins_anew() -> None:
    criteria(times(2), now=at("2026-03-01"))
    receive(passes("2026-03-02"))
    criteria(None, requirements=[requirement(course="course-v1:Demo+Other+2026")], now=at("2026-03-03"))
    criteria(times(2), now=at("2026-03-04"))

    assert not receive(passes("2026-03-05"))
    assert receive(passes("2026-03-06"))


def test_two_documents_count_the_same_events_each_from_its_own_moment() -> None:
    make_template(slug="older", requirements=[], criteria=times(3), now=at("2026-03-01"))
    receive(passes("2026-03-02"))
    criteria(times(3), now=at("2026-03-03"))

    receive(passes("2026-03-04"), passes("2026-03-05"))
    assert list(UserCredential.objects.values_list("template__slug", flat=True)) == ["older"]
    receive(passes("2026-03-06"))
    assert UserCredential.objects.count() == 2


def test_an_event_that_waits_in_the_inbox_while_the_template_is_saved_counts() -> None:
    make_template(slug="other", requirements=[requirement(course=None)])
    assert pipeline.receive(event(passes("2026-03-01")), now=at("2026-03-01"))
    criteria(times(2), now=at("2026-03-02"))

    pipeline.process_pending(now=at("2026-03-03"))
    receive(passes("2026-03-04"))

    assert UserCredential.objects.filter(template__slug="earned").exists()


def test_an_event_that_a_document_has_seen_counts_for_it_though_its_batch_began_before_the_document_was_saved() -> None:
    """After a lost connection a batch is tried again, by the catalog of that time."""
    criteria(times(2), now=at("2026-03-03 00:00:02"))

    pipeline.handle([event(passes("2026-03-02"))], now=at("2026-03-03 00:00:01"))

    assert receive(passes("2026-03-04"))


def test_what_time_alone_makes_true_looks_at_the_events_that_count() -> None:
    receive(enrolls("2026-02-28"))
    criteria(QUIET_WEEK, now=at("2026-03-01"))
    receive(passes("2026-03-02"))
    pipeline.process_pending(now=at("2026-04-01"))
    assert not held()

    receive(enrolls("2026-04-02"), passes("2026-04-03"))
    pipeline.process_pending(now=at("2026-05-01"))
    assert held()


def test_an_explanation_and_what_is_missing_are_about_the_events_that_count() -> None:
    receive(passes("2026-03-01"))
    criteria(times(2), requirements=[requirement(course=None)], now=at("2026-03-02"))
    receive(passes("2026-03-03"))

    explained = api.explain(ADA, "earned").criteria
    assert explained is not None
    assert not explained.result.satisfied
    assert (explained.number, explained.arrived_before, explained.counts_from) == (1, 1, at("2026-03-02"))
    assert list(api.missing_criteria(with_reports(BadgeProgress.objects.all())).values()) == [["1 of 2 events"]]

    receive(passes("2026-03-04"))
    explained = api.explain(ADA, "earned").criteria
    assert explained is not None
    assert explained.result.satisfied


# --- whom it concerns ------------------------------------------------------------------------------------------------


def test_an_event_that_the_document_cannot_look_at_creates_nobody_and_is_not_kept() -> None:
    criteria(times(1))

    receive(fails("2026-03-01"), enrolls("2026-03-02", number=42))

    assert not Learner.objects.exists()
    assert not InboxMessage.objects.exists()
    assert LoggedEvent.objects.count() == 2


def test_what_was_logged_before_the_person_was_a_learner_is_read() -> None:
    criteria({"$and": [PASSED, {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2}}}]})
    make_template(slug="other", requirements=[requirement(course="course-v1:Demo+Other+2026")])

    assert receive(fails("2026-03-01"), passes("2026-03-02"))


def test_a_document_about_every_event_asks_people_who_are_learners_and_keeps_nothing() -> None:
    criteria({"$timePeriod": {"periodType": "day", "periodCount": {"$gte": 3}}})
    make_template(slug="other", requirements=[requirement(course="course-v1:Demo+Algebra+2026")])

    receive(enrolls("2026-03-01", number=42), enrolls("2026-03-02", number=42), enrolls("2026-03-03", number=42))
    assert not Learner.objects.exists()

    receive(enrolls("2026-03-01"), passes("2026-03-02"))
    kept = InboxMessage.objects.count()
    receive(enrolls("2026-03-03"))
    assert UserCredential.objects.filter(template__slug="earned").count() == 1
    assert InboxMessage.objects.count() == kept


def test_a_document_about_every_event_is_decided_for_signals_and_rest_too() -> None:
    criteria({"$timePeriod": {"periodType": "day", "periodCount": {"$gte": 2}}})
    LearnerFactory(lms_user_id=ADA)

    assert pipeline.receive(event(enrolls("2026-03-01")))
    assert not pipeline.receive(event(enrolls("2026-03-01", number=42)))
    pipeline.receive(event(enrolls("2026-03-02")))
    pipeline.process_pending()

    assert held()


def test_a_document_that_no_event_is_needed_for_is_decided_by_any_event_of_a_learner() -> None:
    criteria({"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": False}}})
    LearnerFactory(lms_user_id=ADA)
    LearnerFactory(lms_user_id=42)

    receive(enrolls("2026-03-01"), fails("2026-03-01", number=42), enrolls("2026-03-02", number=42))

    assert (held(ADA), held(42)) == (True, False)


# --- the event log ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [{"days": 0}, {"days": 180, "types": {PASSING_STATUS: 0}}])
def test_what_a_document_reads_is_remembered_although_the_event_log_is_off(settings: Any, days: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "event_log": days}
    criteria(times(3))

    receive(passes("2026-03-01"), passes("2026-03-02"))
    event_log.delete_expired(now=at("2027-03-01"))

    assert receive(passes("2026-03-03"))


def test_events_are_kept_as_long_as_documents_can_look_back_to_them(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "event_log": {"days": 1}}
    criteria(window(times(3), last="30d"))
    receive(passes("2026-03-01"), passes("2026-03-02"))
    received = LoggedEvent.objects.update(received_at=at("2026-03-02"))

    assert event_log.delete_expired(now=at("2026-03-31")) == 0
    assert event_log.delete_expired(now=at("2026-04-01")) == received - 1


def test_events_that_no_document_counts_are_kept_no_longer_than_the_settings_say(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "event_log": {"days": 10}}
    receive(passes("2026-03-01"), passes("2026-03-02"))
    criteria(times(3), now=at("2026-03-02 12:00"))
    receive(passes("2026-03-03"))
    make_template(slug="later", requirements=[], criteria=times(3), now=at("2026-03-04"))

    assert event_log.delete_expired(now=at("2026-03-08")) == 0
    assert event_log.delete_expired(now=at("2027-03-01")) == 2
    assert LoggedEvent.objects.get().occurred_at == at("2026-03-03")


# --- time alone ------------------------------------------------------------------------------------------------------

QUIET_WEEK = {
    "$and": [{"event": ENROLLED}, window({"$not": {"event": PASSING_STATUS}}, last="7d")],
}


def due() -> dt.datetime | None:
    return InboxMessage.objects.filter(kind="criteria").values_list("due_at", flat=True).get()


def test_a_document_that_time_makes_true_is_awarded_when_the_time_has_come() -> None:
    criteria(QUIET_WEEK)
    assert not receive(passes("2026-03-01"), enrolls("2026-03-02"))
    # Events of that moment may be on their way for five minutes.
    assert due() == at("2026-03-08 00:05")

    assert pipeline.process_pending(now=at("2026-03-08 00:04")).seen == 0
    result = pipeline.process_pending(now=at("2026-03-08 00:06"))
    assert (result.seen, result.awarded) == (1, 1)
    assert held()
    assert cause() == {
        "cause_kind": "time",
        "cause_event_source": "",
        "cause_event_id": "",
        "cause_event_type": "",
        "cause_event_time": at("2026-03-08") + dt.timedelta(microseconds=1),
    }
    assert pipeline.process_pending(now=at("2026-12-31")).seen == 0


def test_badges_drain_awards_what_time_has_made_true(capsys: pytest.CaptureFixture[str]) -> None:
    criteria(QUIET_WEEK)
    assert not receive(passes("2026-03-01"), enrolls("2026-03-02"))

    call_command("badges_drain")

    assert held()
    assert InboxMessage.objects.get(kind="criteria").state == "processed"


def test_events_that_follow_in_time_prevent_what_time_would_have_made_true() -> None:
    criteria(QUIET_WEEK)
    sent = [passes("2026-03-01"), enrolls("2026-03-02"), passes("2026-03-07"), passes("2026-03-13")]

    # A consumer that has to catch up hands them over one after the other, long after they happened.
    for each in sent:
        pipeline.handle([event(each)], now=at("2026-03-19"))
    pipeline.process_pending(now=at("2026-03-19"))

    assert not held()
    assert due() == at("2026-03-20 00:05")


def test_what_became_true_between_two_events_that_arrive_later_is_found() -> None:
    criteria(QUIET_WEEK)

    assert not receive(passes("2026-03-01"), enrolls("2026-03-02"))
    assert receive(passes("2026-03-20"))
    assert cause()["cause_event_time"] == at("2026-03-08") + dt.timedelta(microseconds=1)


def test_a_check_is_one_row_which_moves_with_the_events() -> None:
    criteria(QUIET_WEEK)

    receive(*(passes(f"2026-03-0{day}") for day in range(1, 6)), enrolls("2026-03-06"))

    assert due() == at("2026-03-08 00:05")  # when the first event leaves the window
    while not held():
        pipeline.process_pending(now=due())
    assert cause()["cause_event_time"] == at("2026-03-12") + dt.timedelta(microseconds=1)


def test_a_check_of_a_template_that_is_not_active_any_more_does_nothing() -> None:
    criteria(QUIET_WEEK)
    receive(passes("2026-03-01"), enrolls("2026-03-02"))
    make_template(slug="earned", requirements=[], criteria=QUIET_WEEK, is_active=False)

    pipeline.process_pending(now=at("2026-04-01"))

    assert InboxMessage.objects.get(kind="criteria").state == "processed"
    assert not held()


def test_a_check_whose_text_is_damaged_is_a_dead_letter_and_the_next_event_writes_a_new_one() -> None:
    criteria(QUIET_WEEK)
    receive(passes("2026-03-02"), enrolls("2026-03-03"))
    InboxMessage.objects.filter(kind="criteria").update(payload="{}")

    pipeline.process_pending(now=at("2026-04-01"))
    assert InboxMessage.objects.get(kind="criteria").state == "dead"

    receive(passes("2026-03-04"))
    assert due() == at("2026-03-09 00:05")


def test_a_retired_learner_has_no_checks() -> None:
    criteria(QUIET_WEEK)
    for number in (ADA, 42):
        receive(passes("2026-03-02", number=number), enrolls("2026-03-03", number=number))

    api.retire(ADA)

    assert InboxMessage.objects.get(kind="criteria").lms_user_id == 42


# --- through files and processes -------------------------------------------------------------------------------------


def test_a_file_of_events_and_a_drain_in_processes_of_their_own_award_the_badge(
    tmp_path: Path, run_manage: Callable[..., Process]
) -> None:
    criteria(QUIET_WEEK)
    make_template(slug="thrice", requirements=[], criteria=times(3))
    file = tmp_path / "events.jsonl"
    sent = [*(passes(f"2026-03-0{day}") for day in (1, 2, 3)), enrolls("2026-03-02")]
    file.write_text("".join(f"{each.line}\n" for each in sent))
    env = {"LMS_BADGES_CONFIG": json.dumps(CONFIG), "DJANGO_SETTINGS_MODULE": "tests.support.host_settings"}

    consumer = run_manage("consume_badge_events", "--bus", "file", "--input", str(file), env=env)
    assert consumer.wait() == 0, consumer.output()
    assert list(UserCredential.objects.values_list("template__slug", flat=True)) == ["thrice"]

    drain = run_manage("badges_drain", env=env)
    assert drain.wait() == 0, drain.output()
    assert held()
    assert UserCredential.objects.count() == 2


def test_workers_that_are_killed_while_checks_are_due_lose_none_and_award_none_twice(
    run_manage: Callable[..., Process],
) -> None:
    criteria(QUIET_WEEK)
    patient = {"delivery": {"lease_seconds": 1}, "intake": {"max_attempts": 20}}
    env = {
        "LMS_BADGES_CONFIG": json.dumps({**CONFIG, **patient}),
        "DJANGO_SETTINGS_MODULE": "tests.support.host_settings",
    }
    moments = random.Random(1843)
    people: list[int] = []

    # How much a worker does before its end depends on the machine: only kills that leave work behind are counted.
    interrupted = 0
    while interrupted < 3:
        newcomers = range(100 + len(people), 180 + len(people))
        people.extend(newcomers)
        for make in (
            lambda number: passes("2026-03-01", number=number),
            lambda number: enrolls("2026-03-02", number=number),
        ):
            pipeline.handle([event(make(number)) for number in newcomers], now=at("2026-03-02 00:01"))
        before = claims()
        drain = run_manage("badges_drain", "--forever", env=env)
        drain.wait_until(lambda before=before: claims() - before or not pending(), seconds=60, what="a claim")
        time.sleep(moments.random() / 10)
        drain.kill()
        interrupted += pending()
    drain = run_manage("badges_drain", "--forever", env=env)
    drain.wait_until(lambda: not pending(), seconds=120, what="no check that is due")

    assert UserCredential.objects.count() == Fulfillment.objects.count() == len(people)
    assert all(held(number) for number in people)


def pending() -> bool:
    return InboxMessage.objects.filter(kind="criteria", state="pending").exists()


def claims() -> set[Any]:
    return set(InboxMessage.objects.filter(kind="criteria", claim__isnull=False).values_list("claim", flat=True))
