"""
Delivery: carries out the rows of the outbox, one at a time: calls a provider, sends an event or a mail.

Claim a row, ask whether the other side is up, hand the row to its channel, write down what became of it. Nothing here
knows what a channel does. No transaction is open while it does it, and the claim was committed before. So a worker that
dies in the middle leaves a row whose lease ends.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import QuerySet
from django.utils import timezone

from badges.common.backoff import delay_by_age, next_delay
from badges.common.claims import ClaimLostError
from badges.common.error_messages import code_lines, storable_message
from badges.conf import config
from badges.exceptions import BadgesError, Permanent, RateLimited, Retryable, SharedProblem, Waiting
from badges.outbox import channels, circuit, mailbox
from badges.outbox.channels import HandlerResult
from badges.outbox.circuit import Hold, Passage
from badges.outbox.models import CircuitReason, OutboxMessage
from badges.outbox.worker_notifications import notify_worker_on_commit

log = logging.getLogger(__name__)
Result = TypeVar("Result")

# Reasons for dead letters; those of a channel are the messages of its Permanent errors.
INTERRUPTED = "The last try was not finished; was its worker killed? Look at its log and its memory, then retry."
GIVEN_UP = "Given up after {attempts} tries; remove the cause, then retry. {reason}"
DOWN_TOO_LONG = "Given up: for {days} days the other side could not be used; remove the cause, then retry. {reason}"
BY_HAND = "Given up by hand; retry it when it is to be delivered after all, or close it. {reason}"


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
        batch = _Batch()
        for row in sorted(rows, key=_turn):
            if enough():
                mailbox.release([row], due_at=_at(now))
            else:
                _deliver(row, now, result, batch)
    return result


def _turn(row: OutboxMessage) -> tuple[bool, bool, float]:
    """
    Return the sort key by which claimed rows are tried.

    Who was refused for a problem of many comes last, and who failed comes after those who did not: another row is to
    find out whether the circuit may close. Among those who failed it is left to chance, so that a row that always fails
    is not the probe each time.
    """
    failed = bool(row.last_error)
    return row.met_problem, failed, random.random() if failed else 0.0  # noqa: S311


def requeue(rows: QuerySet[OutboxMessage], *, now: dt.datetime | None = None) -> int:
    """Try dead letters again, as if for the first time; returns how many there were. For an operator."""
    return mailbox.requeue(rows, now=_at(now))


def try_now(rows: QuerySet[OutboxMessage], *, now: dt.datetime | None = None) -> int:
    """
    Try waiting rows now, as if for the first time; returns how many there are. For an operator.

    Open circuits that they wait for are probed with the first of them.
    """
    postponed_for = rows.order_by().exclude(postponed_for="").values_list("postponed_for", flat=True)
    names = list(postponed_for.distinct())
    due = mailbox.try_now(rows, now=_at(now))
    circuit.probe_now(names, _at(now))
    return due


def probe_now(circuits: Sequence[str], *, now: dt.datetime | None = None) -> int:
    """Probe open circuits with their next row; returns how many were open. For an operator."""
    found = circuit.probe_now(circuits, _at(now))
    notify_worker_on_commit()
    return found


def close(rows: QuerySet[OutboxMessage], *, reason: str, now: dt.datetime | None = None) -> int:
    """Close dead letters for good; returns how many. For an operator, who gives the reason."""
    return mailbox.close(rows, now=_at(now), reason=reason)


def give_up(rows: QuerySet[OutboxMessage], *, reason: str, now: dt.datetime | None = None) -> int:
    """Make dead letters of waiting rows; returns how many. For an operator, who gives the reason."""
    return mailbox.give_up(rows, now=_at(now), error=BY_HAND.format(reason=reason))


# --- one row -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Route:
    """The handler and the circuits of a row; ``problem`` is the error when one of them cannot be found."""

    handler: channels.Handler | None = None
    circuits: Sequence[str] = ()
    problem: Exception | None = None

    @classmethod
    def of(cls, row: OutboxMessage) -> _Route:
        handler, problem = _result_or_error(lambda: channels.handler_of(row.channel))
        if handler is None:
            return cls(problem=problem)
        names, problem = _result_or_error(lambda: channels.circuits_of(handler, row))
        return cls(handler, names or (), problem)


@dataclass
class _Batch:
    """
    What happened to rows that were claimed together.

    ``tried`` are the circuits of those that were tried. ``given_up`` are the circuits whose rows are given up because
    the other side has been down for days, with the reason.
    """

    tried: set[str] = field(default_factory=set)
    given_up: dict[str, str] = field(default_factory=dict)


def _deliver(row: OutboxMessage, now: dt.datetime | None, result: DeliveryResult, batch: _Batch) -> None:
    """Try one claimed row, unless one of its circuits is open, and write down what became of it."""
    route = _Route.of(row)
    passage = circuit.may_pass(route.circuits, _at(now))
    if passage.hold:
        _postpone(row, passage.hold, _at(now), result, batch)
        return
    batch.tried.update(route.circuits)
    outcome, error = _attempt(row, route, _at(now))
    if isinstance(error, SharedProblem):
        error = _own_problem(row, error, route, passage)
    # A success is written down first, so that the row is not delivered again, whatever happens to its circuits.
    hold = circuit.record(route.circuits, error, _at(now), probing=passage.probing) if error else None
    _conclude(row, error, hold, _at(now), result, batch)
    if outcome is HandlerResult.NOTHING_TO_DO:
        circuit.record_nothing(passage.probing, _at(now))
    elif error is None:
        circuit.record(route.circuits, None, _at(now), probing=passage.probing)


def _postpone(row: OutboxMessage, hold: Hold, now: dt.datetime, result: DeliveryResult, batch: _Batch) -> None:
    """
    Give a row back untried. If it was postponed before, the others that would be due now are postponed with it.

    So they are not looked at one by one. Where a pace lets one row through after the other, those that were claimed
    with the last one come next, and the others wait for about as long as these take.
    """
    reason = batch.given_up.get(hold.circuit)
    if reason and row.failing_since and _is_too_long(row.failing_since, hold, now):
        _dead_letter(row, reason, now, result)
        return
    until, is_paced = hold.until, not hold.reason
    if is_paced and hold.circuit not in batch.tried and row.postponed_for == hold.circuit:
        until += (until - now) * config.delivery["batch_size"]
    since = now if hold.reason == CircuitReason.OUTAGE else None
    is_written = mailbox.postpone(row, hold.circuit, until=until, failing_since=since)
    if row.postponed_for == hold.circuit:
        if not is_paced:
            mailbox.postpone_circuit(hold.circuit, until=until)
        elif hold.circuit not in batch.tried:
            mailbox.postpone_due(hold.circuit, now=now, until=until)
    _count(row, "postponed", is_written, result)
    result.note_due(until)


def _own_problem(row: OutboxMessage, error: SharedProblem, route: _Route, passage: Passage) -> Exception:
    """
    Return the error, but not as a shared problem when it is one of this row alone.

    The row was refused before, and since then another row of the circuit got through.
    """
    blamed = error.circuit or next(iter(route.circuits), None)
    if blamed is None or (row.met_problem and row.postponed_for == blamed and blamed not in passage.probing):
        return Permanent(str(error))
    return error


def _attempt(row: OutboxMessage, route: _Route, now: dt.datetime) -> tuple[HandlerResult | None, Exception | None]:
    """Do what the row demands; return what the handler returned, and what went wrong."""
    if row.attempts >= config.delivery["max_attempts"]:
        return None, Permanent(INTERRUPTED)
    if not mailbox.begin(row, now, lease=config.delivery["lease_seconds"]):
        return None, ClaimLostError()
    handler = route.handler
    if handler is None or route.problem:
        return None, route.problem
    return _result_or_error(lambda: handler(row))


def _conclude(
    row: OutboxMessage,
    error: Exception | None,
    hold: Hold | None,
    now: dt.datetime,
    result: DeliveryResult,
    batch: _Batch,
) -> None:
    """Write down what became of a row. ``hold`` is the circuit that its error has opened, or found open."""
    if error is None:
        _count(row, "delivered", mailbox.delivered(row, now), result)
    elif isinstance(error, ClaimLostError):
        _count(row, "lost", False, result)
    elif isinstance(error, SharedProblem) and hold:
        _rest(row, error, hold, now, result)
    elif isinstance(error, Permanent):
        _dead_letter(row, str(error), now, result)
    elif isinstance(error, Waiting):
        due_at = now + dt.timedelta(seconds=error.retry_after or config.delivery["max_delay"])
        _reschedule_uncounted(row, error, due_at, now, result, failing_since=None)
    elif isinstance(error, Retryable) and (error.circuit or isinstance(error, RateLimited)):
        _wait_for_other_side(row, error, hold, now, result, batch)
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


def _rest(row: OutboxMessage, error: SharedProblem, hold: Hold, now: dt.datetime, result: DeliveryResult) -> None:
    """Let a row rest for a problem of many. It comes after the others: one of them is to find out about the problem."""
    due_at = hold.until + mailbox.AFTER_OTHERS
    changes = {"postponed_for": hold.circuit, "met_problem": True, "failing_since": None}
    _reschedule_uncounted(row, error, due_at, now, result, **changes)


def _wait_for_other_side(
    row: OutboxMessage, error: Retryable, hold: Hold | None, now: dt.datetime, result: DeliveryResult, batch: _Batch
) -> None:
    """Reschedule a row that tells something about the other side only; give it up when that has lasted for days."""
    if isinstance(error, RateLimited):
        began = None  # it is not down
    else:
        began = row.failing_since or now
        if _is_too_long(began, hold, now):
            _give_up(row, error, hold, now, result, batch)
            return
    if hold:
        due_at = hold.until if isinstance(error, RateLimited) else hold.until + mailbox.AFTER_OTHERS
        _reschedule_uncounted(row, error, due_at, now, result, postponed_for=hold.circuit, failing_since=began)
        return
    seconds = delay_by_age(
        (now - (began or now)).total_seconds(),
        base=config.delivery["base_delay"],
        cap=config.delivery["max_delay"],
        retry_after=error.retry_after,
    )
    _reschedule_uncounted(row, error, now + dt.timedelta(seconds=seconds), now, result, failing_since=began)


def _is_too_long(began: dt.datetime, hold: Hold | None, now: dt.datetime) -> bool:
    """Return whether the other side has been down for the days that the settings allow."""
    days = config.delivery["give_up_days"]
    # The row may have seen an earlier outage. Then the days count from the beginning of this one.
    since = max(began, hold.since) if hold and hold.since else began
    return days is not None and now - since >= dt.timedelta(days=days)


def _give_up(
    row: OutboxMessage, error: Retryable, hold: Hold | None, now: dt.datetime, result: DeliveryResult, batch: _Batch
) -> None:
    """Make a dead letter of a row, and of those that have been postponed for its circuit for as long."""
    days = config.delivery["give_up_days"]
    reason = DOWN_TOO_LONG.format(days=days, reason=storable_message(error))
    _dead_letter(row, reason, now, result)
    if hold:
        batch.given_up[hold.circuit] = reason
        since = now - dt.timedelta(days=days)
        others = mailbox.give_up_postponed(hold.circuit, failing_since=since, now=now, error=reason)
        result.dead += others
        if others:
            log.error("%d more outbox rows of %s are dead letters: %s", others, hold.circuit, reason)


def _reschedule_uncounted(
    row: OutboxMessage,
    error: Retryable | SharedProblem,
    due_at: dt.datetime,
    now: dt.datetime,
    result: DeliveryResult,
    **changes: Any,
) -> None:
    """Reschedule a row without counting the attempt."""
    is_written = mailbox.reschedule_uncounted(row, due_at=due_at, error=storable_message(error), **changes)
    _count(row, "rescheduled", is_written, result)
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
