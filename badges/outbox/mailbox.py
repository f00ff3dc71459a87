"""
The mailbox: write down what must happen outside, claim what is due, say what became of it.

A claim is a lease that is committed before anybody is spoken to, and only its holder can finish the row: a worker that
was presumed dead and is not finds its rows taken. Rows with the same channel and key are handed out in the order they
were written, one at a time.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from uuid6 import uuid7

from badges.inserts import insert
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.outbox.worker_notifications import DELIVER, notify_worker_on_commit

__all__ = [
    "NewMessage",
    "begin",
    "claim",
    "dead_letter",
    "delivered",
    "extend_hold",
    "forget_delivered",
    "notify_worker_on_commit",
    "post",
    "release",
    "release_circuit",
    "requeue",
    "reschedule",
]

ERROR_LENGTH = OutboxMessage._meta.get_field("last_error").max_length or 500

# Before every due time; `> BEGINNING` is "not null" in words that every planner uses an index for.
BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# Other workers look at the same rows at the same time: seeing more than we take leaves some for each.
SIGHT = 4

# When others took all that we saw, we look again this often, and then leave the field to them.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class NewMessage:
    """
    Something that must happen outside.

    ``channel`` says who delivers it (entry point ``badges.channels``), ``key`` in whose order it stands (the learner),
    ``type`` what happened. ``payload`` holds ids and slugs only; words and a person's data are looked up at delivery.
    """

    channel: str
    key: str
    type: str
    payload: Mapping[str, Any]
    due_at: dt.datetime | None = None


def post(messages: Iterable[NewMessage], *, now: dt.datetime | None = None) -> None:
    """Write messages in the order given: one INSERT, in the caller's transaction, and one wake-up when that commits."""
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "post() belongs into the transaction of the decision that demands it; wrap both in transaction.atomic()."
        )
    now = now or timezone.now()
    rows = [_row_of(message, now) for message in messages]
    if rows:
        insert(rows)
        notify_worker_on_commit(DELIVER)


def claim(limit: int, now: dt.datetime, *, lease: float) -> list[OutboxMessage]:
    """
    Claim up to ``limit`` due rows for ``lease`` seconds, oldest first; committed when this returns.

    At most one row of each (channel, key), and none while an earlier one of it is unfinished: claimed, or waiting for
    its next try. Must not be called in a transaction. An empty list: there is nothing, or others are at it.
    """
    for _round in range(ROUNDS):
        candidates = _heads(now, limit * SIGHT)
        rows = _take(candidates, limit, now, now + dt.timedelta(seconds=lease)) if candidates else []
        if rows or not candidates:
            return rows
    return []


def begin(row: OutboxMessage, now: dt.datetime, *, lease: float) -> bool:
    """
    Count an attempt and renew the lease, right before the row is tried; False when the claim is lost.

    The attempt is counted before and not after, so that a row that kills its workers does not do so for ever.
    """
    until = now + dt.timedelta(seconds=lease)
    ours = _ours(row).update(attempts=F("attempts") + 1, due_at=until, held_for="")
    if ours:
        row.attempts += 1
        row.due_at = until
    return bool(ours)


def delivered(row: OutboxMessage, now: dt.datetime) -> bool:
    """It happened. False when the claim was lost meanwhile, as for all verbs that finish."""
    return _finish(row, state=OutboxState.DELIVERED, due_at=None, finished_at=now, last_error="")


def reschedule(row: OutboxMessage, *, due_at: dt.datetime, error: str) -> bool:
    """It did not happen; try again at ``due_at``."""
    return _finish(row, due_at=due_at, last_error=error[:ERROR_LENGTH])


def dead_letter(row: OutboxMessage, now: dt.datetime, *, error: str) -> bool:
    """It will not happen unless an operator does what ``error`` says: a dead letter."""
    return _finish(row, state=OutboxState.DEAD, due_at=None, finished_at=now, last_error=error[:ERROR_LENGTH])


def release(rows: Iterable[OutboxMessage], *, due_at: dt.datetime, held_for: str = "") -> int:
    """
    Give claimed rows back untried; they are due again at ``due_at``, or once the circuit ``held_for`` closes.

    Returns how many were still ours.
    """
    rows = list(rows)
    if not rows:
        return 0
    ours = OutboxMessage.objects.filter(pk__in=[row.pk for row in rows], claim__in={row.claim for row in rows})
    return ours.update(claim=None, due_at=due_at, held_for=held_for)


def extend_hold(held_for: str, *, until: dt.datetime) -> int:
    """
    Let all rows that rest for a circuit do so until then, if it still does: one statement, however many there are.

    Returns how many.
    """
    still_open = Circuit.objects.filter(name=held_for, open_until=until)
    resting = OutboxMessage.objects.filter(Exists(still_open), held_for=held_for, due_at__gt=BEGINNING, claim=None)
    return resting.exclude(due_at=until).update(due_at=until)


def release_circuit(held_for: str, *, now: dt.datetime, limit: int | None = None) -> int:
    """Let rows that rest for somebody be due now: all of them, or the first few. Returns how many."""
    resting = OutboxMessage.objects.filter(held_for=held_for, due_at__gt=now, claim=None)
    if limit is not None:
        first = list(resting.order_by("due_at").values_list("pk", flat=True)[:limit])
        resting = resting.filter(pk__in=first)
    return resting.update(due_at=now)


def requeue(rows: QuerySet[OutboxMessage], *, now: dt.datetime) -> int:
    """Let dead letters be tried again as if for the first time, and wake a worker; returns how many."""
    dead = rows.order_by().filter(state=OutboxState.DEAD)
    requeued = dead.update(state=OutboxState.PENDING, due_at=now, attempts=0, finished_at=None)
    if requeued:
        notify_worker_on_commit(DELIVER)
    return requeued


def forget_delivered(*, before: dt.datetime, limit: int) -> int:
    """Delete up to ``limit`` rows that were delivered before a time; returns how many. Dead letters stay."""
    old = OutboxMessage.objects.filter(state=OutboxState.DELIVERED, created_at__lt=before, finished_at__lt=before)
    found = list(old.order_by("created_at").values_list("pk", flat=True)[:limit])
    return OutboxMessage.objects.filter(pk__in=found).delete()[0] if found else 0


def undelivered(channel: str) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a channel's rows that were not delivered, oldest first."""
    rows = OutboxMessage.objects.filter(channel=channel).exclude(state=OutboxState.DELIVERED).order_by("sequence")
    for row in rows.iterator(chunk_size=1000):
        yield row.read()


def next_due_at() -> dt.datetime | None:
    """When the next row that waits is due; None when none waits."""
    waiting = OutboxMessage.objects.filter(due_at__gt=BEGINNING).order_by("due_at")
    return waiting.values_list("due_at", flat=True).first()


# --- private -----------------------------------------------------------------------------------------------------


def _row_of(message: NewMessage, now: dt.datetime) -> OutboxMessage:
    return OutboxMessage(
        id=uuid7(),
        channel=message.channel,
        key=message.key,
        type=message.type,
        payload=json.dumps(message.payload, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        due_at=message.due_at or now,
        created_at=now,
    )


def _heads(now: dt.datetime, limit: int) -> list[int]:
    """
    Return due rows that stand first of their channel and key.

    A plain read, not a locking one, so that the rows and what stands before them are seen in one snapshot: InnoDB's
    locking reads see newer rows than their subqueries do, and would let the second row overtake the first.
    """
    earlier = OutboxMessage.objects.filter(
        channel=OuterRef("channel"), key=OuterRef("key"), due_at__gt=BEGINNING, sequence__lt=OuterRef("sequence")
    )
    due = OutboxMessage.objects.filter(~Exists(earlier), due_at__lte=now).order_by("due_at", "sequence")
    return list(due.values_list("sequence", flat=True)[:limit])


def _take(candidates: list[int], limit: int, now: dt.datetime, until: dt.datetime) -> list[OutboxMessage]:
    """Write our claim on rows that nobody else has taken since they were seen."""
    claim = uuid.uuid4()
    with transaction.atomic(durable=True):
        if not connection.features.has_select_for_update_skip_locked:
            # SQLite: one writer at a time, and the first statement is the write.
            free = OutboxMessage.objects.filter(sequence__in=candidates[:limit], due_at__lte=now)
            free.update(claim=claim, due_at=until)
            return list(OutboxMessage.objects.filter(sequence__in=candidates, claim=claim).order_by("sequence"))
        # By primary key alone, so that InnoDB locks these rows and no gap of an index that others insert into.
        seen = OutboxMessage.objects.select_for_update(skip_locked=True).filter(sequence__in=candidates)
        rows = [row for row in seen.order_by("sequence")[:limit] if row.due_at is not None and row.due_at <= now]
        if rows:
            taken = OutboxMessage.objects.filter(sequence__in=[row.sequence for row in rows])
            taken.update(claim=claim, due_at=until)
    for row in rows:
        row.claim, row.due_at = claim, until
    return rows


def _ours(row: OutboxMessage) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(pk=row.pk, claim=row.claim, state=OutboxState.PENDING)


def _finish(row: OutboxMessage, **values: Any) -> bool:
    return bool(_ours(row).update(claim=None, **values))
