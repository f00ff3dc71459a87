"""
Circuits: whether rows that need the same thing, such as an organization at a provider, may be tried now.

``State`` and its transitions are values and pure functions over ``now``; the functions below them keep one row for each
circuit. A closed circuit lets every row through, at the pace that the other side accepts. An open one lets none
through: the other side is down, gets too many requests, or something is wrong that an operator has to correct. Rows are
postponed, and lose no attempt. Once that time is over, one row goes through as a probe, and what becomes of it decides
for the others.

A row may belong to several circuits, such as that of its organization and that of its template there. It goes when all
of them let it.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

from django.db import transaction
from django.db.models import Exists, OuterRef

from badges.common.backoff import longest_delay
from badges.conf import config
from badges.database import retried_when_transient
from badges.exceptions import RateLimited, Retryable, SharedProblem
from badges.inserts import insert
from badges.outbox import mailbox
from badges.outbox.models import Circuit, CircuitReason, OutboxMessage
from badges.outbox.pace import Pace, interval_at, slower, turns_at_once

log = logging.getLogger(__name__)

# While the other side stays down, the time that a circuit is open doubles, up to this many times the first one.
LONGEST_FACTOR = 10

MESSAGE_LENGTH = Circuit._meta.get_field("message").max_length or 500


class Verdict(Enum):
    """What a row may do."""

    GO = "go"
    PROBE = "probe"  # go, and the others wait for what becomes of this one
    POSTPONE = "postpone"


@dataclass(frozen=True, slots=True)
class State:
    """
    What a circuit remembers.

    ``failures`` in a row, until when and why nothing goes through, since when that is so, and what was said. ``pace``
    is how fast rows go through when it is closed, and ``next_at`` when the next one does.
    """

    failures: int = 0
    open_until: dt.datetime | None = None
    reason: str = ""
    since: dt.datetime | None = None
    message: str = ""
    pace: Pace = field(default_factory=Pace)
    next_at: dt.datetime | None = None

    def verdict(self, now: dt.datetime) -> Verdict:
        if self.open_until is not None:
            return Verdict.POSTPONE if self.open_until > now else Verdict.PROBE
        return Verdict.POSTPONE if self.paced_until(now) else Verdict.GO

    def is_open(self, now: dt.datetime) -> bool:
        return self.open_until is not None and self.open_until > now

    def paced_until(self, now: dt.datetime) -> dt.datetime | None:
        """Return when the next row may go, if it may not go now because of the pace."""
        is_early = self.next_at is not None and self.next_at > now and interval_at(self.pace, now)
        return self.next_at if is_early else None


def failed(state: State, now: dt.datetime, *, threshold: int, seconds: float, probe: bool, error: Retryable) -> State:
    """
    Count a failure of the other side as a whole.

    From ``threshold`` failures in a row on, the circuit is open for ``seconds``, then for twice as long with each
    further one. The ``retry_after`` of the error is what the other side asked for; it opens the circuit at once.
    """
    if state.is_open(now) and not probe:
        # On its way before the circuit opened: it tells nothing new but how long the other side wants to be left alone.
        return replace(state, open_until=_later(state, now + dt.timedelta(seconds=error.retry_after or 0.0)))
    failures = state.failures + 1
    beyond = failures - threshold
    own = longest_delay(beyond + 1, base=seconds, cap=seconds * LONGEST_FACTOR) if beyond >= 0 else 0.0
    longest = max(own, error.retry_after or 0.0)
    state = replace(state, failures=failures)
    return _opened(state, now, longest, CircuitReason.OUTAGE, str(error)) if longest else state


def limited(state: State, now: dt.datetime, *, seconds: float, probe: bool, error: RateLimited) -> State:
    """
    Open the circuit for as long as the other side asks, because it gets too many requests; go slower after that.

    ``seconds`` are for an answer that does not say how long. Requests that were on their way at the same time tell
    nothing new about the pace.
    """
    if state.open_until is not None and state.open_until > now and not probe:
        return replace(state, open_until=_later(state, now + dt.timedelta(seconds=error.retry_after or 0.0)))
    pace = slower(state.pace, now)
    wait = max(seconds if error.retry_after is None else error.retry_after, pace.interval)
    return replace(_opened(state, now, wait, CircuitReason.RATE_LIMIT, str(error)), pace=pace)


def wrong(state: State, now: dt.datetime, *, seconds: float, probe: bool, message: str) -> State:
    """Open the circuit for ``seconds``, because an operator has to correct something; longer if it rests already."""
    found = _opened(state, now, seconds, CircuitReason.PROBLEM, message)
    if probe or found.open_until is None:  # while a probe is out, the end of the rest is that of its lease
        return found
    return replace(found, open_until=_later(state, found.open_until))


def undecided(state: State, now: dt.datetime) -> State:
    """What became of the probe says nothing about the other side: the next row may probe."""
    return replace(state, open_until=now) if state.open_until else state


def answered(state: State, now: dt.datetime, *, probe: bool) -> State:
    """
    Close the circuit: the other side did what was asked.

    An answer to a request that was on its way before does not end the rest that the other side asked for, and does not
    solve a problem.
    """
    if state.is_open(now) and state.reason != CircuitReason.OUTAGE and not probe:
        return state
    interval = interval_at(state.pace, now)
    next_at = now + dt.timedelta(seconds=interval) if interval and probe else state.next_at
    return State(pace=state.pace if interval else Pace(), next_at=next_at if interval else None)


def _later(state: State, until: dt.datetime) -> dt.datetime:
    """Return the end of a circuit's rest, or a later one."""
    return until if state.open_until is None else max(state.open_until, until)


def _opened(state: State, now: dt.datetime, seconds: float, reason: CircuitReason, message: str) -> State:
    since = state.since if state.open_until is not None and state.reason == reason else now
    until = now + dt.timedelta(seconds=seconds)
    return replace(state, open_until=until, reason=str(reason.value), since=since, message=message[:MESSAGE_LENGTH])


# --- the rows ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hold:
    """
    A circuit that holds a row back, until when, and since when it is open for which reason.

    A circuit with a ``pace`` is not open: the row only waits for its turn.
    """

    circuit: str
    until: dt.datetime
    reason: str = ""
    since: dt.datetime | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """
    Whether a row may be tried now. ``hold`` is what holds it back. ``probing`` are the circuits that it probes.
    """

    hold: Hold | None = None
    probing: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        if self.hold:
            return Verdict.POSTPONE
        return Verdict.PROBE if self.probing else Verdict.GO


def may_pass(names: Sequence[str], now: dt.datetime) -> Passage:
    """Return whether a row of these circuits may be tried now, as ``all_may_pass``."""
    return all_may_pass([names], now)[0]


@retried_when_transient
def all_may_pass(rows: Sequence[Sequence[str]], now: dt.datetime) -> list[Passage]:
    """
    Return for each row whether it may be tried now. ``rows`` are the names of the circuits of each.

    Only one row is told to probe a circuit, and where there is a pace, only as many go as have their turn. A row
    without a circuit always goes. One statement, and one more for each circuit that is probed or paced.
    """
    wanted = Counter(name for names in rows for name in set(names))
    found = Circuit.objects.filter(name__in=wanted) if wanted else []
    gates = {circuit.name: _Gate(circuit, now, wanted[circuit.name]) for circuit in found}
    return [_pass([gates[name] for name in names if name in gates], now) for names in rows]


def record(
    names: Sequence[str], error: Exception | None, now: dt.datetime, *, probing: Sequence[str] = ()
) -> Hold | None:
    """
    Let what became of a row show in its circuits, and in the rows that are postponed for them.

    ``error`` is what went wrong, None for a success; ``probing`` are the circuits that the row probed. Returns the hold
    of the circuit that the error has opened, or found open.
    """
    if not names:
        return None
    if error is None:
        for name in record_answer(names, now, probing=probing):
            _release_after_answer(name, now)
        return None
    blamed = _blamed(names, error)
    for name in probing:
        if name != blamed:
            _leave_to_next(name, now)
    return None if blamed is None else _record_error(blamed, error, now, probe=blamed in probing)


def record_nothing(probing: Sequence[str], now: dt.datetime) -> None:
    """Let other rows probe these circuits: the one that probed them had nothing to ask."""
    for name in probing:
        _leave_to_next(name, now)


@retried_when_transient
def record_answer(names: Sequence[str], now: dt.datetime, *, probing: Sequence[str] = ()) -> list[str]:
    """Close circuits: the other side did what was asked. Returns those that had failures or were open."""
    not_closed = Circuit.objects.filter(name__in=names).exclude(failures=0, open_until=None)
    found = list(not_closed.values_list("name", flat=True))
    for name in found:
        _change(name, lambda state, probe=name in probing: answered(state, now, probe=probe))  # type: ignore[misc]
    return found


def record_undecided(name: str, now: dt.datetime) -> None:
    """Let the next row probe: this one ended without telling anything about the other side."""
    _change(name, lambda state: undecided(state, now))


def probe_now(names: Sequence[str], now: dt.datetime) -> int:
    """Let the next row of each of these open circuits probe it now, and make some due. Returns how many were open."""
    found = list(Circuit.objects.filter(name__in=names, open_until__gt=now).values_list("name", flat=True))
    for name in found:
        record_undecided(name, now)
    for name in names:
        mailbox.release_circuit(name, now=now, limit=config.delivery["batch_size"])
    return len(found)


def is_about_many(error: Exception) -> bool:
    """Return whether an error is about all rows of a circuit, and not about one row alone."""
    if isinstance(error, Retryable) and error.circuit:
        return True
    return isinstance(error, (SharedProblem, RateLimited))


def problems() -> list[tuple[str, str]]:
    """
    Return the circuits whose rows wait for an operator, by name, with what is wrong.

    A circuit without such rows is left out: after the correction of a wrong id nothing goes there any more.
    """
    waiting = OutboxMessage.objects.filter(due_at__gt=mailbox.BEGINNING, postponed_for=OuterRef("name"))
    found = Circuit.objects.filter(Exists(waiting), reason=CircuitReason.PROBLEM).exclude(open_until=None)
    return list(found.order_by("name").values_list("name", "message"))


def seconds_between(circuit: Circuit, now: dt.datetime) -> float:
    """Return the seconds between two requests of a circuit at the moment; 0: there is no limit."""
    return interval_at(_state(circuit).pace, now)


# --- private -----------------------------------------------------------------------------------------------------


def _blamed(names: Sequence[str], error: Exception) -> str | None:
    """Return the circuit that an error is about; None when it is about the row alone."""
    if isinstance(error, SharedProblem):
        return error.circuit or names[0]
    return names[0] if is_about_many(error) else None


def _leave_to_next(name: str, now: dt.datetime) -> None:
    """Let the next row probe a circuit, and make some due."""
    record_undecided(name, now)
    mailbox.release_circuit(name, now=now, limit=config.delivery["batch_size"])


def _record_error(name: str, error: Exception, now: dt.datetime, *, probe: bool) -> Hold | None:
    before, state = _change(name, lambda state: _after_error(state, error, now, probe=probe))
    if state.open_until is None:
        return None
    if before.open_until is None or before.reason != state.reason:  # told once, and not for each row
        level = logging.ERROR if state.reason == CircuitReason.PROBLEM else logging.WARNING
        log.log(level, "Outbox rows of %s wait (%s): %s", name, state.reason, state.message)
    if probe:
        mailbox.postpone_circuit(name, until=state.open_until)
    return Hold(name, state.open_until, state.reason, state.since)


def _after_error(state: State, error: Exception, now: dt.datetime, *, probe: bool) -> State:
    rules = config.delivery
    if isinstance(error, SharedProblem):
        return wrong(state, now, seconds=rules["problem_seconds"], probe=probe, message=str(error))
    if isinstance(error, RateLimited):
        return limited(state, now, seconds=rules["circuit_seconds"], probe=probe, error=error)
    assert isinstance(error, Retryable)
    threshold, seconds = rules["circuit_failures"], rules["circuit_seconds"]
    return failed(state, now, threshold=threshold, seconds=seconds, probe=probe, error=error)


def _release_after_answer(name: str, now: dt.datetime) -> None:
    """Make rows due that were postponed for a circuit: all of them, or as many as its pace lets through soon."""
    circuit = Circuit.objects.filter(name=name).first()
    if circuit is None or _closed_until(_state(circuit), now) is None:
        mailbox.release_circuit(name, now=now)
    elif circuit.open_until is None and circuit.next_at is not None:
        mailbox.release_circuit(name, now=circuit.next_at, limit=config.delivery["batch_size"])


def _closed_until(state: State, now: dt.datetime) -> dt.datetime | None:
    """Return until when nothing goes through; None when a row may go or probe."""
    if state.verdict(now) is not Verdict.POSTPONE:
        return None
    return state.open_until or state.next_at


def _hold(circuit: Circuit, until: dt.datetime) -> Hold:
    pace = None if circuit.open_until else Pace(circuit.interval, circuit.paced_at)
    return Hold(circuit.name, until, circuit.reason, circuit.since, pace)


class _Gate:
    """
    A circuit that lets rows of one worker pass.

    ``wanted`` rows belong to it. It takes the turns for as many of them as go together, so that they cost one
    statement.
    """

    def __init__(self, circuit: Circuit, now: dt.datetime, wanted: int):
        self.circuit, self._now, self._wanted = circuit, now, wanted
        self._turns = 0

    @property
    def is_open(self) -> bool:
        return self.circuit.open_until is not None

    def hold(self) -> Hold | None:
        """Return what holds a row back now, without taking a turn."""
        until = None if self._turns else _closed_until(_state(self.circuit), self._now)
        return _hold(self.circuit, until) if until else None

    def take_turn(self) -> Hold | None:
        """Take the turn to probe, or one of the pace. Returns the hold when another worker has taken it."""
        interval = interval_at(_state(self.circuit).pace, self._now)
        if self._turns:
            self._turns -= 1
            return None
        if self.is_open:
            return self._take("open_until", config.delivery["lease_seconds"])
        if not interval:
            return None
        turns = min(turns_at_once(interval), self._wanted)
        hold = self._take("next_at", turns * interval)
        self._turns = 0 if hold else turns - 1
        return hold

    def _take(self, column: str, seconds: float) -> Hold | None:
        until = self._now + dt.timedelta(seconds=seconds)
        # Whoever changes the value that both have read has the turn; the others wait.
        seen = getattr(self.circuit, column)
        won = Circuit.objects.filter(name=self.circuit.name, **{column: seen}).update(**{column: until})
        setattr(self.circuit, column, until)
        return None if won else _hold(self.circuit, until)


def _pass(gates: Sequence[_Gate], now: dt.datetime) -> Passage:
    """Return whether a row may pass all gates, and take its turns."""
    if held := [hold for gate in gates if (hold := gate.hold())]:
        return Passage(max(held, key=lambda hold: hold.until))
    probing: list[str] = []
    for gate in gates:
        was_open = gate.is_open
        taken = gate.take_turn()
        if taken is not None:
            for name in probing:
                record_undecided(name, now)
            return Passage(taken)
        if was_open:
            probing.append(gate.circuit.name)
    return Passage(probing=tuple(probing))


def _state(circuit: Circuit) -> State:
    return State(
        failures=circuit.failures,
        open_until=circuit.open_until,
        reason=circuit.reason,
        since=circuit.since,
        message=circuit.message,
        pace=Pace(circuit.interval, circuit.paced_at),
        next_at=circuit.next_at,
    )


@retried_when_transient
def _change(name: str, transition: Callable[[State], State]) -> tuple[State, State]:
    """Write the next state of a circuit. Returns the state before and the one after."""
    with transaction.atomic():
        # First a write: it makes the row if need be, and keeps SQLite from having to upgrade a read lock.
        insert([Circuit(name=name)], unique="name")
        circuit = Circuit.objects.select_for_update().get(name=name)
        before = _state(circuit)
        state = transition(before)
        circuit.failures, circuit.open_until = state.failures, state.open_until
        circuit.reason, circuit.since, circuit.message = state.reason, state.since, state.message
        circuit.interval, circuit.paced_at = state.pace.interval, state.pace.at
        circuit.next_at = state.next_at
        circuit.save()
    return before, state
