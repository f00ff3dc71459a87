"""The other side is down for days: nothing is given up, and everything is delivered in order afterwards."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from django.db import connection

from badges import delivery
from badges.exceptions import RateLimited, Retryable, SharedProblem, Waiting
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from tests.delivery.simulated import Simulation, outage
from tests.delivery.telegraph import NOW, Telegraph, Wires, later, post, row

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

DAYS = dt.timedelta(days=1)
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _rare_probes(settings: Any) -> None:
    """One probe in a hundred minutes, to keep the simulation short."""
    settings.LMS_BADGES_CONFIG = {"delivery": {"circuit_seconds": 600.0, "give_up_days": 14}}


@pytest.mark.parametrize(("office", "rows"), [("dodge-city", 1), ("dodge-city", 25), (None, 2)])
def test_three_days_of_outage_end_without_a_dead_letter(telegraph: Telegraph, office: str | None, rows: int) -> None:
    telegraph.office = office
    for number in range(rows):
        post(f"issue {number}", f"revoke {number}", key=f"badge {number}")
    simulation = Simulation(telegraph, outage(until=NOW + 3 * DAYS))
    simulation.run(until=NOW + 3 * DAYS)
    assert OutboxMessage.objects.filter(state=OutboxState.PENDING, attempts=0).count() == 2 * rows
    if office:
        assert len(simulation.requests) <= 3 * 24 * 60 / 100 + 15  # however many rows wait

    simulation.requests.clear()
    simulation.run(until=NOW + 3 * DAYS + dt.timedelta(hours=2))
    assert OutboxMessage.objects.filter(state=OutboxState.DELIVERED).count() == 2 * rows
    assert len(simulation.requests) == 2 * rows  # nobody is asked twice
    for number in range(rows):
        assert telegraph.sent.index(f"issue {number}") < telegraph.sent.index(f"revoke {number}")


def test_what_failed_alone_for_days_is_tried_less_and_less_often(telegraph: Telegraph) -> None:
    post("stop")
    simulation = Simulation(telegraph, outage(until=NOW + 3 * DAYS))
    simulation.run(until=NOW + 1 * DAYS)
    assert 24 <= len(simulation.requests) <= 60
    assert row("stop").failing_since == NOW


@pytest.mark.parametrize("office", ["dodge-city", None])
def test_after_the_days_of_the_setting_rows_are_given_up_together(
    telegraph: Telegraph, settings: Any, office: str | None
) -> None:
    settings.LMS_BADGES_CONFIG["delivery"]["give_up_days"] = 2
    telegraph.office = office
    post(*(f"word {number}" for number in range(4)))
    simulation = Simulation(telegraph, outage(until=NOW + 100 * DAYS))
    simulation.run(until=NOW + 2 * DAYS - dt.timedelta(hours=1))
    assert simulation.dead == 0
    post("late")
    simulation.run(until=NOW + 2 * DAYS + dt.timedelta(hours=2))
    assert simulation.dead == 4
    assert row("late").state == OutboxState.PENDING
    errors = Counter(OutboxMessage.objects.filter(state=OutboxState.DEAD).values_list("last_error", flat=True))
    (error,) = errors
    assert error == (
        "Given up: for 2 days the other side could not be used; remove the cause, then retry. It cannot be reached."
    )

    simulation.answer = outage(until=NOW)
    assert delivery.requeue(OutboxMessage.objects.all(), now=simulation.now) == 4
    simulation.run(until=simulation.now + 1 * DAYS)
    assert len(telegraph.sent) == 5


@pytest.mark.parametrize("all_have_failed", [False, True])
def test_a_row_that_always_fails_alone_does_not_hold_up_the_others(telegraph: Telegraph, all_have_failed: bool) -> None:
    telegraph.office = "dodge-city"
    post("bad", *(["one", "two"] if all_have_failed else []))
    fails = {"bad", "one", "two"}

    def answer(message: OutboxMessage) -> None:
        if message.read()["word"] in fails:
            raise Retryable("It failed.", circuit=True)

    simulation = Simulation(telegraph, outage(until=NOW))
    telegraph.meanwhile = answer
    simulation.run(until=NOW + 1 * DAYS)
    fails = {"bad"}
    if not all_have_failed:
        post("one", "two")
    simulation.run(until=NOW + 3 * DAYS)
    assert sorted(telegraph.sent) == ["one", "two"]
    assert row("bad").state == OutboxState.PENDING


def test_without_a_number_of_days_nothing_is_given_up(telegraph: Telegraph, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG["delivery"]["give_up_days"] = None
    post("stop")
    OutboxMessage.objects.update(failing_since=NOW - 1000 * DAYS)
    telegraph.always = Retryable("It cannot be reached.", circuit=True)
    assert delivery.drain(now=NOW).rescheduled == 1


@pytest.mark.parametrize(
    "meanwhile", [Waiting("No account yet."), RateLimited("Too many telegrams."), SharedProblem("The token is wrong.")]
)
def test_one_failure_after_weeks_of_waiting_for_something_else_is_no_dead_letter(
    telegraph: Telegraph, meanwhile: Exception
) -> None:
    telegraph.office = "dodge-city"
    post("stop")
    down = Retryable("It cannot be reached.", circuit=True)
    telegraph.answers.extend([down, meanwhile, down])
    for days in (0, 1, 22):
        assert delivery.drain(now=NOW + days * DAYS).rescheduled == 1
    assert row("stop").failing_since == NOW + 22 * DAYS


@pytest.mark.parametrize("reason", ["rate_limit", "problem"])
def test_days_in_which_a_row_is_held_back_for_something_else_do_not_count(telegraph: Telegraph, reason: str) -> None:
    telegraph.office = "dodge-city"
    post("stop")
    telegraph.always = Retryable("It cannot be reached.", circuit=True)
    delivery.drain(now=NOW)
    Circuit.objects.update(open_until=NOW + 22 * DAYS, since=NOW, reason=reason)
    assert delivery.drain(now=NOW + 1 * DAYS).postponed == 1
    Circuit.objects.update(failures=0, open_until=None, since=None, reason="")
    assert delivery.drain(now=NOW + 22 * DAYS).rescheduled == 1


def test_the_days_of_an_earlier_outage_do_not_count(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    post("stop")
    OutboxMessage.objects.update(failing_since=NOW - 30 * DAYS)
    Circuit.objects.create(name="dodge-city", failures=5, open_until=NOW, since=later(-60), reason="outage")
    telegraph.always = Retryable("It cannot be reached.", circuit=True)
    assert delivery.drain(now=NOW).rescheduled == 1


def test_four_hours_of_outage_with_thousands_of_rows_end_in_order_and_without_a_rush(
    wires: Wires, settings: Any
) -> None:
    wires.office = "dodge-city"
    settings.LMS_BADGES_CONFIG["delivery"]["parallel"] = 20
    # The one transaction of a test keeps every version of a row, which servers then read again and again.
    count = 2000 if connection.vendor == "sqlite" else 200
    words = [f"word {number}" for number in range(count)]
    post(*words)
    revoked = words[::20]
    for word in revoked:
        post(f"no {word}", key=f"to-{word}")
    simulation = Simulation(wires, outage(until=later(4 * HOUR)))
    simulation.run(until=later(4 * HOUR))
    assert wires.sent == []
    assert len(simulation.requests) < 50
    simulation.run(until=later(5 * HOUR))
    assert (len(wires.sent), simulation.dead) == (count + len(revoked), 0)
    assert all(wires.sent.index(word) < wires.sent.index(f"no {word}") for word in revoked)
    assert wires.most <= 20


def test_a_circuit_of_an_older_release_has_no_reason_and_is_open_all_the_same(telegraph: Telegraph) -> None:
    telegraph.office = "dodge-city"
    post("one")
    Circuit.objects.create(name="dodge-city", failures=9, open_until=later(600))
    delivery.drain(now=NOW)
    OutboxMessage.objects.update(due_at=later(1))
    assert delivery.drain(now=later(1)).postponed == 1
    assert OutboxMessage.objects.get().due_at == later(600)
