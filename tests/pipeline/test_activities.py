"""What a designer relies on: events of the bus give XP and streaks, and badges for them, if the settings say so."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.core.management import call_command

from badges import api, pipeline
from badges.awarding.models import UserCredential
from badges.catalog.causes import CauseKind
from badges.catalog.documents import DocumentError
from badges.conf import PASSING_STATUS
from badges.engagement.models import Activity, LearnerEngagement
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, Learner
from badges.progress.models import Fulfillment
from badges.rules import EngagementStats
from badges.testing.events import passing_status
from tests.factories import NOON, WORKSHOP, LearnerFactory, make_event_type, make_template, workshop_event
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    engagement = {"events": {PASSING_STATUS: "course"}, "xp": {"course": {"xp": 30}}}
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "engagement": engagement}


@pytest.fixture
def passes() -> Any:
    def make(number: int = 5, *, days_ago: float = 0, **given: Any) -> Any:
        line = passing_status(lms_user_id=number, username=f"spip{number}", time=NOON - days_ago * DAY, **given).line
        return parse_event(line, received_from="test")

    return make


def held(number: int = 5) -> list[str]:
    return sorted(api.credentials_of(number).filter(status="awarded").values_list("template__slug", flat=True))


def stats(number: int = 5) -> EngagementStats:
    return api.engagement_of(number, now=NOON)


def test_an_event_gives_xp_and_badges_to_a_new_learner(passes):
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    event = passes()
    result = pipeline.handle([event], now=NOON)

    assert (result.matched, result.awarded) == (1, 2)
    assert held() == ["first_xp", "getting_started"]
    credential = UserCredential.objects.get(template__slug="first_xp")
    assert credential.cause_kind == CauseKind.CONDITION
    assert (credential.cause_event_type, credential.cause_event_id) == ("course", event.id)
    assert stats() == EngagementStats(30, {"course": 1}, 1, 1)


def test_events_in_any_order_and_twice_give_the_same(passes):
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    week = [passes(days_ago=day) for day in (3, 0, 6, 1, 5, 2)]
    pipeline.handle(week, now=NOON)
    pipeline.handle([week[1], week[1], passes(6)], now=NOON)
    assert "week_streak" not in held()

    pipeline.handle([passes(days_ago=4), *week], now=NOON)
    assert held() == ["50_xp", "first_xp", "getting_started", "week_streak"]
    assert stats() == EngagementStats(210, {"course": 7}, 7, 7)
    assert Activity.objects.count() == 8
    assert held(6) == ["first_xp", "getting_started"]


def test_events_and_requests_add_up(passes, settings):
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    pipeline.handle([passes()], now=NOON)
    quiz = api.ActivityData("quiz", "activities/quiz", "q-1", NOON, score=20)
    assert api.record_activity(5, quiz, now=NOON).new_badges == ["50_xp"]
    assert stats().activities == {"course": 1, "quiz": 1}


def test_an_event_that_a_requirement_needs_too_counts_for_both(passes):
    make_template(slug="star")
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    from tests.factories import ALGEBRA  # noqa: PLC0415

    pipeline.handle([passes(course_key=ALGEBRA)], now=NOON)
    assert held() == ["first_xp", "getting_started", "star"]


def test_without_the_setting_events_give_nothing_and_cost_nothing(passes, settings):
    settings.LMS_BADGES_CONFIG = {"event_log": {"days": 0}}
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    pipeline.warm_up()
    with counted_statements() as statements:
        pipeline.handle([passes()], now=NOON)
    assert len(statements) == 1, statements
    assert not Learner.objects.exists()


@pytest.mark.parametrize("wrong", [{"x": "y"}, {PASSING_STATUS: ""}, {PASSING_STATUS: 3}, {PASSING_STATUS: "x" * 101}])
def test_a_wrong_setting_is_left_out(passes, settings, wrong):
    settings.LMS_BADGES_CONFIG = {"engagement": {"events": wrong}}
    pipeline.handle([passes()], now=NOON)
    assert not Activity.objects.exists()


def test_a_retired_person_gets_no_activities(passes):
    pipeline.handle([passes()], now=NOON)
    api.retire(5)
    pipeline.handle([passes()], now=NOON)
    assert not Activity.objects.exists()
    assert not LearnerEngagement.objects.exists()


def test_the_explanation_says_whether_the_condition_holds_and_for_which_figures(passes):
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    make_template(slug="star")
    event = passes()
    pipeline.handle([event], now=NOON)

    first = api.explain(5, "first_xp", at=NOON)
    assert first.badge_condition.holds
    assert first.badge_condition.stats == stats()
    assert [(each.cause_kind, each.cause_event_id) for each in first.credentials] == [("condition", event.id)]
    assert not api.explain(5, "week_streak", at=NOON).badge_condition.holds
    assert not api.explain(999, "first_xp", at=NOON).badge_condition.holds
    assert api.explain(5, "star", at=NOON).badge_condition is None


# --- figures in criteria ---------------------------------------------------------------------------------------------


def test_an_activity_asks_documents_without_figures_only_at_the_times_of_their_events(passes):
    quiet = {
        "$timeWindow": {"last": "7d", "flow": {"$not": {"event": PASSING_STATUS, "criteria": {"is_passing": False}}}}
    }
    document = {"$and": [{"event": PASSING_STATUS, "criteria": {"is_passing": True}}, quiet]}
    make_template(slug="quiet-week", requirements=[], criteria=document)

    # The consumer is a month behind. That nothing followed in the last week is not known yet.
    pipeline.handle([passes(days_ago=30, is_passing=False), passes(days_ago=29)], now=NOON)
    assert not held()


def test_an_own_event_type_that_becomes_an_activity_later_asks_documents_about_figures(settings):
    engagement = {"events": {WORKSHOP: "workshop"}, "xp": {"workshop": {"xp": 60}}}
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "engagement": engagement}
    make_template(slug="busy", requirements=[], criteria={"$stat": {"xp": {"$gte": 50}}})
    LearnerFactory(lms_user_id=41)
    pipeline.warm_up()
    make_event_type()

    event = parse_event(json.dumps(workshop_event()), received_from="test")
    pipeline.handle([event], now=NOON)
    assert held(41) == ["busy"]


def test_a_document_about_figures_alone_is_earned_when_an_event_changes_them(passes):
    make_template(slug="sixty", requirements=[], criteria={"$stat": {"xp": {"$gte": 60}}})
    first, second = passes(), passes()
    pipeline.handle([first], now=NOON)
    assert held() == []
    pipeline.handle([second], now=NOON)
    assert held() == ["sixty"]
    fulfilment = Fulfillment.objects.get()
    assert (fulfilment.cause_kind, fulfilment.cause_event_id) == (CauseKind.EVENT, second.id)


def test_the_figures_of_a_batch_are_those_after_its_events(passes):
    make_template(slug="sixty", requirements=[], criteria={"$stat": {"xp": {"$gte": 60}}})
    pipeline.handle([passes(), passes(), passes(6)], now=NOON)
    assert (held(), held(6)) == (["sixty"], [])


def test_a_document_about_figures_is_earned_by_a_request(passes):
    LearnerFactory(lms_user_id=5)
    make_template(slug="twice", requirements=[], criteria={"$stat": {"activities.quiz": {"$gte": 2}}})
    make_template(slug="streak", requirements=[], criteria={"$stat": {"current_streak": {"$gte": 2}, "xp": {"$gt": 0}}})
    found = [
        api.record_activity(
            5, api.ActivityData("quiz", "activities/quiz", f"q-{day}", NOON - day * DAY, score=4), now=NOON
        )
        for day in (0, 2, 1)
    ]
    assert [each.new_badges for each in found] == [[], ["twice"], ["streak"]]


def test_a_document_about_events_and_figures_needs_both_whichever_comes_last(passes):
    criteria = {"$and": [{"event": PASSING_STATUS, "criteria": {"is_passing": True}}, {"$stat": {"xp": {"$gte": 40}}}]}
    make_template(slug="both", requirements=[], criteria=criteria)
    pipeline.handle([passes(5)], now=NOON)
    for number in (5, 6):
        LearnerFactory(lms_user_id=6) if number == 6 else None
        quiz = api.ActivityData("quiz", "activities/quiz", "q-1", NOON, score=10)
        new = api.record_activity(number, quiz, now=NOON).new_badges
        assert new == (["both"] if number == 5 else [])
    pipeline.handle([passes(6)], now=NOON)
    assert held(6) == ["both"]


def test_the_row_of_the_inbox_is_there_like_for_every_event_that_matters(passes):
    pipeline.handle([passes()], now=NOON)
    assert InboxMessage.objects.get().state == "processed"


@pytest.mark.parametrize(
    ("criteria", "path"),
    [
        ({"$stat": {"points": {"$gte": 2}}}, "criteria/$stat/points"),
        ({"$not": {"$or": [{"$stat": {"xp": 1, "activities.": 3}}]}}, "criteria/$not/$or/0/$stat/activities."),
    ],
)
def test_a_figure_that_does_not_exist_is_refused_when_a_template_is_saved(criteria, path):
    with pytest.raises(DocumentError) as refused:
        make_template(slug="typo", requirements=[], criteria=criteria)
    (problem,) = refused.value.problems
    assert problem.path == path
    assert "write xp, current_streak, longest_streak, activities, or" in problem.message
