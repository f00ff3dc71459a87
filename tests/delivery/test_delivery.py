"""What delivery does with what its channel answers."""

from __future__ import annotations

import logging

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges import delivery
from badges.exceptions import Permanent, Retryable, Waiting
from badges.outbox import mailbox
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from tests.delivery.telegraph import NOW, Telegraph, later, post, row

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

DAY = 24 * 3600


def test_everything_due_is_delivered_in_order(telegraph: Telegraph) -> None:
    post("one", "two", "three", key="lucky luke")
    done = delivery.drain(now=NOW)
    assert telegraph.sent == ["one", "two", "three"]
    assert (done.delivered, done.seen, done.more) == (3, 3, False)
    assert {(row.state, row.finished_at, row.due_at) for row in OutboxMessage.objects.all()} == {
        (OutboxState.DELIVERED, NOW, None)
    }


def test_what_failed_for_now_is_tried_again_later(telegraph: Telegraph) -> None:
    post("stop")
    telegraph.answers.append(Retryable("The wire is cut."))
    done = delivery.drain(now=NOW)
    waiting = row("stop")
    assert (done.rescheduled, waiting.attempts, waiting.last_error) == (1, 1, "The wire is cut.")
    assert waiting.due_at is not None
    assert later(1) <= waiting.due_at <= later(2)
    assert done.next_due_at == waiting.due_at
    assert delivery.drain(now=NOW).seen == 0
    assert delivery.drain(now=later(2)).delivered == 1
    assert row("stop").last_error == ""


def test_it_is_not_tried_before_the_time_the_other_side_asked_for(telegraph: Telegraph) -> None:
    post("stop")
    telegraph.answers.append(Retryable("Too many telegrams.", retry_after=300))
    delivery.drain(now=NOW)
    due_at = row("stop").due_at
    assert due_at is not None
    assert later(300) <= due_at <= later(330)


def test_a_permanent_failure_is_a_dead_letter_with_its_remedy_and_others_pass(
    telegraph: Telegraph, caplog: pytest.LogCaptureFixture
) -> None:
    post("one", "two", key="joe")
    telegraph.answers.append(Permanent("Joe has no address; enter one, then retry."))
    done = delivery.drain(now=NOW)
    assert (done.dead, done.delivered, telegraph.sent) == (1, 1, ["two"])
    dead = row("one")
    assert (dead.state, dead.last_error) == (OutboxState.DEAD, "Joe has no address; enter one, then retry.")
    assert "enter one" in caplog.text


def test_too_many_tries_are_a_dead_letter(telegraph: Telegraph) -> None:
    post("stop")
    telegraph.always = Retryable("The wire is cut.")
    for day in range(24):
        assert row("stop").state == OutboxState.PENDING
        delivery.drain(now=later(day * DAY))
    dead = row("stop")
    assert (dead.state, dead.attempts) == (OutboxState.DEAD, 24)
    assert dead.last_error == "Given up after 24 tries; remove the cause, then retry. The wire is cut."


def test_what_waits_loses_no_attempt_however_long_it_waits(telegraph: Telegraph) -> None:
    post("stop")
    telegraph.always = Waiting("Joe has no account here yet.")
    for day in range(30):
        done = delivery.drain(now=later(day * DAY))
        assert (done.rescheduled, row("stop").attempts) == (1, 0)
    assert row("stop").last_error == "Joe has no account here yet."
    telegraph.always = None
    assert delivery.drain(now=later(30 * DAY)).delivered == 1


def test_an_operator_retries_a_dead_letter(telegraph: Telegraph) -> None:
    post("stop")
    telegraph.answers.append(Permanent("No paper."))
    delivery.drain(now=NOW)
    assert delivery.requeue(OutboxMessage.objects.all(), now=later(60)) == 1
    assert delivery.drain(now=later(60)).delivered == 1


def test_an_unforeseen_error_is_tried_again_and_tells_nothing_personal(
    telegraph: Telegraph, caplog: pytest.LogCaptureFixture
) -> None:
    post("stop")
    telegraph.answers.append(ValueError("calamity.jane@deadwood.example is no address"))
    assert delivery.drain(now=NOW).rescheduled == 1
    error = row("stop").last_error
    assert error.startswith("ValueError in telegraph.py:")
    assert "jane" not in error + caplog.text
    assert "telegraph.py" in caplog.text


def test_a_channel_nobody_delivers_waits_for_its_package(telegraph: Telegraph) -> None:
    post("stop")
    OutboxMessage.objects.update(channel="smoke-signals")
    assert delivery.drain(now=NOW).rescheduled == 1
    assert "'smoke-signals'" in row("stop").last_error


def test_a_row_whose_worker_was_killed_each_time_does_not_kill_for_ever(telegraph: Telegraph) -> None:
    post("boom")
    OutboxMessage.objects.update(attempts=24)
    assert delivery.drain(now=NOW).dead == 1
    assert telegraph.tried == []
    assert "killed" in row("boom").last_error


def test_a_worker_that_lost_its_claim_leaves_the_row_to_the_other(
    telegraph: Telegraph, caplog: pytest.LogCaptureFixture
) -> None:
    post("slow", "next")

    def another_takes_over(message: OutboxMessage) -> None:
        assert len(mailbox.claim(2, later(500), lease=120)) == 2

    telegraph.meanwhile = another_takes_over
    done = delivery.drain(now=NOW, limit=1)
    assert (done.lost, done.delivered) == (1, 0)
    assert row("slow").state == OutboxState.PENDING
    assert "lease ended" in caplog.text


def test_a_row_taken_by_another_before_it_was_begun_is_not_tried(telegraph: Telegraph) -> None:
    post("one", "two")

    def another_takes_the_rest(message: OutboxMessage) -> None:
        OutboxMessage.objects.filter(key="to-two").update(claim="0190e3c0-0000-7000-8000-000000000001")

    telegraph.meanwhile = another_takes_the_rest
    done = delivery.drain(now=NOW)
    assert (done.delivered, done.lost, telegraph.tried) == (1, 1, ["one"])


def test_draining_stops_between_rows_and_gives_the_rest_back(telegraph: Telegraph) -> None:
    post("one", "two", "three")
    done = delivery.drain(now=NOW, should_stop=lambda: len(telegraph.tried) == 1)
    assert (telegraph.sent, done.more) == (["one"], True)
    assert [row.claim for row in mailbox.claim(5, NOW, lease=1)] != []
    assert OutboxMessage.objects.filter(attempts=0).count() == 2


def test_draining_stops_at_its_limit_and_at_its_time(telegraph: Telegraph) -> None:
    post("one", "two", "three")
    assert delivery.drain(now=NOW, limit=2).delivered == 2
    assert delivery.drain(now=NOW, seconds=-1).seen == 0
    assert delivery.drain(now=NOW, seconds=60).delivered == 1


@pytest.mark.django_db(transaction=True)
def test_nothing_is_open_in_the_database_while_a_channel_is_at_work(telegraph: Telegraph) -> None:
    post("one")
    assert delivery.drain(now=NOW).delivered == 1  # the telegraph itself looks


# --- the circuit breaker -----------------------------------------------------------------------------------------


def test_after_five_failures_the_others_rest_and_lose_no_attempt(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.always = Retryable("Nobody there.", circuit=True)
    post(*"abcdefgh")
    done = delivery.drain(now=NOW)
    assert (done.rescheduled, done.postponed, telegraph.tried) == (5, 3, list("abcde"))
    assert {row(word).attempts for word in "fgh"} == {0}
    assert {row(word).due_at for word in "fgh"} == {later(60)}


def test_when_the_rest_is_over_one_row_finds_out_for_all(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.always = Retryable("Nobody there.", circuit=True)
    post(*"abcdefgh")
    delivery.drain(now=NOW)
    telegraph.tried.clear()
    assert delivery.drain(now=later(61)).rescheduled == 1  # the probe fails, so the others were not bothered
    assert len(telegraph.tried) == 1
    telegraph.always = None
    done = delivery.drain(now=later(61 + 121))  # the open time is doubled
    assert done.delivered == 8
    assert Circuit.objects.get().open_until is None


def test_rows_that_rested_go_at_once_when_the_other_side_is_back(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    post("probe", "f", "g", "h")
    Circuit.objects.create(name="dodge-city", failures=9, open_until=later(600))
    assert delivery.drain(now=NOW).postponed == 4
    OutboxMessage.objects.filter(key="to-probe").update(due_at=later(1))
    Circuit.objects.update(open_until=later(1))
    assert delivery.drain(now=later(1)).delivered == 4


def test_a_sweep_costs_the_same_however_many_rows_rest(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.always = Retryable("Nobody there.", circuit=True)
    costs = []
    for round_, more in enumerate([30, 300]):
        Circuit.objects.update_or_create(name="dodge-city", defaults={"failures": 9, "open_until": later(600)})
        post(*(f"{round_}-{number}" for number in range(more)))
        delivery.drain(now=NOW)
        OutboxMessage.objects.exclude(postponed_for="").update(due_at=later(600))
        telegraph.tried.clear()
        with CaptureQueriesContext(connection) as sweep:
            done = delivery.drain(now=later(600))
        costs.append(len(sweep))
        assert (done.rescheduled, done.more, len(telegraph.tried)) == (1, False, 1)
        assert OutboxMessage.objects.exclude(postponed_for="").count() > more - 2
        assert delivery.drain(now=later(600)).seen == 0
    assert costs[0] == costs[1], "\n".join(query["sql"] for query in sweep)

    telegraph.always = None
    assert delivery.drain(now=later(DAY)).delivered == 330


def test_rows_do_not_rest_for_a_circuit_that_closed_meanwhile(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    post("one")
    Circuit.objects.create(name="dodge-city", failures=9, open_until=later(600))
    delivery.drain(now=NOW)
    Circuit.objects.update(open_until=None)
    mailbox.release_circuit("dodge-city", now=later(1))
    assert mailbox.postpone_circuit("dodge-city", until=later(600)) == 0
    assert delivery.drain(now=later(1)).delivered == 1


def test_another_circuit_is_not_bothered(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    Circuit.objects.create(name="dodge-city", failures=9, open_until=later(600))
    Circuit.objects.create(name="Dodge-City", failures=4)
    telegraph.office = "Dodge-City"
    post("one")
    assert delivery.drain(now=NOW).delivered == 1
    assert Circuit.objects.get(name="Dodge-City").failures == 0


def test_failures_that_blame_one_row_open_nothing(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.always = Retryable("Illegible.")
    post(*"abcdefgh")
    assert delivery.drain(now=NOW).rescheduled == 8
    assert not Circuit.objects.exists()


def test_a_probe_that_is_refused_for_its_own_fault_lets_the_next_one_probe(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    Circuit.objects.create(name="dodge-city", failures=9, open_until=NOW)
    telegraph.answers.append(Permanent("Joe has no address."))
    post("joe", "jack", "jim")
    done = delivery.drain(now=later(1))
    assert (done.dead, done.delivered) == (1, 2)


def test_a_pause_the_other_side_asks_of_everybody_holds_everybody(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    telegraph.answers.append(Retryable("Closed for lunch.", retry_after=1800, circuit=True))
    post("one", "two")
    done = delivery.drain(now=NOW)
    assert (done.rescheduled, done.postponed) == (1, 1)
    assert row("two").due_at == later(1800)


def test_the_log_of_a_retry_is_no_error(telegraph: Telegraph, caplog: pytest.LogCaptureFixture) -> None:
    post("stop")
    telegraph.answers.append(Retryable("The wire is cut."))
    with caplog.at_level(logging.INFO):
        delivery.drain(now=NOW)
    assert {record.levelno for record in caplog.records if record.name == "badges.delivery"} == {logging.INFO}
