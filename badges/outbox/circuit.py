"""
The circuit breaker: whether somebody outside is worth talking to.

``State`` and its transitions are values and pure functions over ``now``; the functions below them keep one row for each
circuit. Closed: everybody goes through. Open: rows rest, and lose no attempt. Half open, once the rest is over: one row
goes through, and what becomes of it decides for the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.db import transaction

from badges.common.backoff import longest_delay
from badges.conf import config
from badges.inserts import insert
from badges.outbox.models import Circuit

# While the other side stays away its rests double, up to this many times the first one.
LONGEST_REST = 10


class Verdict(Enum):
    """What a row may do."""

    GO = "go"
    PROBE = "probe"  # go, and the others wait for what becomes of you
    REST = "rest"


@dataclass(frozen=True, slots=True)
class State:
    """What a circuit remembers: failures in a row, and until when nobody goes through."""

    failures: int = 0
    open_until: dt.datetime | None = None

    def verdict(self, now: dt.datetime) -> Verdict:
        if self.open_until is None:
            return Verdict.GO
        return Verdict.REST if self.open_until > now else Verdict.PROBE


def failed(
    state: State,
    now: dt.datetime,
    *,
    threshold: int,
    rest: float,
    probe: bool = False,
    retry_after: float | None = None,
) -> State:
    """Count a failure that blames the other side as a whole; enough of them in a row open the circuit."""
    if state.verdict(now) is Verdict.REST and not probe:
        return state  # on its way before the circuit opened: it tells nothing new
    failures = state.failures + 1
    beyond = failures - threshold
    ours = longest_delay(beyond + 1, base=rest, cap=rest * LONGEST_REST) if beyond >= 0 else 0.0
    seconds = max(ours, retry_after or 0.0)
    return State(failures, now + dt.timedelta(seconds=seconds) if seconds else None)


def undecided(state: State, now: dt.datetime) -> State:
    """What became of the probe says nothing about the other side: the next one may probe."""
    return State(state.failures, now if state.open_until else None)


# --- the rows ----------------------------------------------------------------------------------------------------


def may_pass(name: str, now: dt.datetime) -> tuple[Verdict, dt.datetime]:
    """Say whether a row may go through now, and until when it rests if not. Only one caller is told to probe."""
    known = Circuit.objects.filter(name=name).first()
    if known is None or known.open_until is None:
        return Verdict.GO, now
    state = State(known.failures, known.open_until)
    if state.verdict(now) is Verdict.REST:
        return Verdict.REST, known.open_until
    held_until = now + dt.timedelta(seconds=config.delivery["lease_seconds"])
    # Whoever changes the value that both have read is the one who probes; the others wait for what becomes of it.
    won = Circuit.objects.filter(name=name, open_until=known.open_until).update(open_until=held_until)
    return (Verdict.PROBE if won else Verdict.REST), held_until


def record_failure(name: str, now: dt.datetime, *, probe: bool, retry_after: float | None = None) -> dt.datetime | None:
    """The other side as a whole failed. Returns until when its circuit is open, if it is."""
    rules = config.delivery

    def transition(state: State) -> State:
        return failed(
            state,
            now,
            threshold=rules["circuit_failures"],
            rest=rules["circuit_seconds"],
            probe=probe,
            retry_after=retry_after,
        )

    return _change(name, transition)


def record_answer(name: str) -> bool:
    """The other side did what was asked: everything is well again. False when it was already."""
    unwell = Circuit.objects.filter(name=name).exclude(failures=0, open_until=None)
    return bool(unwell.update(failures=0, open_until=None))


def record_undecided(name: str, now: dt.datetime) -> None:
    """The probe ended without telling anything about the other side."""
    _change(name, lambda state: undecided(state, now))


def _change(name: str, transition: Callable[[State], State]) -> dt.datetime | None:
    with transaction.atomic():
        # First a write: it makes the row if need be, and keeps SQLite from having to upgrade a read lock.
        insert([Circuit(name=name)], unique="name")
        circuit = Circuit.objects.select_for_update().get(name=name)
        state = transition(State(circuit.failures, circuit.open_until))
        circuit.failures, circuit.open_until = state.failures, state.open_until
        circuit.save(update_fields=["failures", "open_until"])
    return state.open_until
