"""
What an operator relies on when a machine dies: every credential is finished later, once, with one e-mail.

The worker is a process of its own and ends by SIGKILL. LMS, mail server and folder outlive it, and show what happened.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from django_celery_beat.models import IntervalSchedule

from badges.api import RunState
from badges.outbox.models import OutboxMessage
from credentials_config.issuing import generation, run_queue, runs
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.services.processes import ROOT, Process
from tests.support.certificates import add_algebra, assert_one_each, configure_certificate, deliver, files_in
from tests.support.smtp_server import SmtpServer

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

PLUGINS = Path(__file__).with_name("plugins")
AFTER_THE_LEASE = timedelta(hours=1)

Start = Callable[..., Process]


@pytest.fixture
def worker(run_manage: Callable[..., Process], lms: LmsStandIn, smtp_server: SmtpServer, settings: Any) -> Start:
    """Start a command of the reference host with the text generator installed, as any plug-in is."""

    def start(*command: str, env: dict[str, str] | None = None, **issuing: Any) -> Process:
        config = {**settings.CREDENTIALS_CONFIG, "issuing": issuing}
        return run_manage(
            *command,
            env={
                "DJANGO_SETTINGS_MODULE": "tests.credentials_config.issuing.worker_settings",
                "PYTHONPATH": f"{PLUGINS}:{ROOT}",
                "CREDENTIALS_CONFIG": json.dumps(config),
                "MEDIA_ROOT": str(settings.MEDIA_ROOT),
                "EMAIL_PORT": str(smtp_server.port),
                **(env or {}),
            },
        )

    return start


def finish(configuration: CredentialConfiguration) -> None:
    """Do what the next worker does: carry out runs, make documents, deliver."""
    now = finish_documents()
    for times in range(1, 4):
        deliver(now=now + times * AFTER_THE_LEASE)


def finish_documents() -> datetime:
    """Carry out runs and make documents after the leases of killed workers; return when."""
    now = timezone.now() + AFTER_THE_LEASE
    while (run := run_queue.claim(now=now)) is not None:
        runs.carry_out(run, now=now)
    generation.make_due(now=now)
    return now


def assert_one_email_each(server: SmtpServer, learners: int) -> None:
    wanted = {f"done-{number}@example.com": 1 for number in range(1, learners + 1)}
    assert Counter(email["To"] for email in server.emails) == wanted


def finished() -> int:
    return Credential.objects.filter(status="available").count()


def test_a_worker_killed_while_it_asks_the_lms_is_taken_over(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=6)
    configuration = configure_certificate()
    lms.slow_down(0.5)
    process = worker("credentials_run", chunk=2)
    process.wait_until(lambda: Credential.objects.exists(), what="the first learners")
    process.kill()
    lms.recover()
    assert CredentialRun.objects.get().outcome == ""
    assert Credential.objects.count() < 6
    finish(configuration)
    assert CredentialRun.objects.get().outcome == RunState.DONE
    assert_one_each(learners=6)
    assert_one_email_each(smtp_server, 6)


def test_a_worker_killed_while_it_makes_documents_is_taken_over(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer, folder: Path
) -> None:
    add_algebra(lms, finished=6)
    configuration = configure_certificate(options={"text_generator": {"seconds": 1}})
    process = worker("credentials_run", batch=2)
    process.wait_until(lambda: finished() >= 2, what="the first documents")
    process.kill()
    assert finished() < 6
    finish(configuration)
    assert_one_each(learners=6)
    assert len(files_in(folder)) == 6
    assert_one_email_each(smtp_server, 6)


def test_a_worker_killed_between_storing_a_document_and_writing_it_down_leaves_one_file(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer, folder: Path
) -> None:
    add_algebra(lms, finished=3)
    configuration = configure_certificate()
    process = worker("credentials_run", env={"STORAGE_SECONDS": "30"})
    process.wait_until(lambda: files_in(folder), what="a file")
    process.kill()
    assert finished() == 0
    finish(configuration)
    assert_one_each(learners=3)
    assert len(files_in(folder)) == 3
    assert_one_email_each(smtp_server, 3)


def test_a_worker_killed_between_the_servers_acceptance_and_its_own_commit_sends_no_second_mail(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=1)
    configuration = configure_certificate()
    worker("credentials_run").wait()
    smtp_server.delay(20)
    process = worker("badges_drain")
    process.wait_until(lambda: smtp_server.emails, what="a email that the server has taken")
    process.kill()
    assert OutboxMessage.objects.get(channel="credential-mail").state == "pending"
    finish(configuration)
    assert_one_email_each(smtp_server, 1)
    assert OutboxMessage.objects.get(channel="credential-mail").state == "delivered"


def test_workers_killed_at_random_moments_neither_lose_nor_double_anything(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer, folder: Path
) -> None:
    moments = random.Random(1843)  # the same kills in every run
    learners = 40
    add_algebra(lms, finished=learners)
    configuration = configure_certificate(options={"text_generator": {"seconds": 0.1}})
    run_queue.request(configuration, cause=RunCause.SCHEDULE)
    smtp_server.delay(0.1, times=learners)
    for command in ("credentials_run", "credentials_run", "credentials_run", "badges_drain", "badges_drain"):
        if command == "badges_drain":
            finish_documents()  # so that there are more e-mails than one worker takes at once
        began = (Credential.objects.count(), finished(), len(smtp_server.emails))
        process = worker(command, *(["--no-runs"] if command == "credentials_run" else []), chunk=10, batch=4)
        # A worker that finds nothing to do, because the one before it was faster than the kill, ends by itself.
        process.wait_until(
            lambda began=began, process=process: (
                not process.running or (Credential.objects.count(), finished(), len(smtp_server.emails)) != began
            ),
            what="something that is done",
        )
        time.sleep(moments.uniform(0, 0.4))
        process.kill()
    finish(configuration)
    assert_one_each(learners=learners)
    assert len(files_in(folder)) == learners
    # A kill exactly between sending the last line and sending the commit leads to a second mail, with the same
    # Message-ID; two workers that send were killed.
    emails = {(email["To"], email["Message-ID"]) for email in smtp_server.emails}
    assert sorted(to for to, _ in emails) == sorted(f"done-{number}@example.com" for number in range(1, learners + 1))
    assert len(smtp_server.emails) <= learners + 2


def test_one_process_without_celery_follows_the_schedules_until_it_is_asked_to_stop(
    worker: Start, lms: LmsStandIn, smtp_server: SmtpServer
) -> None:
    add_algebra(lms, finished=3)
    configuration = configure_certificate()
    assert configuration.periodic_task is not None
    configuration.periodic_task.interval = IntervalSchedule.objects.create(every=1, period="seconds")
    configuration.periodic_task.save()
    process = worker("credentials_run", "--forever")
    process.wait_until(lambda: finished() == 3, what="three documents")
    assert process.terminate() == 0
    assert_one_each(learners=3)
    assert "Documents made: 3" in process.output()
