"""
Delivery: carries out the rows of the outbox: calls a provider, sends an event or a mail.

Claim rows, ask whether the other side is up, let the channels deliver them, write down what became of each. Nothing
here knows what a channel does. No transaction is open while something outside is asked, and the claim was committed
before. So a worker that dies in the middle leaves rows whose lease ends.

Rows whose channel delivers in steps (``outbox.steps``) are delivered several at a time: their requests run in threads.
Everything that uses the database runs in the worker's own thread, for many rows together. All other rows are delivered
one by one.
"""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from django.db.models import QuerySet
from django.utils import timezone

from badges.common.claims import ClaimLostError
from badges.conf import config
from badges.delivery.deliveries import Delivery, find_circuits
from badges.delivery.outcomes import INTERRUPTED, DeliveryResult, Outcomes
from badges.delivery.threads import Threads
from badges.exceptions import Permanent
from badges.outbox import circuit, mailbox
from badges.outbox.circuit import Hold
from badges.outbox.models import OutboxMessage
from badges.outbox.worker_notifications import notify_worker_on_commit

__all__ = ["DeliveryResult", "clear_reasons", "close", "drain", "give_up", "probe_now", "requeue", "try_now"]

# What an operator does is told in the reason of a dead letter, too.
BY_HAND = "Given up by hand; retry it when it is to be delivered after all, or close it. {reason}"

# The longest wait for an answer before the worker looks whether it should stop.
WAIT_SECONDS = 1.0


def drain(
    *,
    now: dt.datetime | None = None,
    limit: int | None = None,
    seconds: float | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> DeliveryResult:
    """
    Deliver what is due, until nothing is, or ``limit`` rows were seen, or ``seconds`` have passed.

    ``should_stop`` is asked between rows. Rows that were claimed and not begun are then released, and those that have
    begun are finished. With ``now``, every row is handled as if it were that time. Must not be called in a transaction.
    """
    ends_at = None if seconds is None else time.monotonic() + seconds

    def enough() -> bool:
        return should_stop() or (ends_at is not None and time.monotonic() > ends_at)

    with Threads(config.delivery["parallel"]) as threads:
        return _Worker(threads, enough, now=now, limit=limit).work()


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


def clear_reasons(keys: Collection[str]) -> int:
    """Remove what operators wrote about the rows of these keys, because their person leaves; returns how many rows."""
    return mailbox.clear_reasons(keys, given_up=BY_HAND.format(reason=""))


class _Worker:
    """
    One call of ``drain``.

    ``_claimed`` are the deliveries of claimed rows that have not begun. Those that have begun are in ``_threads``.
    """

    def __init__(
        self, threads: Threads, enough: Callable[[], bool], *, now: dt.datetime | None, limit: int | None
    ) -> None:
        self._threads = threads
        self._enough = enough
        self._now = now
        self._limit = limit
        self._claimed: list[Delivery] = []
        self._outcomes = Outcomes(DeliveryResult(more=True))
        self._lease = config.delivery["lease_seconds"]
        self._renew_at = time.monotonic() + self._lease / 3

    def work(self) -> DeliveryResult:
        """Deliver until there is nothing to do, or it is enough."""
        while True:
            if self._enough():
                self._release()
            else:
                self._claim()
            # What has finished is written down, and what was answered goes on, before more begins.
            while self._claimed and not self._enough() and not self._threads.needs_attention:
                if not (group := self._next_group()):
                    break
                self._begin(group)
                self._renew()
            answers = self._threads.wait(WAIT_SECONDS)
            self._renew()
            self._threads.go_on(answers)
            if finished := self._threads.take_finished():
                failed = self._outcomes.conclude(finished, _at(self._now))
                self._threads.adapt({delivery.row.channel for delivery in finished}, failed=failed)
            if not self._claimed and not self._threads.running and self._is_done():
                return self._outcomes.result

    def _is_done(self) -> bool:
        return not self._outcomes.result.more or self._enough() or not self._wanted()

    def _wanted(self) -> int:
        """Return how many rows may be claimed."""
        size: int = config.delivery["batch_size"]
        if self._limit is None:
            return size
        begun = self._outcomes.result.seen + len(self._threads.running) + len(self._claimed)
        return max(0, min(size, self._limit - begun))

    def _claim(self) -> None:
        """Claim rows when there is room for more than have been claimed."""
        room = self._threads.room
        if room < self._threads.enough or len(self._claimed) >= room or not self._wanted():
            return
        rows = mailbox.claim(self._wanted(), _at(self._now), lease=self._lease)
        self._claimed.extend(Delivery.of(row) for row in sorted(rows, key=_turn))
        # What is claimed or runs now may hold back later rows of the same keys.
        self._outcomes.result.more = bool(self._claimed or self._threads.running)

    def _release(self) -> None:
        """Give claimed rows back that have not begun."""
        if self._claimed:
            mailbox.release([delivery.row for delivery in self._claimed], due_at=_at(self._now))
            self._claimed.clear()

    def _next_group(self) -> list[Delivery]:
        """
        Take the deliveries that begin now: as many in steps as there is room for, or else one that is a call.

        A row that another worker did not finish begins last, and alone: it may be what killed that worker.
        """
        if any(delivery.row.was_left_behind for delivery in self._threads.running):
            return []
        others = [delivery for delivery in self._claimed if not delivery.row.was_left_behind]
        group = self._threads.choose([delivery for delivery in others if delivery.steps is not None])
        if not group:
            group = [delivery for delivery in others if delivery.steps is None][:1]
        if not others and not self._threads.running:
            group = self._claimed[:1]
        self._claimed = [delivery for delivery in self._claimed if delivery not in group]
        return group

    def _begin(self, deliveries: Sequence[Delivery]) -> None:
        """Begin deliveries, unless one of their circuits is open."""
        now = _at(self._now)
        find_circuits(deliveries)
        passages = circuit.all_may_pass([delivery.circuits for delivery in deliveries], now)
        for delivery, passage in zip(deliveries, passages, strict=True):
            delivery.passage = passage
        held = [(delivery, delivery.passage.hold) for delivery in deliveries if delivery.passage.hold]
        self._outcomes.postpone([*held, *self._also_held({hold.circuit: hold for _delivery, hold in held})], now)
        going = [delivery for delivery in deliveries if not delivery.passage.hold]
        most = config.delivery["max_attempts"]
        for delivery in going:
            if delivery.row.attempts >= most:
                delivery.error = Permanent(INTERRUPTED)
        tried = [delivery for delivery in going if delivery.row.attempts < most]
        lost = mailbox.begin([delivery.row for delivery in tried], now, lease=self._lease)
        for delivery in tried:
            if delivery.row in lost:
                delivery.error = ClaimLostError()
        self._threads.start([each for each in going if each.error is None and each.steps is not None])
        for delivery in going:
            if delivery.error is not None or delivery.steps is None:
                delivery.call()
                self._outcomes.conclude([delivery], _at(self._now))

    def _also_held(self, holds: Mapping[str, Hold]) -> list[tuple[Delivery, Hold]]:
        """Take the claimed deliveries of the same circuits, so that they are not looked at one by one."""
        if not holds:
            return []
        find_circuits(self._claimed)
        held = {each: holds[name] for each in self._claimed for name in each.circuits if name in holds}
        self._claimed = [delivery for delivery in self._claimed if delivery not in held]
        return list(held.items())

    def _renew(self) -> None:
        """Let the leases begin again from time to time, so that no other worker takes the rows."""
        if time.monotonic() < self._renew_at:
            return
        self._renew_at = time.monotonic() + self._lease / 3
        deliveries = [*self._claimed, *self._threads.running]
        lost = mailbox.renew([delivery.row for delivery in deliveries], _at(self._now), lease=self._lease)
        for delivery in deliveries:
            delivery.is_lost = delivery.is_lost or delivery.row in lost


def _turn(row: OutboxMessage) -> tuple[bool, bool, float]:
    """
    Return the sort key by which claimed rows are tried.

    Who was refused for a problem of many comes last, and who failed comes after those who did not: another row is to
    find out whether the circuit may close. Among those who failed it is left to chance, so that a row that always fails
    is not the probe each time.
    """
    failed = bool(row.last_error)
    return row.met_problem, failed, random.random() if failed else 0.0  # noqa: S311


def _at(now: dt.datetime | None) -> dt.datetime:
    return now or timezone.now()
