"""What becomes of deliveries: delivered, tried again later, or a dead letter; written down for many at a time."""

from __future__ import annotations

import datetime as dt
import itertools
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from badges.common.backoff import delay_by_age, next_delay
from badges.common.claims import ClaimLostError
from badges.common.error_messages import storable_message
from badges.conf import config
from badges.delivery.deliveries import Delivery
from badges.exceptions import Permanent, RateLimited, Retryable, SharedProblem, Waiting
from badges.outbox import circuit, mailbox
from badges.outbox.channels import HandlerResult
from badges.outbox.circuit import Hold
from badges.outbox.models import CircuitReason, OutboxMessage
from badges.outbox.pace import turn_at

log = logging.getLogger(__package__)

# Reasons for dead letters; those of a channel are the messages of its Permanent errors.
INTERRUPTED = "The last try was not finished; was its worker killed? Look at its log and its memory, then retry."
GIVEN_UP = "Given up after {attempts} tries; remove the cause, then retry. {reason}"
DOWN_TOO_LONG = "Given up: for {days} days the other side could not be used; remove the cause, then retry. {reason}"

# Where a pace holds many rows back, so many groups of them get a time of their own; the others come after these.
SPREAD_TIMES = 20


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


@dataclass
class Outcomes:
    """
    Writes down what became of deliveries, and counts it.

    ``given_up`` are the circuits whose rows are given up because the other side has been down for days, with the
    reason.
    """

    result: DeliveryResult
    given_up: dict[str, str] = field(default_factory=dict)

    # --- not tried -----------------------------------------------------------------------------------------------

    def postpone(self, held: Sequence[tuple[Delivery, Hold]], now: dt.datetime) -> None:
        """
        Give rows back untried, whose circuit is open or whose turn has not come.

        Where one of them was postponed before, the others that would be due now are postponed with it. So they are not
        looked at one by one.
        """
        by_hold = itertools.groupby(sorted(held, key=lambda each: each[1].circuit), key=lambda each: each[1])
        for hold, members in by_hold:
            self._postpone([delivery.row for delivery, _hold in members], hold, now)

    def _postpone(self, rows: Sequence[OutboxMessage], hold: Hold, now: dt.datetime) -> None:
        reason = self.given_up.get(hold.circuit)
        too_long = [row for row in rows if reason and row.failing_since and _is_too_long(row.failing_since, hold, now)]
        for row in too_long:
            self._dead_letter(row, reason or "", now)
        rows = [row for row in rows if row not in too_long]
        since = now if hold.reason == CircuitReason.OUTAGE else None
        written = mailbox.postpone(rows, hold.circuit, until=hold.until, failing_since=since)
        if any(row.postponed_for == hold.circuit for row in rows):
            if hold.pace is None:
                mailbox.postpone_circuit(hold.circuit, until=hold.until)
            else:
                size = config.delivery["batch_size"]
                times = [turn_at(hold.pace, size * number, hold.until) for number in range(1, SPREAD_TIMES + 1)]
                mailbox.postpone_due(hold.circuit, now=now, times=times, size=size)
        self._count("postponed", rows, written)
        self.result.note_due(hold.until)

    # --- tried ---------------------------------------------------------------------------------------------------

    def conclude(self, deliveries: Sequence[Delivery], now: dt.datetime) -> set[str]:
        """
        Write down what became of deliveries that were tried, and let it show in their circuits.

        Successes come first, so that these rows are not delivered again, whatever happens to the others. Returns the
        channels whose other side failed as a whole.
        """
        succeeded = [delivery for delivery in deliveries if delivery.error is None]
        if succeeded:
            self._succeed(succeeded, now)
        failed = [delivery for delivery in deliveries if delivery.error is not None]
        return {delivery.row.channel for delivery in failed if self._fail(delivery, now)}

    def _succeed(self, deliveries: Sequence[Delivery], now: dt.datetime) -> None:
        rows = [delivery.row for delivery in deliveries]
        self._count("delivered", rows, mailbox.delivered(rows, now))
        asked = [delivery for delivery in deliveries if delivery.result is not HandlerResult.NOTHING_TO_DO]
        names = {name for delivery in asked for name in delivery.circuits}
        probing = {name for delivery in asked for name in delivery.passage.probing}
        circuit.record(sorted(names), None, now, probing=sorted(probing))
        for delivery in deliveries:
            if delivery.result is HandlerResult.NOTHING_TO_DO:
                circuit.record_nothing(delivery.passage.probing, now)

    def _fail(self, delivery: Delivery, now: dt.datetime) -> bool:
        """Write down a failure. Returns whether it is about more than this row."""
        error = delivery.error
        assert error is not None
        if isinstance(error, SharedProblem):
            error = _own_problem(delivery, error)
        hold = circuit.record(delivery.circuits, error, now, probing=delivery.passage.probing)
        row = delivery.row
        if isinstance(error, ClaimLostError):
            self._count("lost", [row], 0)
        elif isinstance(error, SharedProblem) and hold:
            self._rest(row, error, hold, now)
        elif isinstance(error, Permanent):
            self._dead_letter(row, str(error), now)
        elif isinstance(error, Waiting):
            due_at = now + dt.timedelta(seconds=error.retry_after or config.delivery["max_delay"])
            self._reschedule_uncounted(row, error, due_at, failing_since=None)
        elif isinstance(error, Retryable) and (error.circuit or isinstance(error, RateLimited)):
            self._wait_for_other_side(row, error, hold, now)
        elif row.attempts >= config.delivery["max_attempts"]:
            reason = GIVEN_UP.format(attempts=row.attempts, reason=storable_message(error))
            self._dead_letter(row, reason, now)
        else:
            self._reschedule(row, error, now)
        return circuit.is_about_many(error)

    def _dead_letter(self, row: OutboxMessage, reason: str, now: dt.datetime) -> None:
        self._count("dead", [row], mailbox.dead_letter(row, now, error=reason))
        log.error("Outbox row %s is a dead letter: %s", row, reason)

    def _reschedule(self, row: OutboxMessage, error: Exception, now: dt.datetime) -> None:
        seconds = next_delay(
            row.attempts,
            base=config.delivery["base_delay"],
            cap=config.delivery["max_delay"],
            retry_after=error.retry_after if isinstance(error, Retryable) else None,
        )
        due_at = now + dt.timedelta(seconds=seconds)
        message = storable_message(error)
        self._count("rescheduled", [row], mailbox.reschedule(row, due_at=due_at, error=message))
        self.result.note_due(due_at)
        log.info("Outbox row %s is tried again at %s: %s", row, due_at, message)

    def _reschedule_uncounted(
        self, row: OutboxMessage, error: Retryable | SharedProblem, due_at: dt.datetime, **changes: Any
    ) -> None:
        """Reschedule a row without counting the attempt."""
        written = mailbox.reschedule_uncounted(row, due_at=due_at, error=storable_message(error), **changes)
        self._count("rescheduled", [row], written)
        self.result.note_due(due_at)
        log.info("Outbox row %s waits until %s: %s", row, due_at, error)

    def _rest(self, row: OutboxMessage, error: SharedProblem, hold: Hold, now: dt.datetime) -> None:
        """
        Let a row rest for a problem of many. It comes after the others: one of them is to find out about the problem.
        """
        changes = {"postponed_for": hold.circuit, "met_problem": True, "failing_since": None}
        self._reschedule_uncounted(row, error, hold.until + mailbox.AFTER_OTHERS, **changes)

    def _wait_for_other_side(self, row: OutboxMessage, error: Retryable, hold: Hold | None, now: dt.datetime) -> None:
        """
        Reschedule a row that tells something about the other side only; give it up when that has lasted for days.
        """
        if isinstance(error, RateLimited):
            began = None  # it is not down
        else:
            began = row.failing_since or now
            if _is_too_long(began, hold, now):
                self._give_up(row, error, hold, now)
                return
        if hold:
            due_at = hold.until if isinstance(error, RateLimited) else hold.until + mailbox.AFTER_OTHERS
            self._reschedule_uncounted(row, error, due_at, postponed_for=hold.circuit, failing_since=began)
            return
        seconds = delay_by_age(
            (now - (began or now)).total_seconds(),
            base=config.delivery["base_delay"],
            cap=config.delivery["max_delay"],
            retry_after=error.retry_after,
        )
        self._reschedule_uncounted(row, error, now + dt.timedelta(seconds=seconds), failing_since=began)

    def _give_up(self, row: OutboxMessage, error: Retryable, hold: Hold | None, now: dt.datetime) -> None:
        """Make a dead letter of a row, and of those that have been postponed for its circuit for as long."""
        days = config.delivery["give_up_days"]
        reason = DOWN_TOO_LONG.format(days=days, reason=storable_message(error))
        self._dead_letter(row, reason, now)
        if hold:
            self.given_up[hold.circuit] = reason
            since = now - dt.timedelta(days=days)
            others = mailbox.give_up_postponed(hold.circuit, failing_since=since, now=now, error=reason)
            self.result.dead += others
            if others:
                log.error("%d more outbox rows of %s are dead letters: %s", others, hold.circuit, reason)

    def _count(self, outcome: str, rows: Sequence[OutboxMessage], written: int) -> None:
        """Count outcomes; those that could not be written, because the lease ended meanwhile, count as lost."""
        setattr(self.result, outcome, getattr(self.result, outcome) + written)
        if lost := len(rows) - written:
            self.result.lost += lost
            named = ", ".join(str(row) for row in rows)
            log.warning("%d of the outbox rows %s: the lease ended before; another worker delivers it.", lost, named)


def _own_problem(delivery: Delivery, error: SharedProblem) -> Exception:
    """
    Return the error, but not as a shared problem when it is one of this row alone.

    The row was refused before, and since then another row of the circuit got through.
    """
    row, blamed = delivery.row, error.circuit or next(iter(delivery.circuits), None)
    was_refused = row.met_problem and row.postponed_for == blamed
    if blamed is None or (was_refused and blamed not in delivery.passage.probing):
        return Permanent(str(error))
    return error


def _is_too_long(began: dt.datetime, hold: Hold | None, now: dt.datetime) -> bool:
    """Return whether the other side has been down for the days that the settings allow."""
    days = config.delivery["give_up_days"]
    # The row may have seen an earlier outage. Then the days count from the beginning of this one.
    since = max(began, hold.since) if hold and hold.since else began
    return days is not None and now - since >= dt.timedelta(days=days)
