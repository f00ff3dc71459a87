"""What is finished stays finished, and rows that were not meant are not changed: runs, mails, issued credentials."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from badges.outbox.models import Circuit, OutboxMessage
from credentials_config.issuing import document_queue, lifecycle, periodic, run_queue
from credentials_config.models import Credential, CredentialConfiguration, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.support.celery_notifications import notified_tasks, use_memory_broker
from tests.support.certificates import DAY, HOUR, NOW, add_algebra, configure_certificate, deliver, issue, make, run
from tests.support.claims import taken_by_another
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]


def mails() -> list[tuple[str, int]]:
    return list(OutboxMessage.objects.filter(channel="credential-mail").values_list("state", "attempts"))


def test_a_run_that_is_done_needs_no_worker_any_more(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure_certificate())
    assert not run_queue.anything_due(now=NOW + DAY)
    run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW + DAY)
    assert run_queue.anything_due(now=NOW + DAY)
    assert not run_queue.anything_due(now=NOW)


def test_the_run_that_somebody_waits_for_is_the_one_that_is_claimed(lms: LmsStandIn) -> None:
    add_algebra(lms)
    run_queue.request(configure_certificate(), cause=RunCause.SCHEDULE, now=NOW - HOUR)
    asked = run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW)
    claimed = run_queue.claim(run=asked, now=NOW)
    assert claimed is not None
    assert claimed.pk == asked.pk


def test_the_run_that_waits_longest_comes_first(lms: LmsStandIn) -> None:
    add_algebra(lms)
    later = run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW)
    earlier = run_queue.request(configure_certificate(), cause=RunCause.PERSON, now=NOW - HOUR)
    claimed = [run_queue.claim(now=NOW), run_queue.claim(now=NOW), run_queue.claim(now=NOW)]
    assert [each and each.pk for each in claimed] == [earlier.pk, later.pk, None]


def test_a_search_that_finds_somebody_notifies_a_worker_and_one_that_finds_nobody_does_not(
    lms: LmsStandIn, settings: Any
) -> None:
    add_algebra(lms, finished=2, unfinished=1)
    configuration = configure_certificate()
    use_memory_broker(settings)
    run(configuration)
    assert "credentials_config.make" in notified_tasks()
    make()
    notified_tasks()
    run(configuration, now=NOW + DAY)
    assert "credentials_config.make" not in notified_tasks()


def test_issuing_by_hand_returns_what_was_issued(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=3, unfinished=0)
    issue(configure_certificate())
    configuration = configure_certificate()
    lifecycle.issue(configuration, usernames=["done-1", "done-2"], now=NOW)
    lifecycle.invalidate(Credential.objects.filter(learner__lms_user_id=1002), public_reason="A mistake.")
    (given,) = lifecycle.issue(configuration, usernames=["done-2"], now=NOW)
    assert (given.configuration, given.learner.lms_user_id, given.status) == (configuration, 1002, "generating")


def test_only_what_is_over_expires(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure_certificate(valid_days=30))
    issue(configure_certificate(valid_days=31))
    issue(configure_certificate())
    assert lifecycle.expire(now=NOW + 30 * DAY) == 2
    assert Credential.objects.filter(status="available").count() == 4


def test_a_credential_that_expired_before_its_mail_is_not_announced(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate(valid_days=1))
    lifecycle.expire(now=NOW + 2 * DAY)
    deliver()
    assert smtp_server.emails == []
    assert mails() == [("delivered", 1)]


def test_a_credential_that_is_gone_leaves_no_mail_behind(lms: LmsStandIn, smtp_server: SmtpServer) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    Credential.objects.all().delete()
    deliver()
    assert mails() == [("delivered", 1)]


def test_an_expired_credential_is_not_made_again(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate(valid_days=30))
    lifecycle.reissue(Credential.objects.all(), now=NOW + DAY)
    lifecycle.expire(now=NOW + 31 * DAY)
    assert make(now=NOW + 31 * DAY).seen == 0
    assert Credential.objects.values_list("status", "document_number", "due_at").get() == ("expired", 1, None)


@pytest.mark.parametrize(("code", "holds"), [(421, True), (450, False)])
def test_only_a_server_that_closes_holds_all_mail(
    lms: LmsStandIn, smtp_server: SmtpServer, code: int, holds: bool
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure_certificate())
    smtp_server.refuse(code)
    assert deliver().rescheduled == 1
    assert Circuit.objects.filter(name="smtp", failures=1).exists() is holds


def test_a_row_that_another_worker_is_claiming_delays_nobody(lms: LmsStandIn) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    run(configure_certificate())
    with taken_by_another(Credential.objects.filter(learner__lms_user_id=1001)) as is_passed_over:
        found = sorted(row.learner.lms_user_id or 0 for row in document_queue.claim(10, now=NOW))
    assert found == ([1002] if is_passed_over else [1001, 1002])


def test_a_schedule_with_a_beginning_and_an_end_is_due_between_them() -> None:
    configuration = configure_certificate()
    now = timezone.now()
    CredentialConfiguration.objects.update(created_at=now - 3 * DAY)
    PeriodicTask.objects.update(start_time=now - HOUR, expires=now + HOUR)
    assert periodic.due(now) == [configuration]
