"""Events that are stored first and decided later, as signal receivers and the REST API do it."""

from __future__ import annotations

import datetime as dt

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.exceptions import Retryable
from badges.intake import inbox
from badges.intake.models import InboxMessage, InboxState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


def test_a_received_event_is_decided_once(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA)

    assert pipeline.receive(event)
    assert pipeline.receive(event)
    assert not UserCredential.objects.exists()

    first, again = pipeline.process_pending(), pipeline.process_pending()

    assert (first.awarded, again.seen) == (1, 0)
    assert InboxMessage.objects.get().state == InboxState.PROCESSED


def test_an_event_that_meets_no_requirement_is_not_stored(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})

    assert not pipeline.receive(passing(course_key=BOTANY))

    assert not InboxMessage.objects.exists()


def test_an_event_of_a_transaction_that_was_rolled_back_is_not_stored(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})

    with transaction.atomic():
        pipeline.receive(passing(course_key=ALGEBRA))
        transaction.set_rollback(True)

    assert pipeline.process_pending().seen == 0


def test_an_event_that_comes_from_the_bus_while_it_is_pending_counts_once(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    event = passing(course_key=ALGEBRA)
    pipeline.receive(event)

    result = pipeline.handle([event])
    pipeline.process_pending()

    assert result.duplicates == 1
    assert UserCredential.objects.count() == 1


def test_a_pending_event_whose_template_was_switched_off_is_stored_as_no_match(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.receive(passing(course_key=ALGEBRA))
    template("star", {"key": "pass", "course": ALGEBRA}, is_active=False)

    pipeline.process_pending()

    assert InboxMessage.objects.values_list("state", "reason").get() == ("unmatched", "no match")


def test_events_of_a_worker_that_died_are_decided_when_its_lease_ends(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.receive(passing(course_key=ALGEBRA))
    now = timezone.now()
    assert len(inbox.claim(10, now, lease=30)) == 1

    assert pipeline.process_pending(now=now + dt.timedelta(seconds=29)).seen == 0
    assert pipeline.process_pending(now=now + dt.timedelta(seconds=31)).awarded == 1


def test_a_worker_whose_lease_ended_decides_nothing(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.receive(passing(course_key=ALGEBRA))
    now = timezone.now()
    slow = inbox.claim(10, now, lease=0)
    pipeline.process_pending(now=now + dt.timedelta(seconds=1))

    assert inbox.finish(slow, state=InboxState.DEAD, now=now) == 0


def test_a_dead_letter_is_decided_after_an_operator_retries_it(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=1, username="zoe")])
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=2, username="zoe")])
    zoe = UserCredential.objects.get().learner
    zoe.user.username = "zoe-the-first"
    zoe.user.save()

    retried = inbox.requeue(InboxMessage.objects.all(), now=timezone.now())
    pipeline.process_pending()

    assert retried == 1
    assert sorted(UserCredential.objects.values_list("learner__lms_user_id", flat=True)) == [1, 2]


def test_events_that_a_worker_did_not_finish_are_tried_one_by_one_and_the_others_together(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    for number in (1, 2, 3):
        pipeline.receive(passing(course_key=ALGEBRA, lms_user_id=number, username=f"u{number}"))
    now = timezone.now()
    assert len(inbox.claim(2, now, lease=30)) == 2
    pipeline.receive(passing(course_key=ALGEBRA, lms_user_id=4, username="u4"))

    later = now + dt.timedelta(seconds=60)
    seen = [pipeline.process_pending(now=later).seen for _ in range(4)]

    assert sorted(seen) == [0, 1, 1, 2]
    assert UserCredential.objects.count() == 4
    assert sorted(InboxMessage.objects.values_list("attempts", flat=True)) == [1, 1, 2, 2]


def test_a_transient_error_of_the_database_counts_no_attempt(template, passing, settings):
    settings.LMS_BADGES_CONFIG = {"intake": {"give_up_seconds": 0}}
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.receive(passing(course_key=ALGEBRA, lms_user_id=1, username="u1"))

    with connection.execute_wrapper(locked_out), pytest.raises(Retryable):
        pipeline.process_pending()

    row = InboxMessage.objects.get()
    assert (row.state, row.attempts, row.claim) == ("pending", 0, None)
    assert pipeline.process_pending().awarded == 1


def locked_out(execute, sql, params, many, context):
    """Let no credential be written, as if another connection had locked its table."""
    if sql.startswith("INSERT INTO") and "usercredential" in sql:
        words = {"sqlite": ("database is locked",), "mysql": (1205, "Lock wait timeout exceeded")}
        raise OperationalError(*words.get(connection.vendor, ("canceling statement due to lock timeout",)))
    return execute(sql, params, many, context)


def test_the_time_limit_of_a_task_counts_no_attempt_of_an_event(template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.receive(passing(course_key=ALGEBRA, lms_user_id=1, username="u1"))

    def time_is_over(execute, sql, params, many, context):
        if sql.startswith("INSERT INTO") and "usercredential" in sql:
            raise SoftTimeLimitExceeded
        return execute(sql, params, many, context)

    with connection.execute_wrapper(time_is_over), pytest.raises(SoftTimeLimitExceeded):
        pipeline.process_pending()

    assert InboxMessage.objects.values_list("state", "attempts", "reason").get() == ("pending", 0, "")
    assert pipeline.process_pending().awarded == 1
