"""
The outbox: write down what must happen outside, claim what is due, write down what became of it.

A claim is a lease (``common.claims``). Rows with the same channel and key are claimed in the order in which they were
written, one at a time. What a worker calls is repeated while the database has a transient error.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Case, DateTimeField, Exists, F, OuterRef, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone
from uuid6 import uuid7

from badges.common.claims import Claims
from badges.database import retried_when_transient
from badges.inserts import insert, new_row
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from badges.outbox.worker_notifications import DELIVER, notify_worker_on_commit

__all__ = [
    "NewMessage",
    "begin",
    "claim",
    "clear_reasons",
    "close",
    "dead_letter",
    "delete_delivered",
    "delivered",
    "give_up",
    "give_up_postponed",
    "notify_worker_on_commit",
    "post",
    "postpone",
    "postpone_circuit",
    "postpone_due",
    "release",
    "release_circuit",
    "renew",
    "requeue",
    "reschedule",
    "reschedule_uncounted",
    "try_now",
]

ERROR_LENGTH = OutboxMessage._meta.get_field("last_error").max_length or 500

# Before every due time. `> BEGINNING` means "not null", and every planner uses an index for it.
BEGINNING = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

# Rows that failed themselves are due later than those that were postponed with them, so that one of these probes.
AFTER_OTHERS = dt.timedelta(seconds=1)

# A claim does not count as an attempt. ``begin`` counts it row by row, so that a row that kills its worker costs no
# other row an attempt.
_claims = Claims(OutboxMessage, unfinished=Q(state=OutboxState.PENDING))


@dataclass(frozen=True, slots=True)
class NewMessage:
    """
    Something that must happen outside.

    ``channel`` says who delivers it (entry point ``badges.channels``). Messages with the same channel and ``key``, the
    learner, are delivered in their order. ``type`` says what happened. ``payload`` holds ids and slugs only; names and
    other personal data are looked up at delivery. ``due_at`` is when it is first tried, now by default.
    """

    channel: str
    key: str
    type: str
    payload: Mapping[str, Any]
    due_at: dt.datetime | None = None


def post(messages: Iterable[NewMessage], *, now: dt.datetime | None = None) -> None:
    """
    Write messages in the order given, in the caller's transaction, and notify a worker when that commits.

    One INSERT, however many messages there are. Raises TransactionManagementError outside of a transaction.
    """
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError(
            "post() belongs in the transaction of the decision that demands it; wrap both in transaction.atomic()."
        )
    now = now or timezone.now()
    rows = [_row_of(message, now) for message in messages]
    if rows:
        insert(rows)
        notify_worker_on_commit(DELIVER)


@retried_when_transient
def claim(limit: int, now: dt.datetime, *, lease: float) -> list[OutboxMessage]:
    """
    Claim up to ``limit`` due rows for ``lease`` seconds, oldest first; committed when this returns.

    At most one row of each (channel, key), and none while an earlier one of it is unfinished: claimed, or waiting for
    its next attempt. Must not be called in a transaction. Empty: there is nothing, or other workers are at it. A row
    whose worker did not finish it has ``was_left_behind``.
    """
    return _claims.claim(_first_of_each_key(now), limit=limit, now=now, lease=lease)


@retried_when_transient
def begin(rows: Sequence[OutboxMessage], now: dt.datetime, *, lease: float) -> list[OutboxMessage]:
    """
    Count an attempt and renew the lease, right before rows are tried; return those whose claim is lost.

    The attempt is counted before and not after, so that a row that kills its workers does not do so for ever.
    """
    changes: dict[str, Any] = {"attempts": F("attempts") + 1, "postponed_for": ""}
    lost = _lost(rows, _claims.renew(rows, now=now, lease=lease, **changes))
    for row in rows:
        row.attempts += row not in lost
    return lost


@retried_when_transient
def renew(rows: Sequence[OutboxMessage], now: dt.datetime, *, lease: float) -> list[OutboxMessage]:
    """Let the lease of rows begin again that take long; return those whose claim is lost."""
    return _lost(rows, _claims.renew(rows, now=now, lease=lease))


@retried_when_transient
def delivered(rows: Sequence[OutboxMessage], now: dt.datetime) -> int:
    """Finish rows: it happened. Returns how many were still claimed, as all verbs that finish."""
    return _claims.finish(rows, state=OutboxState.DELIVERED, finished_at=now, last_error="")


@retried_when_transient
def reschedule(row: OutboxMessage, *, due_at: dt.datetime, error: str) -> bool:
    """Give a row back that failed: it is tried again at ``due_at``. False when the claim was lost."""
    return bool(_claims.reschedule([row], due_at=due_at, last_error=error[:ERROR_LENGTH]))


@retried_when_transient
def reschedule_uncounted(row: OutboxMessage, *, due_at: dt.datetime, error: str, **changes: Any) -> bool:
    """
    Give a row back that waits for something: as ``reschedule``, but the attempt does not count.

    ``changes`` are written to ``postponed_for``, ``failing_since`` or ``met_problem``.
    """
    uncounted = F("attempts") - 1
    return bool(
        _claims.reschedule([row], due_at=due_at, last_error=error[:ERROR_LENGTH], attempts=uncounted, **changes)
    )


@retried_when_transient
def dead_letter(row: OutboxMessage, now: dt.datetime, *, error: str) -> bool:
    """Finish a row that fails until an operator does what ``error`` says. False when the claim was lost."""
    return bool(_claims.finish([row], state=OutboxState.DEAD, finished_at=now, last_error=error[:ERROR_LENGTH]))


@retried_when_transient
def release(rows: Sequence[OutboxMessage], *, due_at: dt.datetime, postponed_for: str = "") -> int:
    """
    Give claimed rows back untried; they are due again at ``due_at``, or once the circuit ``postponed_for`` closes.

    Returns how many were still claimed.
    """
    return _claims.release(rows, due_at=due_at, postponed_for=postponed_for)


@retried_when_transient
def postpone(
    rows: Sequence[OutboxMessage], circuit: str, *, until: dt.datetime, failing_since: dt.datetime | None = None
) -> int:
    """
    Give rows back untried because their circuit is open; they are due when it closes, at ``until`` at the latest.

    ``failing_since``: since when the other side is down for these rows, unless that is known already; None: it is not
    down. Returns how many were still claimed.
    """
    since = failing_since and Coalesce("failing_since", Value(failing_since), output_field=DateTimeField())
    return _claims.release(rows, due_at=until, postponed_for=circuit, failing_since=since)


@retried_when_transient
def postpone_due(circuit: str, *, now: dt.datetime, times: Sequence[dt.datetime], size: int) -> int:
    """
    Spread the rows that are postponed for a circuit, and would be due now, over ``times``; return how many.

    ``size`` rows are due at each time, and all that are left at the last one.
    """
    postponed = OutboxMessage.objects.filter(postponed_for=circuit, due_at__lte=now, claim=None)
    first = list(postponed.order_by("due_at", "sequence").values_list("pk", flat=True)[: size * (len(times) - 1)])
    changed = 0
    for number, due_at in enumerate(times[:-1]):
        if chunk := first[number * size : (number + 1) * size]:
            changed += postponed.filter(pk__in=chunk).update(due_at=due_at)
    return changed + postponed.update(due_at=times[-1])


@retried_when_transient
def postpone_circuit(circuit: str, *, until: dt.datetime) -> int:
    """
    Let all rows that are postponed for a circuit be postponed until then, if the circuit still is open until then.

    Those that failed themselves come a moment later.

    One statement, however many rows there are. Returns how many.
    """
    still_open = Circuit.objects.filter(name=circuit, open_until=until)
    postponed = OutboxMessage.objects.filter(
        Exists(still_open), postponed_for=circuit, due_at__gt=BEGINNING, claim=None
    )
    later = until + AFTER_OTHERS
    due_at = Case(When(last_error="", then=Value(until)), default=Value(later), output_field=DateTimeField())
    return postponed.exclude(due_at__in=[until, later]).update(due_at=due_at)


@retried_when_transient
def release_circuit(circuit: str, *, now: dt.datetime, limit: int | None = None) -> int:
    """Let rows that are postponed for a circuit be due now: all of them, or the first few. Returns how many."""
    postponed = OutboxMessage.objects.filter(postponed_for=circuit, due_at__gt=now, claim=None)
    if limit is not None:
        first = list(postponed.order_by("due_at", "sequence").values_list("pk", flat=True)[:limit])
        postponed = postponed.filter(pk__in=first)
    return postponed.update(due_at=now)


@retried_when_transient
def give_up_postponed(circuit: str, *, failing_since: dt.datetime, now: dt.datetime, error: str) -> int:
    """
    Make dead letters of the rows that are postponed for a circuit since before ``failing_since``; returns how many.

    One statement, however many rows there are.
    """
    old = OutboxMessage.objects.filter(
        postponed_for=circuit, due_at__gt=BEGINNING, claim=None, failing_since__lte=failing_since
    )
    return old.update(state=OutboxState.DEAD, due_at=None, finished_at=now, last_error=error[:ERROR_LENGTH])


def requeue(rows: QuerySet[OutboxMessage], *, now: dt.datetime) -> int:
    """Let dead letters be tried again as if for the first time, and notify a worker; returns how many."""
    dead = rows.order_by().filter(state=OutboxState.DEAD)
    requeued = dead.update(state=OutboxState.PENDING, due_at=now, finished_at=None, **_ANEW)
    if requeued:
        notify_worker_on_commit(DELIVER)
    return requeued


def try_now(rows: QuerySet[OutboxMessage], *, now: dt.datetime) -> int:
    """
    Let waiting rows be due now, as if for the first time, and notify a worker; returns how many.

    Rows that a worker has at the moment are left to it.
    """
    waiting = rows.order_by().filter(state=OutboxState.PENDING, claim=None)
    due = waiting.update(due_at=now, **_ANEW)
    if due:
        notify_worker_on_commit(DELIVER)
    return due


def give_up(rows: QuerySet[OutboxMessage], *, now: dt.datetime, error: str) -> int:
    """Make dead letters of waiting rows that no worker has at the moment; returns how many. For an operator."""
    waiting = rows.order_by().filter(state=OutboxState.PENDING, claim=None)
    return waiting.update(state=OutboxState.DEAD, due_at=None, finished_at=now, last_error=error[:ERROR_LENGTH])


def close(rows: QuerySet[OutboxMessage], *, now: dt.datetime, reason: str) -> int:
    """Close dead letters for good, so that nobody looks at them again; returns how many. For an operator."""
    dead = rows.order_by().filter(state=OutboxState.DEAD)
    return dead.update(state=OutboxState.CLOSED, finished_at=now, closing_reason=reason[:ERROR_LENGTH])


def clear_reasons(keys: Collection[str], *, given_up: str) -> int:
    """
    Remove what operators wrote about rows of these keys; returns how many rows.

    ``given_up`` is the error of a row that was given up, without a reason.
    """
    with_reasons = [OutboxState.PENDING, OutboxState.DEAD, OutboxState.CLOSED]  # a delivered row has no reason
    rows = OutboxMessage.objects.filter(key__in=keys, state__in=with_reasons)
    closed = rows.exclude(closing_reason="").update(closing_reason="")
    by_hand = rows.filter(last_error__startswith=given_up.rstrip()).exclude(last_error=given_up.rstrip())
    return closed + by_hand.update(last_error=given_up.rstrip())


def delete_delivered(*, before: dt.datetime, limit: int) -> int:
    """Delete up to ``limit`` rows that were delivered or closed before a time; returns how many. Dead letters stay."""
    finished = [OutboxState.DELIVERED, OutboxState.CLOSED]
    old = OutboxMessage.objects.filter(state__in=finished, created_at__lt=before, finished_at__lt=before)
    found = list(old.order_by("created_at").values_list("pk", flat=True)[:limit])
    return OutboxMessage.objects.filter(pk__in=found).delete()[0] if found else 0


def undelivered(channel: str) -> Iterator[dict[str, Any]]:
    """Yield the payloads of a channel's rows that were neither delivered nor closed, oldest first."""
    finished = [OutboxState.DELIVERED, OutboxState.CLOSED]
    rows = OutboxMessage.objects.filter(channel=channel).exclude(state__in=finished).order_by("sequence")
    for row in rows.iterator(chunk_size=1000):
        yield row.read()


def next_due_at() -> dt.datetime | None:
    """When the next row that waits is due; None when none waits."""
    waiting = OutboxMessage.objects.filter(due_at__gt=BEGINNING).order_by("due_at")
    return waiting.values_list("due_at", flat=True).first()


# A row that a person lets be tried again begins as a new one does.
_ANEW = {"attempts": 0, "failing_since": None, "met_problem": False}


# --- private -----------------------------------------------------------------------------------------------------


def _lost(rows: Sequence[OutboxMessage], renewed: int) -> list[OutboxMessage]:
    """Return the rows whose claim is lost, after so many were renewed."""
    if renewed == len(rows):
        return []
    held = set(_claims.still_claimed(rows).values_list("pk", flat=True))
    return [row for row in rows if row.pk not in held]


def _row_of(message: NewMessage, now: dt.datetime) -> OutboxMessage:
    return new_row(
        OutboxMessage,
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
