"""
Delivery: carries out the rows of the outbox, one at a time: calls a provider, sends an event or a mail.

Claim a row, ask whether the other side is up, hand the row to its channel, write down what became of it. Nothing here
knows what a channel does. No transaction is open while it does it, and the claim was committed before. So a worker that
dies in the middle leaves a row whose lease ends.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from badges.common.backoff import next_delay
from badges.common.claims import ClaimLostError
from badges.common.error_messages import code_lines, storable_message
from badges.conf import config
from badges.exceptions import BadgesError, Permanent, Retryable, Waiting
from badges.outbox import channels, circuit, mailbox
from badges.outbox.circuit import Verdict
from badges.outbox.models import OutboxMessage

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# Reasons for dead letters; those of a channel are the messages of its Permanent errors.
INTERRUPTED = "The last try was not finished; was its worker killed? Look at its log and its memory, then retry."
GIVEN_UP = "Given up after {attempts} tries; remove the cause, then retry. {reason}"


@dataclass
class DeliveryResult:
    """
    What became of claimed rows.

    ``postponed`` were not tried, because their circuit is open; ``lost`` were taken by another worker meanwhile.
    ``next_due_at`` is when the first of the rescheduled and postponed ones is due again. ``more``: some may still be
    due.
    """

    delivered: int = 0
    rescheduled: int = 0
    postponed: int = 0
    dead: int = 0
    lost: int = 0
    more: bool = False
    next_due_at: dt.datetime | None = None

    @property
    def seen(self) -> int:
        return self.delivered + self.rescheduled + self.postponed + self.dead + self.lost

    def note_due(self, at: dt.datetime) -> None:
        self.next_due_at = min(self.next_due_at or at, at)


def drain(
    *,
    now: dt.datetime | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeliveryResult:
    """
    Deliver what is due, until nothing is, or ``limit`` rows were seen, or ``seconds`` have passed.

    ``should_stop`` is asked between rows; rows that were claimed and not begun are then released. With ``now``, every
    row is handled as if it were that time. Must not be called in a transaction.
    """
    ends_at = None if seconds is None else time.monotonic() + seconds
    result = DeliveryResult(more=True)

    def enough() -> bool:
        return should_stop() or (ends_at is not None and time.monotonic() > ends_at)

    while not enough() and (limit is None or result.seen < limit):
        size = config.delivery["batch_size"]
        wanted = size if limit is None else min(size, limit - result.seen)
        rows = mailbox.claim(wanted, _at(now), lease=config.delivery["lease_seconds"])
        if not rows:
            result.more = False
            break
        for row in rows:
            if enough():
                mailbox.release([row], due_at=_at(now))
            else:
                _deliver(row, now, result)
    return result


def requeue(rows: QuerySet[OutboxMessage], *, now: dt.datetime | None = None) -> int:
    """Try dead letters again, as if for the first time; returns how many there were. For an operator."""
    return mailbox.requeue(rows, now=_at(now))


# --- one row -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Route:
    """The handler and the circuit of a row; ``problem`` is the error when one of them cannot be found."""

    handler: channels.Handler | None = None
    circuit: str | None = None
    problem: Exception | None = None

    @classmethod
    def of(cls, row: OutboxMessage) -> _Route:
        handler, problem = _result_or_error(lambda: channels.handler_of(row.channel))
        if handler is None:
            return cls(problem=problem)
        name, problem = _result_or_error(lambda: channels.circuit_of(handler, row))
        return cls(handler, name, problem)


def _deliver(row: OutboxMessage, now: dt.datetime | None, result: DeliveryResult) -> None:
    """Try one claimed row, unless the other side is down, and write down what became of it."""
    route = _Route.of(row)
    verdict, until = circuit.may_pass(route.circuit, _at(now))
    if route.circuit and verdict is Verdict.POSTPONE:
        _count(row, "postponed", mailbox.postpone(row, route.circuit, until=until), result)
        result.note_due(until)
        return
    error = _attempt(row, route, _at(now))
    _conclude(row, error, _at(now), result)
    circuit.record(route.circuit, error, _at(now), probe=verdict is Verdict.PROBE)


def _attempt(row: OutboxMessage, route: _Route, now: dt.datetime) -> Exception | None:
    """Do what the row demands; return what went wrong."""
    if row.attempts >= config.delivery["max_attempts"]:
        return Permanent(INTERRUPTED)
    if not mailbox.begin(row, now, lease=config.delivery["lease_seconds"]):
        return ClaimLostError()
    handler = route.handler
    if handler is None or route.problem:
        return route.problem
    return _result_or_error(lambda: handler(row))[1]


def _conclude(row: OutboxMessage, error: Exception | None, now: dt.datetime, result: DeliveryResult) -> None:
    """Write down what became of a row."""
    if error is None:
        _count(row, "delivered", mailbox.delivered(row, now), result)
    elif isinstance(error, ClaimLostError):
        _count(row, "lost", False, result)
    elif isinstance(error, Permanent):
        _dead_letter(row, str(error), now, result)
    elif isinstance(error, Waiting):
        _reschedule_uncounted(row, error, now, result)
    elif row.attempts >= config.delivery["max_attempts"]:
        _dead_letter(row, GIVEN_UP.format(attempts=row.attempts, reason=storable_message(error)), now, result)
    else:
        _reschedule(row, error, now, result)


def _dead_letter(row: OutboxMessage, reason: str, now: dt.datetime, result: DeliveryResult) -> None:
    _count(row, "dead", mailbox.dead_letter(row, now, error=reason), result)
    log.error("Outbox row %s is a dead letter: %s", row, reason)


def _reschedule(row: OutboxMessage, error: Exception, now: dt.datetime, result: DeliveryResult) -> None:
    seconds = next_delay(
        row.attempts,
        base=config.delivery["base_delay"],
        cap=config.delivery["max_delay"],
        retry_after=error.retry_after if isinstance(error, Retryable) else None,
    )
    due_at = now + dt.timedelta(seconds=seconds)
    _count(row, "rescheduled", mailbox.reschedule(row, due_at=due_at, error=storable_message(error)), result)
    result.note_due(due_at)
    log.info("Outbox row %s is tried again at %s: %s", row, due_at, storable_message(error))


def _reschedule_uncounted(row: OutboxMessage, error: Waiting, now: dt.datetime, result: DeliveryResult) -> None:
    """Reschedule a row without counting the attempt, however long it waits."""
    due_at = now + dt.timedelta(seconds=error.retry_after or config.delivery["max_delay"])
    _count(row, "rescheduled", mailbox.reschedule_uncounted(row, due_at=due_at, error=str(error)), result)
    result.note_due(due_at)
    log.info("Outbox row %s waits until %s: %s", row, due_at, error)


def _count(row: OutboxMessage, outcome: str, is_written: bool, result: DeliveryResult) -> None:
    """Count an outcome; one that could not be written, because the lease ended meanwhile, counts as lost."""
    if not is_written:
        outcome = "lost"
        log.warning("Outbox row %s: the lease ended before it was finished; another worker delivers it.", row)
    setattr(result, outcome, getattr(result, outcome) + 1)


def _result_or_error(work: Callable[[], Result]) -> tuple[Result | None, Exception | None]:
    """Call the code of a channel. Return its result, or the error, so that the worker can go on."""
    try:
        return work(), None
    except Exception as error:
        if not isinstance(error, BadgesError):
            log.error("%s while an outbox row was delivered:\n%s", type(error).__name__, code_lines(error))
        return None, error


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
