"""What the database keeps of activities, and that the sums over them follow from it."""

from __future__ import annotations

import datetime as dt
import random
import tracemalloc
from typing import Any

import pytest
from django.db import connection

from badges.engagement.activities import NewActivity, record, stats_of
from badges.engagement.models import Activity, LearnerEngagement
from badges.rules import EngagementStats
from tests.factories import NOON, LearnerFactory
from tests.support.constraints import again, refused
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.tables, pytest.mark.django_db]
DAY = dt.timedelta(days=1)


@pytest.fixture
def learner(db: None) -> Any:
    return LearnerFactory()


def quiz(learner: Any, id: str, *, days_ago: float = 0, **given: Any) -> NewActivity:
    fields = {"kind": "quiz", "source": "activities/quiz", "score": 8.0, **given}
    return NewActivity(learner.pk, event_id=id, occurred_at=NOON - days_ago * DAY, **fields)


def stats(learner: Any, now: dt.datetime = NOON) -> EngagementStats:
    return stats_of([learner.pk], now=now)[learner.pk]


def test_an_activity_of_a_learner_is_stored_once(learner):
    record([quiz(learner, "q-1")], now=NOON)
    row = Activity.objects.get()
    refused(again(row))
    again(row, learner_id=LearnerFactory().pk)()


@pytest.mark.parametrize(
    "wrong",
    [{"kind": ""}, {"score": -0.5}, {"score": 1_000_001}, {"score": 1e300}, {"cards": 1_000_001}],
    ids=str,
)
def test_the_database_refuses_what_no_rule_could_use(learner, wrong):
    record([quiz(learner, "q-1")], now=NOON)
    refused(lambda: Activity.objects.update(**wrong))


def test_ids_that_differ_by_case_or_by_a_space_at_the_end_are_different(learner):
    found = record([quiz(learner, "q"), quiz(learner, "Q"), quiz(learner, "q ")], now=NOON)
    assert found.stats[learner.pk].total_activities == 3


def test_the_sums_are_the_same_for_any_order_any_batches_and_any_duplicates(learner):
    twin = LearnerFactory()
    for one in (learner, twin):
        activities = [quiz(one, f"q-{day}", days_ago=day + 0.6) for day in (0, 1, 2, 4, 5, 9, 10, 11, 12)]
        if one is twin:
            random.Random(4).shuffle(activities)
            for activity in activities:
                record([activity, activities[0]], now=NOON)
        record(activities, now=NOON)
    assert stats(learner) == stats(twin) == EngagementStats(72, {"quiz": 9}, 3, 4)
    assert Activity.objects.count() == 18


def test_a_streak_ends_with_time_alone(learner):
    record([quiz(learner, "q-1"), quiz(learner, "q-2", days_ago=1)], now=NOON)
    ends = [stats(learner, NOON + days * DAY).current_streak for days in (0, 1, 2)]
    assert ends == [2, 2, 0]


def test_changed_rules_count_for_all_activities(learner, settings):
    record([quiz(learner, "q-1"), quiz(learner, "q-2", kind="essay")], now=NOON)
    assert stats(learner).total_xp == 8
    settings.LMS_BADGES_CONFIG = {"engagement": {"xp": {"essay": {"xp": 100}, "quiz": {"xp": 1}}}}
    assert stats(learner).total_xp == 101
    record([quiz(learner, "q-3")], now=NOON)
    assert LearnerEngagement.objects.get().total_xp == 102
    with counted_statements() as statements:
        assert stats(learner).total_xp == 102
    assert len(statements) == 1


def test_making_the_sums_anew_does_not_keep_all_activities_in_memory(learner, settings):
    record([quiz(learner, f"q-{number}") for number in range(8000)], now=NOON)
    settings.LMS_BADGES_CONFIG = {"engagement": {"xp": {"quiz": {"xp": 2}}}}
    # The driver of MariaDB hands over a whole result at once: some 300 bytes for each row. No objects are kept of them.
    most = 3_500_000 if connection.vendor == "mysql" else 1_500_000
    tracemalloc.start()
    try:
        assert stats(learner).total_xp == 16000
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def test_a_changed_time_zone_counts_for_all_days(learner, settings):
    late_evenings = [quiz(learner, f"q-{day}", days_ago=day - 11 / 24) for day in (1, 2, 4)]  # 23:00 UTC
    record(late_evenings, now=NOON)
    assert stats(learner).current_streak == 2
    found = record(
        [quiz(learner, "q-9", days_ago=2.3)], now=NOON, time_zones={learner.pk: "Europe/Brussels"}
    )  # the 12th in Brussels, where the others are of the 11th, the 13th and the 14th
    assert found.stats[learner.pk].current_streak == 4
    settings.LMS_BADGES_CONFIG = {"engagement": {"time_zone": "Asia/Tokyo"}}
    assert stats(learner).current_streak == 4
    LearnerEngagement.objects.update(time_zone="")
    assert stats(learner).longest_streak == 4


def test_a_repeated_activity_does_not_change_the_time_zone(learner):
    for zone in ("Europe/Brussels", "Asia/Tokyo"):
        record([quiz(learner, "q-1")], now=NOON, time_zones={learner.pk: zone})
    assert LearnerEngagement.objects.get().time_zone == "Europe/Brussels"


def test_a_time_zone_that_this_machine_does_not_have_is_left_out(learner):
    record([quiz(learner, "q-1")], now=NOON, time_zones={learner.pk: "Europe/Brussels"})
    LearnerEngagement.objects.update(time_zone="Palombia/Marsupil")
    assert stats(learner).total_xp == 8


def test_recording_costs_the_same_for_any_number_of_activities_and_learners(learner):
    costs = []
    for number in (1, 40):
        learners = [LearnerFactory() for _ in range(number)]
        activities = [quiz(one, f"q-{day}", days_ago=day) for one in learners for day in range(number)]
        for days in (0, 1):
            later = [quiz(one, f"later-{days}") for one in learners]
            with counted_statements() as statements:
                record([*activities, *later], now=NOON)
            costs.append(len({statement[:40] for statement in statements}))
    assert costs == [4] * 4


def test_nobody_has_no_figures():
    assert stats_of([], now=NOON) == {}
    assert stats_of([12345], now=NOON) == {12345: EngagementStats()}
