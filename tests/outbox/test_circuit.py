"""The circuit breaker: its transitions as tables, and its rows."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from django.db import connection

from badges.exceptions import RateLimited, Retryable, SharedProblem
from badges.outbox import circuit
from badges.outbox.circuit import State, Verdict, answered, failed, limited, undecided, wrong
from badges.outbox.models import Circuit
from badges.outbox.pace import Pace

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
NAME = "credly:Org-1"


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def verdict(names: str | Sequence[str], now: dt.datetime = NOW) -> Verdict:
    return circuit.may_pass([names] if isinstance(names, str) else names, now).verdict


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State(), Verdict.GO),
        (State(4, None), Verdict.GO),  # not often enough yet
        (State(5, later(1)), Verdict.POSTPONE),
        (State(5, NOW), Verdict.PROBE),  # the time is over at this very moment
        (State(5, later(-3600)), Verdict.PROBE),
    ],
)
def test_a_circuit_lets_through_rests_or_asks_for_a_probe(state: State, expected: Verdict) -> None:
    assert state.verdict(NOW) is expected


def down(failures: int, until: dt.datetime | None, since: dt.datetime | None = None, message: str = "") -> State:
    """The state after failures of the other side."""
    return State(failures, until, "outage" if since else "", since, message)


@pytest.mark.parametrize(
    ("before", "probe", "after"),
    [
        (State(), False, State(1)),
        (State(3), False, State(4)),
        (State(4), False, down(5, later(60), NOW, "Down.")),  # the fifth opens it
        # The probe failed: open twice as long, and still since the same time.
        (down(5, NOW, later(-60)), True, down(6, later(120), later(-60), "Down.")),
        (down(6, later(99), later(-60)), True, down(7, later(240), later(-60), "Down.")),
        (
            down(50, NOW, later(-60)),
            True,
            down(51, later(600), later(-60), "Down."),
        ),  # ten times at most
        (down(6, later(99), later(-60)), False, down(6, later(99), later(-60))),  # on its way before: tells nothing new
    ],
)
def test_failures_in_a_row_open_the_circuit(before: State, probe: bool, after: State) -> None:
    assert failed(before, NOW, threshold=5, seconds=60.0, probe=probe, error=Retryable("Down.")) == after


@pytest.mark.parametrize(
    ("before", "probe", "retry_after", "until"),
    [
        (State(), False, 7.0, later(7)),  # the other side said when: no need to fail five times
        (down(5, NOW, NOW), True, 500.0, later(500)),
    ],
)
def test_a_service_that_is_down_may_say_until_when(
    before: State, probe: bool, retry_after: float, until: dt.datetime
) -> None:
    error = Retryable("Down.", retry_after=retry_after)
    assert failed(before, NOW, threshold=5, seconds=60.0, probe=probe, error=error).open_until == until


@pytest.mark.parametrize(
    ("retry_after", "pace", "until"),
    [
        (30.0, Pace(), later(30)),
        (None, Pace(), later(60)),  # the default
        (0.0, Pace(), later(0.5)),  # not at once: as long as between two requests
        (1.0, Pace(20.0, NOW), later(40)),  # what it says is too short for what it lets through
    ],
)
def test_after_too_many_requests_all_rest_as_long_as_they_are_told(
    retry_after: float | None, pace: Pace, until: dt.datetime
) -> None:
    state = limited(State(pace=pace), NOW, seconds=60.0, probe=False, error=RateLimited("429", retry_after=retry_after))
    assert (state.open_until, state.reason, state.failures) == (until, "rate_limit", 0)
    assert state.pace.interval >= 0.5


def test_refusals_of_requests_sent_together_slow_down_once() -> None:
    error = RateLimited("429", retry_after=30)
    once = limited(State(), NOW, seconds=60.0, probe=False, error=error)
    assert limited(once, later(1), seconds=60.0, probe=False, error=error) == replace(once, open_until=later(31))


def test_an_answer_to_an_earlier_request_does_not_end_a_rest_or_solve_a_problem() -> None:
    resting = limited(State(), NOW, seconds=60.0, probe=False, error=RateLimited("429", retry_after=30))
    mistaken = wrong(State(), NOW, seconds=600, probe=False, message="The token is wrong.")
    for state in (resting, mistaken):
        assert answered(state, later(1), probe=False) == state
        assert answered(state, later(1), probe=True).open_until is None
    assert answered(down(5, later(60), NOW), later(1), probe=False).open_until is None


def test_of_several_answers_the_longest_rest_holds() -> None:
    resting = limited(State(), NOW, seconds=60.0, probe=False, error=RateLimited("429", retry_after=3600))
    mistaken = wrong(resting, later(1), seconds=600, probe=False, message="The token is wrong.")
    assert (mistaken.reason, mistaken.open_until) == ("problem", later(3600))
    assert wrong(resting, later(1), seconds=600, probe=True, message="Still wrong.").open_until == later(601)
    error = Retryable("Down.", retry_after=600)
    asked = failed(down(5, later(60), NOW), later(1), threshold=5, seconds=60.0, probe=False, error=error)
    assert asked == replace(down(5, later(60), NOW), open_until=later(601))


def test_after_a_rest_rows_go_one_by_one() -> None:
    state = limited(State(), NOW, seconds=60.0, probe=False, error=RateLimited("429", retry_after=2))
    state = answered(state, later(2), probe=True)
    assert state.verdict(later(2)) is Verdict.POSTPONE
    assert state.next_at == later(2 + 0.5 / 1.1 ** (2 / 60))
    assert state.verdict(later(2.6)) is Verdict.GO
    assert answered(state, later(86400), probe=False) == State()


def test_a_probe_that_tells_nothing_lets_the_next_one_probe() -> None:
    assert undecided(down(6, later(120), NOW), NOW).verdict(NOW) is Verdict.PROBE


@pytest.fixture
def open_circuit(db: None) -> Circuit:
    return Circuit.objects.create(name=NAME, failures=5, open_until=NOW)


@pytest.mark.tables
@pytest.mark.django_db
def test_five_failures_open_it_and_an_answer_closes_it() -> None:
    for _ in range(5):
        assert verdict(NAME) is Verdict.GO
        circuit.record([NAME], Retryable("Down.", circuit=True), NOW)
    assert circuit.may_pass([NAME], NOW).hold == circuit.Hold(NAME, later(60), "outage", NOW)
    assert Circuit.objects.get().message == "Down."
    circuit.record([NAME], None, NOW)
    assert verdict(NAME) is Verdict.GO
    stored = Circuit.objects.get()
    assert (stored.failures, stored.open_until, stored.since, stored.reason) == (0, None, None, "")


@pytest.mark.tables
@pytest.mark.django_db
def test_circuits_differ_by_every_letter_of_their_names() -> None:
    circuit.record([NAME], Retryable("Down.", circuit=True, retry_after=60), NOW)
    assert verdict(NAME.lower()) is Verdict.GO


@pytest.mark.tables
def test_only_one_is_told_to_probe(open_circuit: Circuit) -> None:
    verdicts = [verdict(NAME) for _ in range(4)]
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
            return verdict(name)
        finally:
            connection.close()

    with ThreadPoolExecutor(workers) as pool:
        for round_ in range(25):
            name = f"{NAME}-{round_}"
            Circuit.objects.create(name=name, failures=5, open_until=NOW)
            verdicts = list(pool.map(ask, [name] * workers))
            assert verdicts.count(Verdict.PROBE) == 1


def test_a_probe_that_never_came_back_is_replaced_after_its_lease(open_circuit: Circuit) -> None:
    assert verdict(NAME) is Verdict.PROBE
    assert verdict(NAME, later(119)) is Verdict.POSTPONE
    assert verdict(NAME, later(120)) is Verdict.PROBE


@pytest.mark.tables
@pytest.mark.django_db
def test_a_row_goes_when_all_of_its_circuits_let_it() -> None:
    names = [NAME, f"{NAME}:template"]
    circuit.record(names, SharedProblem("The template is archived.", circuit=names[1]), NOW)
    assert verdict(NAME) is Verdict.GO
    assert [verdict(names), verdict([NAME, f"{NAME}:another"])] == [Verdict.POSTPONE, Verdict.GO]
    passage = circuit.may_pass(names, later(600))
    assert passage.probing == (names[1],)
    circuit.record(names, None, later(600), probing=passage.probing)
    assert verdict(names, later(600)) is Verdict.GO


@pytest.mark.tables
@pytest.mark.django_db
def test_who_may_not_probe_both_circuits_leaves_the_other_to_the_next() -> None:
    names = [NAME, f"{NAME}:template"]
    for name in names:
        Circuit.objects.create(name=name, failures=5, open_until=NOW, reason="outage")
    taken = circuit.may_pass([names[1]], NOW)
    assert taken.probing == (names[1],)
    assert verdict(names) is Verdict.POSTPONE
    assert verdict(NAME) is Verdict.PROBE


@pytest.mark.tables
@pytest.mark.django_db
def test_only_one_row_has_the_next_turn_of_a_pace() -> None:
    Circuit.objects.create(name=NAME, interval=30.0, paced_at=NOW)
    assert [verdict(NAME) for _ in range(3)] == [Verdict.GO, Verdict.POSTPONE, Verdict.POSTPONE]
    assert verdict(NAME, later(31)) is Verdict.GO
