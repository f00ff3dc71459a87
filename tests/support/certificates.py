"""Scheduled credentials for tests: a course with learners, a configuration, and each step from a run to the mail."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from typing import Any

from django.core.files.storage import storages

from badges import delivery
from badges.outbox.models import OutboxMessage
from credentials_config.issuing import generation, run_queue, runs
from credentials_config.issuing.generation import GenerationResult
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, RunCause
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.factories import CredentialConfigurationFactory
from tests.factories import ALGEBRA

START = dt.datetime(2026, 2, 1, 9, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def add_algebra(lms: Any, *, finished: int = 3, unfinished: int = 2, end: dt.datetime | None = None) -> None:
    """Open a course that some learners have finished and some have not."""
    lms.add_course(ALGEBRA, name="Algebra for squirrels", start=START, end=end)
    lms.enroll_many(ALGEBRA, finished, prefix="done", completed=1.0)
    if unfinished:
        lms.enroll_many(ALGEBRA, unfinished, prefix="half", completed=0.5)


def configure_certificate(**given: Any) -> CredentialConfiguration:
    """Configure a credential for finishing the course, made by the text generator."""
    default = {
        "credential_type__processor": "completions",
        "credential_type__generator": "text_generator",
        "credential_type__options": {"required_completion": 0.9},
    }
    return CredentialConfigurationFactory(**{**default, **given})


def run(configuration: CredentialConfiguration, *, now: dt.datetime = NOW, **given: Any) -> CredentialRun:
    """Ask for a run and carry it out."""
    given.setdefault("cause", RunCause.SCHEDULE)
    asked = run_queue.request(configuration, now=now, **given)
    claimed = run_queue.claim(run=asked, now=now)
    assert claimed is not None, "somebody else has the run"
    done = runs.carry_out(claimed, now=now)
    configuration.refresh_from_db()
    return done


def make(*, now: dt.datetime = NOW, **given: Any) -> GenerationResult:
    """Make documents that are due."""
    return generation.make_due(now=now, **given)


def issue(configuration: CredentialConfiguration, *, now: dt.datetime = NOW) -> CredentialRun:
    """Run and make."""
    done = run(configuration, now=now)
    make(now=now)
    done.refresh_from_db()
    return done


def deliver(*, now: dt.datetime | None = None) -> delivery.DeliveryResult:
    """Deliver what the outbox has due."""
    return delivery.drain(now=now)


def document_of(credential: Credential) -> str:
    """Read a credential's document."""
    credential.refresh_from_db()
    with storages["default"].open(credential.document) as file:
        return str(file.read().decode())


def files_in(folder: Path) -> list[str]:
    """Return the documents that lie in a folder."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.txt"))


def waiting(channel: str) -> list[dict[str, Any]]:
    """Return the payloads that wait in the outbox."""
    return [row.read() for row in OutboxMessage.objects.filter(channel=channel, state="pending").order_by("sequence")]


def assert_one_each(lms: LmsStandIn | None = None, *, learners: int) -> None:
    """Look with queries of our own: each learner has one available credential, and its document is there."""
    rows = list(Credential.objects.values_list("learner__lms_user_id", "status", "document", "verification_code"))
    assert Counter(row[1] for row in rows) == {"available": learners}
    assert len({row[0] for row in rows}) == learners
    assert len({row[3] for row in rows}) == learners
    assert all(storages["default"].exists(row[2]) for row in rows)
