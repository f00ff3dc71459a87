"""
What happens when a decision fails: it is tried again, the batch is split, or the event is deferred or a dead letter.

A transient error of the database concerns the whole batch, which is tried again. After another error the batch is split
until the failing event stands alone, so that the others are decided. That event is tried again later. After some
attempts, or when nothing but another event can help, it becomes a dead letter.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.db import DatabaseError, IntegrityError, transaction

from badges.common.backoff import next_delay
from badges.common.claims import ClaimLostError
from badges.common.error_messages import code_lines
from badges.conf import config
from badges.database import is_unencodable, retry_transient
from badges.exceptions import EventError, Retryable
from badges.intake import inbox
from badges.intake.events import Event, Unreadable, unreadable_id
from badges.intake.models import InboxMessage, InboxState
from badges.pipeline.decisions import BatchResult, EventBatch

log = logging.getLogger(__name__)
Item = TypeVar("Item")
Result = TypeVar("Result")

# No event is to blame for these: the database did not answer, or the time of the Celery task is over.
TRANSIENT_ERRORS = (Retryable, SoftTimeLimitExceeded)


def retry(decision: Callable[[], Result]) -> Result:
    """Return the result of a decision, which is tried again after transient errors and after a conflict of rows."""
    try:
        return retry_transient(decision)
    except IntegrityError:
        # Another process has just written the same row. The second attempt reads that row.
        return retry_transient(decision)


def split_when_it_fails(
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], BatchResult],
    defer: Callable[[Item, Exception], BatchResult],
) -> BatchResult:
    """
    Return the result of ``work`` for all items. When it fails, call it for each half, until one item fails alone.

    ``defer`` keeps the item that fails alone. Transient errors are raised.
    """
    try:
        return work(items)
    except TRANSIENT_ERRORS:
        raise
    except Exception as error:
        if len(items) == 1:
            return defer(items[0], error)
    middle = len(items) // 2
    result = split_when_it_fails(items[:middle], work, defer)
    result += split_when_it_fails(items[middle:], work, defer)
    return result


def defer(event: Event, error: Exception, batch: EventBatch, now: dt.datetime) -> BatchResult:
    """Keep an event that failed alone: for a later try, or as a dead letter."""
    if isinstance(error, ClaimLostError):
        return BatchResult(duplicates=1)
    attempts = batch.attempts_of(event)
    reason = reason_of(error)
    log.error("Event %s of %s (%s) failed: %s%s", event.id, event.source, event.type, reason, code_lines_of(error))
    until = next_attempt(error, attempts=attempts, now=now)
    try:
        retry_transient(lambda: _store_deferred(event, batch, reason, until, now))
    except DatabaseError as storing_error:
        if not is_unencodable(storing_error):
            raise
        return dead_letter([_without_body(event)], now)
    return BatchResult(dead=1) if until is None else BatchResult(rescheduled=1)


def next_attempt(error: Exception, *, attempts: int, now: dt.datetime) -> dt.datetime | None:
    """Return when to try again what failed alone, or None when it becomes a dead letter."""
    if isinstance(error, EventError) or attempts >= config.intake["max_attempts"]:
        return None
    backoff_delay = next_delay(attempts, base=config.delivery["base_delay"], cap=config.delivery["max_delay"])
    return now + dt.timedelta(seconds=backoff_delay)


def reason_of(error: Exception) -> str:
    """Return what went wrong without personal data. Messages of the database and of other packages may quote values."""
    if isinstance(error, EventError):
        return str(error)
    return f"{type(error).__name__} while it was processed; the log has the details."


def code_lines_of(error: Exception) -> str:
    """Return the lines of code that an error came through, for the log. Its message may quote personal data."""
    return "" if isinstance(error, EventError) else "\n" + code_lines(error)


def finish_as_dead(row: InboxMessage, reason: str, now: dt.datetime) -> None:
    """Make a claimed row of the inbox a dead letter."""
    retry_transient(lambda: inbox.finish([row], state=InboxState.DEAD, now=now, reason=reason))


def dead_letter(unreadable: Sequence[Unreadable], now: dt.datetime) -> BatchResult:
    """Store what could not be read as dead letters. One whose text the database cannot store loses its text."""
    try:
        return retry_transient(lambda: _store_dead_letters(unreadable, now))
    except DatabaseError as error:
        if not is_unencodable(error) or (len(unreadable) == 1 and unreadable[0].body is None):
            raise
    if len(unreadable) == 1:
        return dead_letter([replace(unreadable[0], body=None)], now)
    middle = len(unreadable) // 2
    result = dead_letter(unreadable[:middle], now)
    result += dead_letter(unreadable[middle:], now)
    return result


def dead_letter_without_body(event: Event, error: Exception, now: dt.datetime) -> BatchResult:
    """Store an event as a dead letter without its text, which the database cannot store. Raises other errors."""
    if isinstance(error, DatabaseError) and is_unencodable(error):
        return dead_letter([_without_body(event)], now)
    raise error


def _store_dead_letters(unreadable: Sequence[Unreadable], now: dt.datetime) -> BatchResult:
    with transaction.atomic(durable=True):
        new = inbox.write([inbox.dead_row_of(item, now=now) for item in unreadable])
    return BatchResult(dead=len(new), duplicates=len(unreadable) - len(new))


def _store_deferred(event: Event, batch: EventBatch, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
    with transaction.atomic(durable=True):
        batch.defer(event, reason=reason, until=until, now=now)


def _without_body(event: Event) -> Unreadable:
    """
    Return an event without its text, which the database cannot store.

    The dead letter gets an id of its own, so that the event is new when it is sent again.
    """
    row_id = unreadable_id(event.received_from, event.source, event.id)
    return Unreadable(row_id, inbox.UNENCODABLE, received_from=event.received_from, type=event.type)
