"""What the tests of delivery share: learners who pass a course, templates, and checks of both sides."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from badges import pipeline
from badges.catalog.models import BadgeTemplate
from badges.intake.events import parse_event
from badges.issuers.credly.models import CredlyBadge
from badges.outbox.models import OutboxMessage, OutboxState
from badges.testing import events
from badges.testing.credly import CredlyProcess
from tests.factories import credly_issuer, make_template
from tests.services.processes import Process

# Delays that are short enough for a test, in about the same proportions as the defaults.
SHORT_DELAYS = {"base_delay": 0.2, "max_delay": 2.0, "circuit_seconds": 1.0, "lease_seconds": 4, "bus_timeout": 3.0}


def host_env(credly: CredlyProcess, *, sweep_seconds: float | None = None, **delivery: Any) -> dict[str, str]:
    """Return the environment of a worker that issues at this Credly, with short delays."""
    config = {
        "credly": {
            "CREDLY_API_BASE_URL": credly.url,
            "ORGANIZATIONS": {credly.organization: credly.token},
            "timeout": 10,
        },
        "delivery": {**SHORT_DELAYS, **delivery},
    }
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.delivery.host",
        "LMS_BADGES_CONFIG": json.dumps(config),
        "LOG_LEVEL": "INFO",
    }
    return env if sweep_seconds is None else {**env, "SWEEP_SECONDS": str(sweep_seconds)}


def issued_template(credly: CredlyProcess, *, allows_duplicates: bool = False) -> BadgeTemplate:
    """Save a template for passing a course that is issued at Credly."""
    credly_template = credly.add_template(name="Analytical engine", allows_duplicates=allows_duplicates).id
    return make_template(issuers=[credly_issuer(credly.organization, credly_template)])


def pass_course(*lms_user_ids: int) -> pipeline.BatchResult:
    """Let the pipeline handle the events that these learners pass the course."""
    lines = [
        events.passing_status(
            lms_user_id=number,
            username=f"learner{number}",
            email=f"learner{number}@example.org",
            name=f"Lea Rner{number}",
        ).line
        for number in lms_user_ids
    ]
    return pipeline.handle([parse_event(line, received_from="test") for line in lines])


def wait_for(found: Callable[[], Any], *, seconds: float = 120, what: str) -> Any:
    """Wait until the callable returns something true."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, f"after {seconds:g} s still without {what}"
        time.sleep(0.05)
    return result


def wait_until_delivered(worker: Process, *, seconds: float = 120) -> None:
    """Wait until the outbox has nothing left to do."""

    def is_empty() -> bool:
        return not OutboxMessage.objects.exclude(state=OutboxState.DELIVERED).exists()

    worker.wait_until(is_empty, seconds=seconds, what="an empty outbox")


def assert_one_badge_each(credly: CredlyProcess, *, learners: int) -> None:
    """Check both sides: each learner has one badge at Credly, and the row in our database is bound to it."""
    at_credly = {badge.issuer_earner_id: badge.id for badge in credly.badges}
    assert set(Counter(badge.issuer_earner_id for badge in credly.badges).values()) == {1}
    in_database = {str(row.credential.learner.uuid): str(row.external_uuid) for row in CredlyBadge.objects.all()}
    assert in_database == at_credly
    assert len(in_database) == learners
