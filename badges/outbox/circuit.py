"""
The circuit breaker: whether a provider, or another service, may be called now.

``State`` and its transitions are values and pure functions over ``now``; the functions below them keep one row for each
circuit. Closed: every row goes through. Open: rows are postponed, and lose no attempt. Half open, once that time is
over: one row goes through as a probe, and what becomes of it decides for the others.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from django.db import transaction

from badges.common.backoff import longest_delay
from badges.conf import config
from badges.database import retried_when_transient
from badges.exceptions import Retryable
from badges.inserts import insert
from badges.outbox import mailbox
from badges.outbox.models import Circuit

# While the other side stays down, the time that a circuit is open doubles, up to this many times the first one.
LONGEST_FACTOR = 10


class Verdict(Enum):
    """What a row may do."""

    GO = "go"
    PROBE = "probe"  # go, and the others wait for what becomes of this one
    POSTPONE = "postpone"


@dataclass(frozen=True, slots=True)
class State:
    """What a circuit remembers: failures in a row, and until when nothing goes through."""

    failures: int = 0
    open_until: dt.datetime | None = None

    def verdict(self, now: dt.datetime) -> Verdict:
        if self.open_until is None:
            return Verdict.GO
        return Verdict.POSTPONE if self.open_until > now else Verdict.PROBE


def failed(
    state: State,
    now: dt.datetime,
    *,
    threshold: int,
    seconds: float,
    probe: bool = False,
    retry_after: float | None = None,
) -> State:
    """
    Count a failure of the other side as a whole.

    From ``threshold`` failures in a row on, the circuit is open for ``seconds``, then for twice as long with each
    further one. ``retry_after``, in seconds, is what the other side asked for; it opens the circuit at once.
    """
    if state.verdict(now) is Verdict.POSTPONE and not probe:
        return state  # on its way before the circuit opened: it tells nothing new
    failures = state.failures + 1
    beyond = failures - threshold
    own = longest_delay(beyond + 1, base=seconds, cap=seconds * LONGEST_FACTOR) if beyond >= 0 else 0.0
    longest = max(own, retry_after or 0.0)
    return State(failures, now + dt.timedelta(seconds=longest) if longest else None)


def undecided(state: State, now: dt.datetime) -> State:
    """What became of the probe says nothing about the other side: the next row may probe."""
    return State(state.failures, now if state.open_until else None)


# --- the rows ----------------------------------------------------------------------------------------------------


@retried_when_transient
def may_pass(name: str | None, now: dt.datetime) -> tuple[Verdict, dt.datetime]:
    """
    Return what a row of this circuit may do now, and until when it is postponed if it is.

    Only one caller is told to probe. A row without a circuit always goes.
    """
    known = Circuit.objects.filter(name=name).first() if name else None
    if known is None or known.open_until is None:
        return Verdict.GO, now
    state = State(known.failures, known.open_until)
    if state.verdict(now) is Verdict.POSTPONE:
        return Verdict.POSTPONE, known.open_until
    postponed_until = now + dt.timedelta(seconds=config.delivery["lease_seconds"])
    # Whoever changes the value that both have read is the one who probes; the others wait for what becomes of it.
    won = Circuit.objects.filter(name=name, open_until=known.open_until).update(open_until=postponed_until)
    return (Verdict.PROBE if won else Verdict.POSTPONE), postponed_until


def record(name: str | None, error: Exception | None, now: dt.datetime, *, probe: bool) -> None:
    """
    Let what became of a row show in its circuit, and in the rows that are postponed for it.

    ``error`` is what went wrong, None for a success. ``probe``: the row went through as a probe.
    """
    if not name:
        return
    if error is None:
        if record_answer(name):
            mailbox.release_circuit(name, now=now)
    elif isinstance(error, Retryable) and error.circuit:
        until = record_failure(name, now, probe=probe, retry_after=error.retry_after)
        if probe and until:
            mailbox.postpone_circuit(name, until=until)
    elif probe:
        record_undecided(name, now)
        mailbox.release_circuit(name, now=now, limit=config.delivery["batch_size"])


@retried_when_transient
def record_failure(name: str, now: dt.datetime, *, probe: bool, retry_after: float | None = None) -> dt.datetime | None:
    """Count a failure of the other side as a whole. Returns until when its circuit is open, if it is."""
    rules = config.delivery

    def transition(state: State) -> State:
        return failed(
            state,
            now,
            threshold=rules["circuit_failures"],
            seconds=rules["circuit_seconds"],
            probe=probe,
            retry_after=retry_after,
        )

    return _change(name, transition)


@retried_when_transient
def record_answer(name: str) -> bool:
    """Close a circuit: the other side did what was asked. False when it was closed, without failures, already."""
    not_closed = Circuit.objects.filter(name=name).exclude(failures=0, open_until=None)
    return bool(not_closed.update(failures=0, open_until=None))


@retried_when_transient
def record_undecided(name: str, now: dt.datetime) -> None:
    """Let the next row probe: this one ended without telling anything about the other side."""
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
