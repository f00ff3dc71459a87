"""What could not be read is kept with its reason, and can be tried again when the reason is gone."""

from __future__ import annotations

import pytest
from django.utils import timezone

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.intake import inbox
from badges.intake.events import Unreadable
from badges.intake.models import InboxMessage, InboxState
from badges.testing.events import passing_status
from tests.factories import ALGEBRA, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

SOURCE = "file:events.jsonl:17"


def test_a_dead_letter_that_can_be_read_now_becomes_a_badge_when_it_is_retried() -> None:
    make_template()
    line = passing_status(course_key=ALGEBRA).line
    dead = Unreadable(
        id=f"{SOURCE} 6f9619ff8b86d011", reason="its type was not configured", received_from=SOURCE, body=line
    )
    assert pipeline.handle([dead]).dead == 1
    assert inbox.requeue(InboxMessage.objects.all(), now=timezone.now()) == 1
    assert pipeline.process_pending().awarded == 1
    assert [message.state for message in InboxMessage.objects.all()] == [InboxState.PROCESSED]
    assert UserCredential.objects.get().cause_event_id == f"{SOURCE} 6f9619ff8b86d011"


def test_a_dead_letter_that_still_cannot_be_read_stays_one() -> None:
    pipeline.handle([Unreadable(id=SOURCE, reason="not Avro", received_from=SOURCE, body="AAAAAAlub25zZW5zZQ==")])
    inbox.requeue(InboxMessage.objects.all(), now=timezone.now())
    assert pipeline.process_pending().dead == 1
    message = InboxMessage.objects.get()
    assert (message.state, message.reason) == (InboxState.DEAD, "not JSON: Expecting value at character 1")


def test_the_same_line_read_again_is_one_dead_letter() -> None:
    dead = Unreadable(id=SOURCE, reason="not JSON", received_from=SOURCE, body="houba")
    assert (pipeline.handle([dead]).dead, pipeline.handle([dead]).duplicates) == (1, 1)
    assert InboxMessage.objects.count() == 1
