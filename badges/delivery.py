"""
The conductor outwards: claim a row, ask whether the other side is up, hand it to its channel, write the outcome down.

Nothing here knows what a channel does. No transaction is open while it does it, and the claim was committed before, so
that a worker that dies in the middle leaves a row whose lease ends.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from badges.common.backoff import next_delay
from badges.conf import config
from badges.database import retry_transient
from badges.exceptions import BadgesError, Permanent, Retryable
from badges.outbox import channels, circuit, mailbox
from badges.outbox.channels import Handler
from badges.outbox.circuit import Verdict
from badges.outbox.models import OutboxMessage

log = logging.getLogger(__name__)
Result = TypeVar("Result")


@dataclass
class Delivery:
    """
    What became of claimed rows.

    ``held`` were not tried, because their circuit is open; ``lost`` were taken by another worker meanwhile.
    ``next_due_at`` is when the first of the retried and held ones is due again. ``more``: some may still be due.
    """

    delivered: int = 0
    retried: int = 0
    held: int = 0
    dead: int = 0
    lost: int = 0
    more: bool = False
    next_due_at: dt.datetime | None = None

    @property
    def seen(self) -> int:
        return self.delivered + self.retried + self.held + self.dead + self.lost

    def note_due(self, until: dt.datetime) -> None:
        self.next_due_at = min(self.next_due_at or until, until)


def drain(
    *,
    now: dt.datetime | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Delivery:
    """
    Deliver what is due, until nothing is, or ``limit`` rows were seen, or ``seconds`` have passed.

    ``should_stop`` is asked between rows; what was claimed and not begun is then given back. ``now`` holds the clock
    still. Must not be called in a transaction.
    """
    ends_at = None if seconds is None else time.monotonic() + seconds
    done = Delivery(more=True)

    def enough() -> bool:
        return should_stop() or (ends_at is not None and time.monotonic() > ends_at)

    while not enough() and (limit is None or done.seen < limit):
        rows = _claim(limit, done, now)
        if not rows:
            done.more = False
            break
        for row in rows:
            if enough():
                _release(row, now)
            else:
                _settle(row, now, done)
    return done


def requeue(rows: QuerySet[OutboxMessage], *, now: dt.datetime | None = None) -> int:
    """Try dead letters again, as if for the first time; returns how many there were. The operator's button."""
    return mailbox.requeue(rows, now=_at(now))


def _claim(limit: int | None, done: Delivery, now: dt.datetime | None) -> list[OutboxMessage]:
    size = config.delivery["batch_size"]
    wanted = size if limit is None else min(size, limit - done.seen)
    return retry_transient(lambda: mailbox.claim(wanted, _at(now), lease=config.delivery["lease_seconds"]))


def _release(row: OutboxMessage, now: dt.datetime | None) -> None:
    retry_transient(lambda: mailbox.release([row], due_at=_at(now)))


# --- one row -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Attempt:
    """A claimed row with who delivers it and what rests when that fails; ``problem`` when that cannot be told."""

    row: OutboxMessage
    handler: Handler | None = None
    circuit: str | None = None
    problem: Exception | None = None

    @classmethod
    def of(cls, row: OutboxMessage) -> _Attempt:
        handler, problem = _caught(lambda: channels.handler_of(row.channel))
        if handler is None:
            return cls(row, problem=problem)
        name, problem = _caught(lambda: channels.circuit_of(handler, row))
        return cls(row, handler, name, problem)

    def run(self) -> Exception | None:
        """Do what the row demands; return what went wrong."""
        handler = self.handler
        if handler is None or self.problem:
            return self.problem
        return _caught(lambda: handler(self.row))[1]


def _settle(row: OutboxMessage, now: dt.datetime | None, done: Delivery) -> None:
    """Bring one claimed row as far as it goes today."""
    attempt = _Attempt.of(row)
    name = attempt.circuit
    verdict, until = retry_transient(lambda: circuit.may_pass(name, _at(now))) if name else (Verdict.GO, _at(now))
    if name and verdict is Verdict.REST:
        _hold(row, name, until, done)
        return
    if row.attempts >= config.delivery["max_attempts"]:
        error: Exception | None = Permanent("The last try did not come to its end; was its worker killed?")
        _dead_letter(row, str(error), _at(now), done)
    elif retry_transient(lambda: mailbox.begin(row, _at(now), lease=config.delivery["lease_seconds"])):
        error = attempt.run()
        _conclude(row, error, _at(now), done)
    else:
        error = _ClaimLost()
        _note(row, "lost", False, done)
    if name:
        _tell_circuit(name, error, verdict, _at(now))


class _ClaimLost(Exception):
    """Another worker holds the row now."""


def _hold(row: OutboxMessage, name: str, until: dt.datetime, done: Delivery) -> None:
    """Give a row back untried, since the other side is down; due when that has held, or is known to be up before."""
    ours = retry_transient(lambda: mailbox.release([row], due_at=until, held_for=name))
    _note(row, "held", bool(ours), done)
    done.note_due(until)
    if row.held_for == name:
        # It held before, and so did others: they rest on without being looked at one by one.
        retry_transient(lambda: mailbox.extend_hold(name, until=until))


def _conclude(row: OutboxMessage, error: Exception | None, now: dt.datetime, done: Delivery) -> None:
    """Write down what became of a row that was tried."""
    if error is None:
        _note(row, "delivered", retry_transient(lambda: mailbox.delivered(row, now)), done)
    elif isinstance(error, Permanent):
        _dead_letter(row, str(error), now, done)
    elif row.attempts >= config.delivery["max_attempts"]:
        _dead_letter(
            row, f"Given up after {row.attempts} tries; remove the cause, then retry. {_words(error)}", now, done
        )
    else:
        until = now + dt.timedelta(seconds=_pause(row, error))
        _note(row, "retried", retry_transient(lambda: mailbox.reschedule(row, due_at=until, error=_words(error))), done)
        done.note_due(until)
        log.info("Outbox row %s is tried again at %s: %s", row, until, _words(error))


def _dead_letter(row: OutboxMessage, reason: str, now: dt.datetime, done: Delivery) -> None:
    _note(row, "dead", retry_transient(lambda: mailbox.dead_letter(row, now, error=reason)), done)
    log.error("Outbox row %s is a dead letter: %s", row, reason)


def _note(row: OutboxMessage, outcome: str, is_ours: bool, done: Delivery) -> None:
    """Count an outcome; one that could not be written, because the lease ended meanwhile, is another worker's now."""
    if not is_ours:
        outcome = "lost"
        log.warning("Outbox row %s: the lease ended before it was finished; whoever has it now delivers it.", row)
    setattr(done, outcome, getattr(done, outcome) + 1)


def _tell_circuit(name: str, error: Exception | None, verdict: Verdict, now: dt.datetime) -> None:
    """Let the other side's health show in its circuit, and free the rows that held once it is well again."""
    probe = verdict is Verdict.PROBE
    if error is None:
        if retry_transient(lambda: circuit.record_answer(name)):
            retry_transient(lambda: mailbox.release_circuit(name, now=now))
    elif isinstance(error, Retryable) and error.circuit:
        asked = error.retry_after
        until = retry_transient(lambda: circuit.record_failure(name, now, probe=probe, retry_after=asked))
        if probe and until:
            retry_transient(lambda: mailbox.extend_hold(name, until=until))
    elif probe:
        retry_transient(lambda: circuit.record_undecided(name, now))
        retry_transient(lambda: mailbox.release_circuit(name, now=now, limit=config.delivery["batch_size"]))


def _pause(row: OutboxMessage, error: Exception) -> float:
    return next_delay(
        row.attempts,
        base=config.delivery["base_delay"],
        cap=config.delivery["max_delay"],
        retry_after=error.retry_after if isinstance(error, Retryable) else None,
    )


def _words(error: Exception) -> str:
    """What went wrong, without personal data: other packages' messages may quote it, so only ours are repeated."""
    if isinstance(error, BadgesError):
        return str(error)
    innermost = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(innermost.filename).name}:{innermost.lineno}; the worker's log has more."


# --- small helpers -----------------------------------------------------------------------------------------------


def _caught(work: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    """Run what others wrote: one of the two worker loops, where anything that goes wrong becomes a value."""
    try:
        return work(), None
    except Exception as error:
        if not isinstance(error, BadgesError):
            # The lines of code and not the message, which may quote a learner.
            frames = "".join(traceback.format_tb(error.__traceback__))
            log.error("%s while an outbox row was delivered:\n%s", type(error).__name__, frames)
        return None, error


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
