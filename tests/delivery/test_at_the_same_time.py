"""Several deliveries at the same time: requests in threads, the database in the worker's own thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest

from badges import delivery
from badges.exceptions import Permanent, Retryable
from badges.outbox import mailbox
from badges.outbox.models import OutboxMessage, OutboxState
from badges.outbox.steps import InThread, Steps
from tests.delivery.telegraph import NOW, Wires, later, post, row

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def test_as_many_are_on_their_way_as_the_setting_allows_after_the_first_succeeded(wires: Wires) -> None:
    wires.seconds = 0.02
    words = [f"word-{number}" for number in range(20)]
    post(*words)
    assert delivery.drain(now=NOW).delivered == 20
    assert sorted(wires.sent) == sorted(words)
    assert wires.prepared[0] == ["word-0"]
    assert 1 < wires.most <= 4
    assert wires.database_threads == {threading.get_ident()}


def test_an_outage_gets_one_request_after_the_other_until_the_circuit_opens(wires: Wires) -> None:
    wires.office = "dodge-city"
    wires.always = Retryable("Nobody there.", circuit=True)
    post(*(f"word-{number}" for number in range(20)))
    done = delivery.drain(now=NOW)
    assert (done.rescheduled, done.postponed, len(wires.tried)) == (5, 15, 5)


def test_the_rows_of_one_learner_stay_in_their_order(wires: Wires) -> None:
    wires.seconds = 0.01
    words = [f"word-{number}" for number in range(8)]
    for word in words:
        post(word, key="jane")
        post(f"other {word}", key="jim")
    assert delivery.drain(now=NOW).delivered == 16
    assert [word for word in wires.sent if word in words] == words


def test_one_that_fails_costs_no_other(wires: Wires) -> None:
    def fail_some(message: OutboxMessage) -> None:
        if message.read()["word"] == "b":
            raise Permanent("No address.")
        if message.read()["word"] == "c":
            raise ValueError

    wires.meanwhile = fail_some
    post(*"abcdef")
    done = delivery.drain(now=NOW)
    assert (done.delivered, done.dead, done.rescheduled) == (4, 1, 1)
    assert (row("b").last_error, row("c").attempts) == ("No address.", 1)


def test_an_item_that_breaks_a_step_of_many_fails_alone(wires: Wires) -> None:
    def prepare(words: Sequence[str]) -> Sequence[str]:
        if "b" in words:
            raise ValueError
        return words

    wires._prepare = prepare  # type: ignore[method-assign]
    post(*"abcdef")
    done = delivery.drain(now=NOW)
    assert (done.delivered, done.rescheduled) == (5, 1)
    assert row("b").last_error.startswith("ValueError")


def test_when_the_worker_is_stopped_what_is_on_its_way_is_finished_and_the_rest_given_back(wires: Wires) -> None:
    wires.seconds = 0.05
    post(*(f"word-{number}" for number in range(20)))
    done = delivery.drain(now=NOW, should_stop=lambda: len(wires.tried) >= 3)
    assert (done.delivered, done.more) == (len(wires.sent), True)
    assert done.delivered == len(wires.tried) < 8
    left = OutboxMessage.objects.exclude(state=OutboxState.DELIVERED)
    assert set(left.values_list("claim", "attempts", "due_at")) == {(None, 0, NOW)}


def test_a_worker_that_lost_its_claim_sends_nothing_any_more(wires: Wires, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG["delivery"]["lease_seconds"] = 0.0

    def another_takes_over(word: str) -> None:
        with suppress(IndexError):
            assert mailbox.claim(1, later(1), lease=120)[0].was_left_behind

    def look_and_send(message: OutboxMessage) -> Steps:
        word = yield InThread(lambda: message.read()["word"])
        another_takes_over(word)
        yield InThread(lambda: None)  # it is still looking when the leases begin again
        return (yield InThread(lambda: wires(message)))

    wires.steps = look_and_send  # type: ignore[method-assign]
    post("slow")
    done = delivery.drain(now=NOW, limit=1)
    assert (done.lost, done.delivered, wires.tried) == (1, 0, [])


def test_a_row_that_another_worker_left_behind_is_delivered_alone(wires: Wires) -> None:
    words = [f"word-{number}" for number in range(8)]
    post(*words)
    mailbox.claim(3, NOW, lease=10)  # and it is killed
    assert delivery.drain(now=later(11)).delivered == 8
    assert wires.prepared[-3:] == [["word-0"], ["word-1"], ["word-2"]]
