"""What is over stays over, and who was not asked for is not touched: runs, mails, lists of the given."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from badges.outbox.models import Circuit, OutboxMessage
from credentials_config.issuing import generation, lifecycle, periodic, runs
from credentials_config.models import Credential, CredentialConfiguration, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.issuing.smtp_server import PostOffice
from tests.credentials_config.issuing.stories import DAY, HOUR, NOW, algebra, deliver, diploma, issue, make, run
from tests.support.celery_wakeups import notified_tasks, use_memory_broker
from tests.support.claims import taken_by_another

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def mails() -> list[tuple[str, int]]:
    return list(OutboxMessage.objects.filter(channel="credential-mail").values_list("state", "attempts"))


def test_a_run_that_is_done_needs_no_worker_any_more(lms: LmsStandIn) -> None:
    algebra(lms, finished=1, unfinished=0)
    run(diploma())
    assert not runs.anything_due(now=NOW + DAY)
    runs.request(diploma(), cause=RunCause.PERSON, now=NOW + DAY)
    assert runs.anything_due(now=NOW + DAY)
    assert not runs.anything_due(now=NOW)


def test_the_run_that_somebody_waits_for_is_the_one_that_is_claimed(lms: LmsStandIn) -> None:
    algebra(lms)
    runs.request(diploma(), cause=RunCause.SCHEDULE, now=NOW - HOUR)
    asked = runs.request(diploma(), cause=RunCause.PERSON, now=NOW)
    claimed = runs.claim(run=asked, now=NOW)
    assert claimed is not None
    assert claimed.pk == asked.pk


def test_the_run_that_waits_longest_comes_first(lms: LmsStandIn) -> None:
    algebra(lms)
    later = runs.request(diploma(), cause=RunCause.PERSON, now=NOW)
    earlier = runs.request(diploma(), cause=RunCause.PERSON, now=NOW - HOUR)
    claimed = [runs.claim(now=NOW), runs.claim(now=NOW), runs.claim(now=NOW)]
    assert [each and each.pk for each in claimed] == [earlier.pk, later.pk, None]


def test_a_search_that_finds_somebody_wakes_a_maker_and_one_that_finds_nobody_does_not(
    lms: LmsStandIn, settings: Any
) -> None:
    algebra(lms, finished=2, unfinished=1)
    configuration = diploma()
    use_memory_broker(settings)
    run(configuration)
    assert "credentials_config.make" in notified_tasks()
    make()
    notified_tasks()
    run(configuration, now=NOW + DAY)
    assert "credentials_config.make" not in notified_tasks()


def test_who_is_given_one_by_hand_is_who_is_returned(lms: LmsStandIn) -> None:
    algebra(lms, finished=3, unfinished=0)
    issue(diploma())
    configuration = diploma()
    lifecycle.issue(configuration, usernames=["done-1", "done-2"], now=NOW)
    lifecycle.invalidate(Credential.objects.filter(learner__lms_user_id=1002), public_reason="A mistake.")
    (given,) = lifecycle.issue(configuration, usernames=["done-2"], now=NOW)
    assert (given.configuration, given.learner.lms_user_id, given.status) == (configuration, 1002, "generating")


def test_only_what_is_over_expires(lms: LmsStandIn) -> None:
    algebra(lms, finished=2, unfinished=0)
    issue(diploma(valid_days=30))
    issue(diploma(valid_days=31))
    issue(diploma())
    assert lifecycle.expire(now=NOW + 30 * DAY) == 2
    assert Credential.objects.filter(status="available").count() == 4


def test_what_expired_before_its_mail_went_out_is_not_announced(lms: LmsStandIn, smtp_server: PostOffice) -> None:
    algebra(lms, finished=1, unfinished=0)
    issue(diploma(valid_days=1))
    lifecycle.expire(now=NOW + 2 * DAY)
    deliver()
    assert smtp_server.letters == []
    assert mails() == [("delivered", 1)]


def test_a_credential_that_is_gone_leaves_no_mail_behind(lms: LmsStandIn, smtp_server: PostOffice) -> None:
    algebra(lms, finished=1, unfinished=0)
    issue(diploma())
    Credential.objects.all().delete()
    deliver()
    assert mails() == [("delivered", 1)]


def test_an_expired_credential_is_not_made_again(lms: LmsStandIn) -> None:
    algebra(lms, finished=1, unfinished=0)
    issue(diploma(valid_days=30))
    lifecycle.reissue(Credential.objects.all(), now=NOW + DAY)
    lifecycle.expire(now=NOW + 31 * DAY)
    assert make(now=NOW + 31 * DAY).seen == 0
    assert Credential.objects.values_list("status", "document_number", "due_at").get() == ("expired", 1, None)


@pytest.mark.parametrize(("code", "rests"), [(421, True), (450, False)])
def test_only_a_server_that_closes_lets_all_mail_rest(
    lms: LmsStandIn, smtp_server: PostOffice, code: int, rests: bool
) -> None:
    algebra(lms, finished=1, unfinished=0)
    issue(diploma())
    smtp_server.refuse(code)
    assert deliver().rescheduled == 1
    assert Circuit.objects.filter(name="smtp", failures=1).exists() is rests


def test_a_row_that_another_worker_is_just_taking_holds_nobody_up(lms: LmsStandIn) -> None:
    algebra(lms, finished=2, unfinished=0)
    run(diploma())
    with taken_by_another(Credential.objects.filter(learner__lms_user_id=1001)) as is_passed_over:
        found = sorted(row.learner.lms_user_id or 0 for row in generation.claim(10, now=NOW))
    assert found == ([1002] if is_passed_over else [1001, 1002])


def test_a_schedule_with_a_beginning_and_an_end_comes_round_between_them() -> None:
    configuration = diploma()
    now = timezone.now()
    CredentialConfiguration.objects.update(created_at=now - 3 * DAY)
    PeriodicTask.objects.update(start_time=now - HOUR, expires=now + HOUR)
    assert periodic.due(now) == [configuration]
