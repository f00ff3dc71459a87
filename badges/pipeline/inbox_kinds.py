"""Rows of the inbox that are no events: each kind is handed to its handler."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Sequence

from badges.common.claims import ClaimLostError
from badges.database import read_committed, retry_transient
from badges.exceptions import Retryable
from badges.intake import inbox, kinds
from badges.intake.models import InboxMessage, InboxState
from badges.pipeline.decisions import RETIRED, BatchResult
from badges.pipeline.failures import code_lines_of, finish_as_dead, next_attempt, reason_of, split_when_it_fails

log = logging.getLogger(__name__)


class HandlerError(Exception):
    """A handler cannot handle its rows now."""


# How long rows wait whose kind nobody handles here. They may be what a newer release wrote.
MISSING_KIND_SECONDS = 300


def handle(rows: Iterable[InboxMessage], *, now: dt.datetime) -> BatchResult:
    """
    Hand claimed rows to the handlers of their kinds, a transaction for each kind.

    Rows of a kind that nobody handles wait, with a reason, and no attempt is counted. When several rows fail together,
    each half is handed over by itself, until the failing row stands alone. Raises the transient errors of the database.
    """
    by_kind: dict[str, list[InboxMessage]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    result = BatchResult()
    for kind, of_kind in by_kind.items():
        try:
            handler = kinds.handler_of(kind)
        except kinds.KindMissing as error:
            log.error("%d inbox rows of the kind %s wait: %s", len(of_kind), kind, error)
            _wait(of_kind, str(error), now)
            result.rescheduled += len(of_kind)
        else:
            result += _handle_or_split(of_kind, handler, now)
    return result


def _wait(rows: Sequence[InboxMessage], reason: str, now: dt.datetime) -> None:
    due_at = now + dt.timedelta(seconds=MISSING_KIND_SECONDS)
    retry_transient(lambda: inbox.release(rows, due_at=due_at, reason=reason))


def _handle_or_split(rows: Sequence[InboxMessage], handler: kinds.Handler, now: dt.datetime) -> BatchResult:
    def work(some: Sequence[InboxMessage]) -> BatchResult:
        return retry_transient(lambda: _handle(some, handler, now))

    return split_when_it_fails(rows, work, lambda row, error: _defer(row, error, now))


def _handle(rows: Sequence[InboxMessage], handler: kinds.Handler, now: dt.datetime) -> BatchResult:
    with read_committed():
        if inbox.finish(rows, state=InboxState.PROCESSED, now=now) != len(rows):
            raise ClaimLostError
        try:
            done = handler(rows, now=now) or 0
        except Retryable as error:
            # Only the database may delay all rows.
            raise HandlerError from error
        if not isinstance(done, kinds.Handled):
            return BatchResult(awarded=done)
        _conclude(done)
    return BatchResult(awarded=done.awarded, rescheduled=len(done.later), dead=len(done.dead))


def _conclude(done: kinds.Handled) -> None:
    """Write down what became of rows that were not just processed; one statement for each reason and time."""
    later: dict[tuple[dt.datetime, str], list[InboxMessage]] = {}
    for row, due_at, reason in done.later:
        later.setdefault((due_at, reason), []).append(row)
    for (due_at, reason), waiting in later.items():
        inbox.let_wait(waiting, due_at=due_at, reason=reason)
    dead: dict[str, list[InboxMessage]] = {}
    for row, reason in done.dead:
        dead.setdefault(reason, []).append(row)
    for reason, unusable in dead.items():
        inbox.let_die(unusable, reason=reason)
    if done.about_retired:
        inbox.clear_finished(done.about_retired, reason=RETIRED)


def _defer(row: InboxMessage, error: Exception, now: dt.datetime) -> BatchResult:
    """Keep a row that failed alone: for a later try, or as a dead letter."""
    if isinstance(error, ClaimLostError):
        return BatchResult(duplicates=1)
    reason, due_at = reason_of(error), next_attempt(error, attempts=row.attempts, now=now)
    log.error("Inbox row %s of the kind %s failed: %s%s", row.pk, row.kind, reason, code_lines_of(error))
    if due_at is None:
        finish_as_dead(row, reason, now)
        return BatchResult(dead=1)
    retry_transient(lambda: inbox.reschedule(row, due_at=due_at, reason=reason))
    return BatchResult(rescheduled=1)
