"""With Celery, beat and a worker do everything from the schedule to the mail."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django_celery_beat.models import IntervalSchedule, PeriodicTasks

from credentials_config.models import Credential, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.services.processes import ROOT, Process
from tests.support.certificates import add_algebra, assert_one_each, configure_certificate
from tests.support.smtp_server import SmtpServer

pytestmark = pytest.mark.django_db(transaction=True)

PLUGINS = Path(__file__).with_name("plugins")


@pytest.fixture
def celery(
    run_celery: Callable[..., Process], lms: LmsStandIn, smtp_server: SmtpServer, settings: Any
) -> Callable[..., Process]:
    def start(*arguments: str) -> Process:
        return run_celery(
            *arguments,
            env={
                "DJANGO_SETTINGS_MODULE": "tests.credentials_config.issuing.worker_settings",
                "PYTHONPATH": f"{PLUGINS}:{ROOT}",
                "CREDENTIALS_CONFIG": json.dumps(settings.CREDENTIALS_CONFIG),
                "MEDIA_ROOT": str(settings.MEDIA_ROOT),
                "EMAIL_PORT": str(smtp_server.port),
                "LOG_LEVEL": "INFO",
            },
        )

    return start


def test_a_schedule_that_fires_ends_in_one_mail_for_each_learner(
    celery: Callable[..., Process], lms: LmsStandIn, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    add_algebra(lms, finished=7)
    configuration = configure_certificate()
    assert configuration.periodic_task is not None
    configuration.periodic_task.interval = IntervalSchedule.objects.create(every=2, period="seconds")
    configuration.periodic_task.save()
    PeriodicTasks.update_changed()
    worker = celery("worker", "-B", "-c", "1", "-s", str(tmp_path / "beat"))
    worker.wait_until(lambda: len(smtp_server.emails) >= 7, what="seven emails")
    time.sleep(3)  # the schedule goes on firing
    worker.terminate()
    assert_one_each(learners=7)
    assert Counter(email["To"] for email in smtp_server.emails) == {
        f"done-{number}@example.com": 1 for number in range(1, 8)
    }
    assert set(CredentialRun.objects.values_list("cause", flat=True)) == {RunCause.SCHEDULE}
    assert Credential.objects.count() == 7
