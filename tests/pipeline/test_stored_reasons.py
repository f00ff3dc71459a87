"""What is stored of a decision: its cause, its time, and what went wrong."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.intake.models import InboxMessage
from badges.progress.models import BadgeProgress
from tests.factories import NOON
from tests.support.celery_notifications import notified_tasks, use_memory_broker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
SECOND, HOUR = dt.timedelta(seconds=1), dt.timedelta(hours=1)


def test_a_credential_names_the_time_of_the_event_that_earned_it(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA, time=NOON - HOUR)
    pipeline.handle([event], now=NOON)
    credential = UserCredential.objects.get()
    assert (credential.cause_event_time, credential.awarded_at) == (NOON - HOUR, NOON)


def test_a_badge_that_takes_two_batches_is_complete_since_the_second(template, passing):
    template("both", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY})
    pipeline.handle([passing(course_key=ALGEBRA)], now=NOON)
    assert BadgeProgress.objects.get().completed_at is None
    pipeline.handle([passing(course_key=BOTANY)], now=NOON + HOUR)
    progress = BadgeProgress.objects.get()
    assert (progress.created_at, progress.completed_at) == (NOON, NOON + HOUR)


def test_a_near_miss_is_stored_with_the_reason_no_match(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"keep_unmatched": True}
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, is_passing=False)], now=NOON)
    assert InboxMessage.objects.get().reason == "no match"


def test_an_event_that_failed_is_stored_with_the_reason_and_waits_longer_each_time(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"delivery": {"base_delay": 8}}
    template("star", {"key": "pass", "course": ALGEBRA})

    def refuse(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "fulfillment" in sql:
            raise ValueError("a bug")
        return execute(sql, params, many, context)

    waits = []
    with connection.execute_wrapper(refuse):
        pipeline.handle([passing(course_key=ALGEBRA)], now=NOON)
        for now in (NOON, NOON + HOUR):
            assert pipeline.process_pending(now=now).seen == (0 if now == NOON else 1)
            row = InboxMessage.objects.get()
            assert row.reason.startswith("ValueError")
            waits.append(row.due_at - now)
    assert 4 * SECOND <= waits[0] <= 8 * SECOND
    assert 8 * SECOND <= waits[1] <= 16 * SECOND


def test_a_received_event_notifies_a_worker_and_one_that_meets_no_requirement_does_not(template, passing, settings):
    use_memory_broker(settings)
    template("star", {"key": "pass", "course": ALGEBRA})
    notified_tasks()
    pipeline.receive(passing(course_key=BOTANY))
    assert notified_tasks() == []
    pipeline.receive(passing(course_key=ALGEBRA))
    assert notified_tasks() == ["badges.process_pending"]
    pipeline.process_pending()
    assert notified_tasks() == ["badges.deliver"]
