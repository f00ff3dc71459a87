"""
The mailbox: write down what must happen outside, claim what is due, say what became of it.

A claim is a lease that is committed before anybody is spoken to, and only its holder can finish the row: a worker that
was presumed dead and is not finds its rows taken. Rows with the same channel and key are handed out in the order they
were written, one at a time.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.utils import timezone
from uuid6 import uuid7

from badges.common.claims import Claims
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

# A claim does not count as an attempt. ``begin`` counts it row by row, so that a row that kills its worker costs no
# other row an attempt.
_claims = Claims(OutboxMessage, unfinished=Q(state=OutboxState.PENDING))


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
    its next attempt. Must not be called in a transaction. Empty: there is nothing, or other workers are at it.
    """
    return _claims.claim(_first_of_each_key(now), limit=limit, now=now, lease=lease)


def begin(row: OutboxMessage, now: dt.datetime, *, lease: float) -> bool:
    """
    Count an attempt and renew the lease, right before the row is tried; False when the claim is lost.

    The attempt is counted before and not after, so that a row that kills its workers does not do so for ever.
    """
    if not _claims.renew([row], now=now, lease=lease, attempts=F("attempts") + 1, held_for=""):
        return False
    row.attempts += 1
    return True


def delivered(row: OutboxMessage, now: dt.datetime) -> bool:
    """Finish a row: it happened. False when the claim was lost meanwhile, as for all verbs that finish."""
    return bool(_claims.finish([row], state=OutboxState.DELIVERED, finished_at=now, last_error=""))


def reschedule(row: OutboxMessage, *, due_at: dt.datetime, error: str) -> bool:
    """Give a row back that failed: it is tried again at ``due_at``. False when the claim was lost."""
    return bool(_claims.reschedule([row], due_at=due_at, last_error=error[:ERROR_LENGTH]))


def dead_letter(row: OutboxMessage, now: dt.datetime, *, error: str) -> bool:
    """Finish a row that fails until an operator does what ``error`` says. False when the claim was lost."""
    return bool(_claims.finish([row], state=OutboxState.DEAD, finished_at=now, last_error=error[:ERROR_LENGTH]))


def release(rows: Sequence[OutboxMessage], *, due_at: dt.datetime, held_for: str = "") -> int:
    """
    Give claimed rows back untried; they are due again at ``due_at``, or once the circuit ``held_for`` closes.

    Returns how many were still claimed.
    """
    return _claims.release(rows, due_at=due_at, held_for=held_for)


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


def _first_of_each_key(now: dt.datetime) -> QuerySet[OutboxMessage]:
    """
    Return the query for due rows that stand first of their channel and key, oldest first.

    To be read without a lock, so that the rows and what stands before them are seen in one snapshot: InnoDB's locking
    reads see newer rows than their subqueries do, and would let the second row overtake the first.
    """
    earlier = OutboxMessage.objects.filter(
        channel=OuterRef("channel"), key=OuterRef("key"), due_at__gt=BEGINNING, sequence__lt=OuterRef("sequence")
    )
    return OutboxMessage.objects.filter(~Exists(earlier), due_at__lte=now).order_by("due_at", "sequence")
