"""What an operator relies on when an event kills every worker that takes it: only this event becomes a dead letter."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest
from django.utils import timezone

from badges import api, pipeline
from badges.intake import inbox
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage
from badges.testing import events
from tests.acceptance.bus_helpers import holders
from tests.factories import make_template
from tests.services.processes import Process

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

DEADLY = 13
LEARNERS = range(11, 17)
TRIES = 3


def test_an_event_that_kills_its_workers_becomes_a_dead_letter_and_takes_no_other_with_it(
    run_manage: Callable[..., Process],
) -> None:
    make_template()
    for number in LEARNERS:
        line = events.passing_status(lms_user_id=number, username=f"bill{number}").line
        assert api.receive(parse_event(line, received_from="rest"))
    # The lease of a worker has ended when the next one starts.
    config = {"intake": {"max_attempts": TRIES}, "delivery": {"lease_seconds": 0}}
    env = {
        "DJANGO_SETTINGS_MODULE": "tests.delivery.deadly_host",
        "DEADLY_USERNAME": f"bill{DEADLY}",
        "LMS_BADGES_CONFIG": json.dumps(config),
    }
    kills = 0
    while run_manage("badges_drain", env=env).wait() == -signal.SIGKILL:
        kills += 1
        assert kills <= TRIES

    assert kills == TRIES
    assert holders() == [number for number in LEARNERS if number != DEADLY]
    (dead,) = InboxMessage.objects.exclude(state="processed")
    assert (dead.lms_user_id, dead.state, dead.attempts) == (DEADLY, "dead", TRIES + 1)
    assert "Was its worker killed?" in dead.reason

    # When the cause is removed, the event counts like any other.
    assert inbox.requeue(InboxMessage.objects.all(), now=timezone.now()) == 1
    assert pipeline.process_pending().awarded == 1
