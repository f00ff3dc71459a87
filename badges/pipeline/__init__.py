"""
The conductor inwards: a batch of events becomes decisions, in one transaction.

Find the learners, ask the rules, apply to progress, award; each step is a room's, and none of them knows the next. A
batch costs the same number of SQL statements whether it holds one event or five hundred and whether there is one
template or ten thousand. What the decisions demand of the outside world is written to the outbox, in the same
transaction.

``deciding`` takes these steps, ``matching`` is the step without a database, and ``batches`` holds what differs between
events of a bus and events that waited. This file is the public interface, and handles decisions that fail.
"""

from __future__ import annotations

import datetime as dt
import logging
import traceback
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, Error, IntegrityError, transaction
from django.utils import timezone

from badges.catalog import snapshot
from badges.common.backoff import next_delay
from badges.conf import config
from badges.database import is_unencodable, retry_transient, statement_bytes
from badges.exceptions import EventError, Retryable
from badges.intake import inbox, payloads
from badges.intake.events import Event, Unreadable
from badges.intake.models import InboxMessage, InboxState
from badges.outbox import mailbox
from badges.outbox.worker_notifications import PROCESS_PENDING
from badges.pipeline.batches import BusBatch, ClaimLostError, EventBatch, InboxBatch
from badges.pipeline.deciding import decide
from badges.pipeline.matching import match_events
from badges.pipeline.results import BatchResult

__all__ = ["BatchResult", "handle", "process_pending", "receive", "warm_up"]

log = logging.getLogger(__name__)
T = TypeVar("T")

# Nobody's fault: the database stays away, or the task's time is over.
TRANSIENT_ERRORS = (Retryable, SoftTimeLimitExceeded)

UNFINISHED = (
    "Given up after {tries} tries, the last of which did not come to its end. Was its worker killed? "
    "Look at its log and its memory, then retry."
)


def warm_up() -> None:
    """Compile the catalog before the first event, so that a process that says it runs has paid for it."""
    retry_transient(snapshot.current)
    retry_transient(statement_bytes)


def handle(batch: Iterable[Event | Unreadable], *, now: dt.datetime | None = None) -> BatchResult:
    """
    Decide a batch; return when all that it changes is committed.

    A batch that hits the database's weather (deadlock, lost connection) is tried again as a whole. One that fails for
    its own reasons is split until the failing event stands alone and goes to retry or dead letter; the others go on.
    Raises Retryable when the database stayed away longer than ``intake.patience``: nothing may be acknowledged then.
    """
    now = now or timezone.now()
    items = list(batch)
    result = BatchResult(seen=len(items))
    unreadable = [item for item in items if isinstance(item, Unreadable)]
    if unreadable:
        result += _dead_letter(unreadable, now)
    events = _first_of_each_id(item for item in items if isinstance(item, Event))
    result.duplicates += len(items) - len(unreadable) - len(events)
    if events:
        result += _settle(events, BusBatch(), now)
    return result


def receive(event: Event, *, now: dt.datetime | None = None) -> bool:
    """
    Write an event down for later, if somebody cares about it; return whether somebody does.

    The door of signal receivers and the REST API. The caller's transaction, if there is one, decides whether it stays.
    """
    now = now or timezone.now()
    matched = match_events([event], snapshot.current(), BatchResult(), keep_unmatched=config.keep_unmatched)
    people = [*matched.people(), *(person for _, person in matched.near_misses)]
    if not people:
        return False
    row = inbox.row_of(event, state=InboxState.PENDING, due_at=now, now=now, lms_user_id=people[0].lms_user_id)
    with transaction.atomic():
        inbox.write([row])
        mailbox.notify_worker_on_commit(PROCESS_PENDING)
    return True


def process_pending(*, limit: int = 500, now: dt.datetime | None = None) -> BatchResult:
    """Decide events of the inbox that wait and are due; ``seen`` is 0 when none are."""
    now = now or timezone.now()
    rows = retry_transient(lambda: inbox.claim(limit, now, lease=config.delivery["lease_seconds"]))
    result = BatchResult(seen=len(rows))
    claimed: dict[str, InboxMessage] = {}
    events = []
    for row in rows:
        if row.attempts > config.intake["max_attempts"]:
            _close_as_dead(row, UNFINISHED.format(tries=row.attempts - 1), now)
            result.dead += 1
            continue
        try:
            # Under the id of its row: what could not be read at first was written down under the id of its progress.
            events.append(replace(payloads.parse(row.payload or "", source=row.source), id=row.event_id))
            claimed[row.event_id] = row
        except EventError as error:
            _close_as_dead(row, str(error), now)
            result.dead += 1
    if events:
        try:
            result += _settle(events, InboxBatch(claimed), now)
        except TRANSIENT_ERRORS:
            with suppress(Error):  # while the database is away the lease says the same, a little later
                inbox.release(rows, due_at=now)
            raise
    return result


# --- what happens when a decision fails ----------------------------------------------------------------------------


def _settle(events: Sequence[Event], batch: EventBatch, now: dt.datetime) -> BatchResult:
    """Decide events, splitting them when one of them fails for its own reasons."""
    try:
        return _decide_retrying(events, batch, now)
    except TRANSIENT_ERRORS:
        raise
    except Exception as error:
        if len(events) == 1:
            return _defer(events[0], error, batch, now)
    middle = len(events) // 2
    result = _settle(events[:middle], batch, now)
    result += _settle(events[middle:], batch, now)
    return result


def _decide_retrying(events: Sequence[Event], batch: EventBatch, now: dt.datetime) -> BatchResult:
    try:
        return retry_transient(lambda: decide(events, batch, now=now))
    except IntegrityError:
        # Somebody else wrote what we were about to write. Whoever looks again finds it there.
        return retry_transient(lambda: decide(events, batch, now=now))


def _defer(event: Event, error: Exception, batch: EventBatch, now: dt.datetime) -> BatchResult:
    """Keep an event that failed by itself: for a later try, or as a dead letter."""
    if isinstance(error, ClaimLostError):
        return BatchResult(duplicates=1)
    tries = batch.tries_of(event)
    reason = _reason(error)
    _say(event, reason, error)
    until = None
    if not isinstance(error, EventError) and tries < config.intake["max_attempts"]:
        pause = next_delay(tries, base=config.delivery["base_delay"], cap=config.delivery["max_delay"])
        until = now + dt.timedelta(seconds=pause)
    try:
        retry_transient(lambda: _store_deferred(event, batch, reason, until, now))
    except DatabaseError as refusal:
        if not is_unencodable(refusal):
            raise
        return _dead_letter([_without_body(event)], now)
    return BatchResult(dead=1) if until is None else BatchResult(postponed=1)


def _store_deferred(event: Event, batch: EventBatch, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
    with transaction.atomic(durable=True):
        batch.defer(event, reason=reason, until=until, now=now)


def _without_body(event: Event) -> Unreadable:
    """Return what is left of an event whose text the database does not take; its id stays free for it to come again."""
    return Unreadable(f"{event.source} {event.id}", inbox.UNENCODABLE, source=event.source, type=event.type)


def _reason(error: Exception) -> str:
    """What went wrong, without personal data: messages of other packages and of the database may quote values."""
    if isinstance(error, EventError):
        return str(error)
    return f"{type(error).__name__} while it was processed; the log has the details."


def _say(event: Event, reason: str, error: Exception) -> None:
    """Log a failure: the lines of code it came through and not its message, which may quote a learner."""
    frames = "" if isinstance(error, EventError) else "\n" + "".join(traceback.format_tb(error.__traceback__))
    log.error("Event %s (%s) failed: %s%s", event.id, event.type, reason, frames)


def _close_as_dead(row: InboxMessage, reason: str, now: dt.datetime) -> None:
    retry_transient(lambda: inbox.finish([row], state=InboxState.DEAD, now=now, reason=reason))


def _dead_letter(unreadable: Sequence[Unreadable], now: dt.datetime) -> BatchResult:
    """Keep what cannot be used; what the database does not take, without its text."""
    try:
        return retry_transient(lambda: _store_dead(unreadable, now))
    except DatabaseError as error:
        if not is_unencodable(error) or (len(unreadable) == 1 and unreadable[0].body is None):
            raise
    if len(unreadable) == 1:
        return _dead_letter([replace(unreadable[0], body=None)], now)
    middle = len(unreadable) // 2
    result = _dead_letter(unreadable[:middle], now)
    result += _dead_letter(unreadable[middle:], now)
    return result


def _store_dead(unreadable: Sequence[Unreadable], now: dt.datetime) -> BatchResult:
    with transaction.atomic(durable=True):
        new = inbox.write([inbox.dead_row_of(item, now=now) for item in unreadable])
    return BatchResult(dead=len(new), duplicates=len(unreadable) - len(new))


def _first_of_each_id(events: Iterable[Event]) -> list[Event]:
    found: dict[str, Event] = {}
    for event in events:
        found.setdefault(event.id, event)
    return list(found.values())
