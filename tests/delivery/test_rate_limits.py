"""A provider that refuses what is too much: nothing is lost, and the pace is found."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection

from badges import delivery
from badges.exceptions import RateLimited
from badges.outbox import circuit
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from tests.delivery.simulated import RateLimit, Simulation
from tests.delivery.telegraph import NOW, Telegraph, later, post, row

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


@pytest.fixture
def office(telegraph: Telegraph) -> Telegraph:
    telegraph.office = "dodge-city"
    return telegraph


@pytest.mark.parametrize(("retry_after", "seconds"), [(300.0, 300), (None, 60)])
def test_too_many_requests_cost_no_attempt_and_all_rows_rest(
    office: Telegraph, retry_after: float | None, seconds: int
) -> None:
    post("one", "two", "three")
    office.answers.append(RateLimited("Too many telegrams.", retry_after=retry_after))
    done = delivery.drain(now=NOW)
    assert (done.rescheduled, done.postponed, office.tried) == (1, 2, ["one"])
    assert {(each.attempts, each.due_at) for each in OutboxMessage.objects.all()} == {(0, later(seconds))}
    assert row("one").last_error == "Too many telegrams."
    found = Circuit.objects.get()
    assert (found.reason, found.message, found.since) == ("rate_limit", "Too many telegrams.", NOW)


def test_another_organization_does_not_rest(office: Telegraph) -> None:
    post("one")
    office.answers.append(RateLimited("Too many telegrams.", retry_after=300))
    delivery.drain(now=NOW)
    office.office = "tombstone"
    post("two")
    assert delivery.drain(now=NOW).delivered == 1


@pytest.mark.parametrize(
    ("limit", "rows", "most_requests", "most_minutes"),
    [
        (RateLimit(2, 60, retry_after=1), 30, 42, 25),
        (RateLimit(2, 60, retry_after=None), 30, 42, 25),
        (RateLimit(1, 1, retry_after=1), 10, 13, 1),
        (RateLimit(20, 60, retry_after=20), 50, 60, 5),
    ],
)
def test_no_row_is_given_up_however_little_is_let_through(
    office: Telegraph, limit: RateLimit, rows: int, most_requests: int, most_minutes: int
) -> None:
    post(*(f"word {number}" for number in range(rows)))
    simulation = Simulation(office, limit)
    simulation.run(until=NOW + dt.timedelta(days=1))
    states = set(OutboxMessage.objects.values_list("state", flat=True))
    assert (states, len(office.sent), simulation.dead) == ({OutboxState.DELIVERED}, rows, 0)
    assert len(simulation.requests) <= most_requests
    assert (simulation.requests[-1] - NOW).total_seconds() / 60 <= most_minutes


def test_a_limit_is_forgotten_when_it_is_gone(office: Telegraph) -> None:
    post("one")
    limit = RateLimit(0, 60, retry_after=10)
    simulation = Simulation(office, limit)
    simulation.run(until=later(120))
    assert office.sent == []
    limit.number = 1000
    simulation.run(until=later(3600))
    post(*(f"word {number}" for number in range(50)))
    simulation.now = later(86400)
    simulation.run(until=later(86400))
    assert len(office.sent) == 51


def test_a_row_that_waits_for_its_turn_is_written_a_few_times_however_many_wait(
    office: Telegraph, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"batch_size": 5}}
    written = []
    for rows in (20, 80):
        post(*(f"{rows}: word {number}" for number in range(rows)))
        simulation = Simulation(office, RateLimit(1, 1, retry_after=1))
        with connection.execute_wrapper(count := WrittenRows()):
            simulation.run(until=NOW + dt.timedelta(days=1))
        Circuit.objects.all().delete()
        written.append(count.rows / rows)
    assert len(office.sent) == 100
    assert written[1] < 1.5 * written[0]


def test_turns_of_a_fast_pace_are_taken_together(office: Telegraph) -> None:
    Circuit.objects.create(name="dodge-city", interval=0.1, paced_at=NOW, next_at=NOW)
    passages = circuit.all_may_pass([["dodge-city"]] * 8, NOW)
    assert [passage.hold is None for passage in passages] == [True] * 5 + [False] * 3
    assert Circuit.objects.get().next_at == later(0.5)


class WrittenRows:
    """Counts the rows of the outbox that are updated."""

    rows = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if sql.startswith("UPDATE") and "outboxmessage" in sql:
            self.rows += context["cursor"].rowcount
        return result
