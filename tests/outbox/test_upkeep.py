"""Releasing, deleting, requeueing: what changes some rows changes no others."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import transaction

from badges.exceptions import Retryable
from badges.outbox import circuit, mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage
from tests.support.celery_notifications import notified_tasks, use_memory_broker
from tests.support.claims import taken_by_another

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
LEASE = 120.0


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def post(*words: str) -> None:
    with transaction.atomic():
        mailbox.post([NewMessage("telegraph", f"to-{word}", "spoken", {"word": word}) for word in words], now=NOW)


def claim(now: dt.datetime = NOW) -> list[OutboxMessage]:
    return mailbox.claim(10, now, lease=LEASE)


def words(rows: list[OutboxMessage]) -> list[str]:
    return [row.read()["word"] for row in rows]


def test_of_rows_that_rest_the_first_few_are_those_due_first() -> None:
    post("joe", "jack", "jim")
    for row, seconds in zip(claim(), (900, 300, 600), strict=True):
        mailbox.release([row], due_at=later(seconds), postponed_for="dodge-city")
    assert mailbox.release_circuit("dodge-city", now=later(1), limit=2) == 2
    assert words(claim(later(1))) == ["jack", "jim"]


def test_a_row_that_was_tried_after_its_rest_waits_for_itself_and_is_not_freed() -> None:
    post("joe")
    mailbox.release(claim(), due_at=later(60), postponed_for="dodge-city")
    (row,) = claim(later(60))
    mailbox.begin([row], later(60), lease=LEASE)
    mailbox.reschedule(row, due_at=later(900), error="Illegible")
    assert mailbox.release_circuit("dodge-city", now=later(61)) == 0


def test_no_more_are_deleted_at_a_time_than_was_asked_and_the_oldest_first() -> None:
    for seconds, word in enumerate(("first", "second", "third")):
        with transaction.atomic():
            mailbox.post([NewMessage("telegraph", "7", "spoken", {"word": word})], now=later(seconds))
        for row in claim(later(seconds)):
            mailbox.delivered([row], later(seconds))
    assert mailbox.delete_delivered(before=later(60), limit=2) == 2
    assert words(list(OutboxMessage.objects.all())) == ["third"]
    assert mailbox.delete_delivered(before=later(60), limit=2) == 1


def test_what_is_delivered_is_never_due_next() -> None:
    post("done", "waits")
    done, waits = claim()
    mailbox.delivered([done], NOW)
    mailbox.reschedule(waits, due_at=later(30), error="Not now")
    assert mailbox.next_due_at() == later(30)


@pytest.mark.django_db(transaction=True)
def test_dead_letters_that_are_revived_wake_a_worker_and_nothing_revived_wakes_nobody(settings: Any) -> None:
    use_memory_broker(settings)
    post("stop")
    (row,) = claim()
    notified_tasks()
    assert mailbox.requeue(OutboxMessage.objects.all(), now=NOW) == 0
    assert notified_tasks() == []
    mailbox.dead_letter(row, NOW, error="No paper")
    assert mailbox.requeue(OutboxMessage.objects.all(), now=NOW) == 1
    assert notified_tasks() == ["badges.deliver"]


def test_a_probe_that_fails_doubles_the_rest() -> None:
    down = Retryable("Nobody there.", circuit=True)
    for _ in range(5):
        circuit.record(["dodge-city"], down, NOW)
    probe = circuit.may_pass(["dodge-city"], later(60))
    assert probe.probing == ("dodge-city",)
    circuit.record(["dodge-city"], down, later(70), probing=probe.probing)
    hold = circuit.may_pass(["dodge-city"], later(71)).hold
    assert hold is not None
    assert (hold.until, hold.since) == (later(70 + 120), NOW)


@pytest.mark.django_db(transaction=True)
def test_a_row_that_another_worker_is_just_taking_holds_nobody_up() -> None:
    post("taken", "free")
    (first, _second) = OutboxMessage.objects.order_by("sequence")
    with taken_by_another(OutboxMessage.objects.filter(sequence=first.sequence)) as is_passed_over:
        found = words(claim())
    assert found == (["free"] if is_passed_over else ["taken", "free"])
