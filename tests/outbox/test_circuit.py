"""The circuit breaker: its transitions as tables, and its rows."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from badges.outbox import circuit
from badges.outbox.circuit import State, Verdict, failed, undecided
from badges.outbox.models import Circuit

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
NAME = "credly:Org-1"


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        (State(), Verdict.GO),
        (State(4, None), Verdict.GO),  # not often enough yet
        (State(5, later(1)), Verdict.POSTPONE),
        (State(5, NOW), Verdict.PROBE),  # the time is over at this very moment
        (State(5, later(-3600)), Verdict.PROBE),
    ],
)
def test_a_circuit_lets_through_rests_or_asks_for_a_probe(state: State, verdict: Verdict) -> None:
    assert state.verdict(NOW) is verdict


@pytest.mark.parametrize(
    ("before", "options", "after"),
    [
        (State(), {}, State(1, None)),
        (State(3, None), {}, State(4, None)),
        (State(4, None), {}, State(5, later(60))),  # the fifth opens it
        (State(5, NOW), {"probe": True}, State(6, later(120))),  # the probe failed: open twice as long
        (State(6, later(99)), {"probe": True}, State(7, later(240))),
        (State(50, NOW), {"probe": True}, State(51, later(600))),  # ten times the first time at most
        (State(6, later(99)), {}, State(6, later(99))),  # a straggler tells nothing new
        (State(), {"retry_after": 7.0}, State(1, later(7))),  # the other side said when: no need to fail five times
        (State(5, NOW), {"probe": True, "retry_after": 500.0}, State(6, later(500))),
    ],
)
def test_failures_in_a_row_open_the_circuit(before: State, options: dict[str, object], after: State) -> None:
    assert failed(before, NOW, threshold=5, seconds=60.0, **options) == after  # type: ignore[arg-type]


def test_a_probe_that_tells_nothing_lets_the_next_one_probe() -> None:
    assert undecided(State(6, later(120)), NOW).verdict(NOW) is Verdict.PROBE


@pytest.fixture
def open_circuit(db: None) -> Circuit:
    return Circuit.objects.create(name=NAME, failures=5, open_until=NOW)


@pytest.mark.tables
@pytest.mark.django_db
def test_five_failures_open_it_and_an_answer_closes_it() -> None:
    for _ in range(5):
        assert circuit.may_pass(NAME, NOW)[0] is Verdict.GO
        circuit.record_failure(NAME, NOW, probe=False)
    assert circuit.may_pass(NAME, NOW) == (Verdict.POSTPONE, later(60))
    assert circuit.record_answer(NAME)
    assert circuit.may_pass(NAME, NOW)[0] is Verdict.GO
    assert not circuit.record_answer(NAME)


@pytest.mark.tables
@pytest.mark.django_db
def test_circuits_differ_by_every_letter_of_their_names() -> None:
    circuit.record_failure(NAME, NOW, probe=False, retry_after=60)
    assert circuit.may_pass(NAME.lower(), NOW)[0] is Verdict.GO


@pytest.mark.tables
def test_only_one_is_told_to_probe(open_circuit: Circuit) -> None:
    verdicts = [circuit.may_pass(NAME, NOW)[0] for _ in range(4)]
    assert verdicts == [Verdict.PROBE, Verdict.POSTPONE, Verdict.POSTPONE, Verdict.POSTPONE]


@pytest.mark.tables
@pytest.mark.django_db(transaction=True)
def test_of_workers_that_ask_at_the_same_moment_only_one_is_told_to_probe() -> None:
    workers = 4
    start = threading.Barrier(workers)

    def ask(name: str) -> Verdict:
        try:
            connection.ensure_connection()
            start.wait(120)
            return circuit.may_pass(name, NOW)[0]
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        for round_ in range(25):
            name = f"{NAME}-{round_}"
            Circuit.objects.create(name=name, failures=5, open_until=NOW)
            verdicts = list(pool.map(ask, [name] * workers))
            assert verdicts.count(Verdict.PROBE) == 1


def test_a_probe_that_never_came_back_is_replaced_after_its_lease(open_circuit: Circuit) -> None:
    assert circuit.may_pass(NAME, NOW)[0] is Verdict.PROBE
    assert circuit.may_pass(NAME, later(119))[0] is Verdict.POSTPONE
    assert circuit.may_pass(NAME, later(120))[0] is Verdict.PROBE
