"""
From events to decisions: the public interface of the pipeline.

``decisions`` decides one batch in one transaction: ask the rules, find the learners, apply to progress, award.
``batches`` has what differs between events of a bus and events of the inbox. ``failures`` says what happens when a
decision fails. What has to happen outside becomes outbox rows of the same transaction.

A batch takes the same number of SQL statements for one event or five hundred, and for one template or ten thousand.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from django.db import Error, transaction
from django.utils import timezone

from badges.catalog import figures, interests, snapshot
from badges.conf import config
from badges.database import retry_transient, statement_bytes
from badges.engagement.activities import figures_of
from badges.exceptions import EventError
from badges.history import event_log
from badges.intake import flow_events, inbox
from badges.intake.events import Event, Identity, Unreadable, parse_event
from badges.intake.models import EVENT, InboxMessage, InboxState
from badges.outbox import mailbox
from badges.outbox.worker_notifications import PROCESS_PENDING
from badges.pipeline import failures, inbox_kinds, receiving, steps
from badges.pipeline.activities import ActivityEvent, FigureEvent, RecordActivities
from badges.pipeline.batches import BusBatch, InboxBatch
from badges.pipeline.criteria import EvaluateCriteria
from badges.pipeline.decisions import (
    BatchResult,
    EventBatch,
    decide,
    events_to_log,
    look_up_people,
    match_events,
    rows_to_log,
)
from badges.pipeline.penalties import ApplyPenalties

__all__ = ["BatchResult", "handle", "process_pending", "receive", "warm_up"]

interests.register(ActivityEvent)
interests.register(FigureEvent)
# Within one event, penalties come after the requirements. Criteria documents are asked last: they read what was reset,
# and the figures that follow from the activities.
steps.register(ApplyPenalties)
steps.register(RecordActivities)
steps.register(EvaluateCriteria)
figures.register(figures_of)

GIVEN_UP = (
    "Given up after {attempts} attempts, the last of which did not finish. Was its worker killed? "
    "Look at its log and its memory, then retry."
)


def warm_up() -> None:
    """
    Compile the catalog before the first event arrives.

    A process calls this before it reports that it runs. Raises Retryable when the database does not answer.
    """
    retry_transient(snapshot.current)
    retry_transient(statement_bytes)


def handle(batch: Iterable[Event | Unreadable], *, now: dt.datetime | None = None) -> BatchResult:
    """
    Decide a batch from a consumer; when this returns, everything that it changes is committed.

    After a transient error of the database (deadlock, lost connection) the whole batch is tried again. A batch that
    fails for another reason is split until the failing event stands alone. That event is tried again later or becomes
    a dead letter, and the others are decided.

    Events of other services about accounts are only written down here; ``process_pending`` hands them to their
    handlers.

    Raises Retryable when the database did not answer for longer than ``LMS_BADGES_CONFIG["intake"]["give_up_seconds"]``
    seconds. Then the caller must not acknowledge anything of this batch.
    """
    now = now or timezone.now()
    items = list(batch)
    result = BatchResult(seen=len(items))
    unreadable = [item for item in items if isinstance(item, Unreadable)]
    if unreadable:
        result += failures.dead_letter(unreadable, now)
    events = _first_of_each_identity(item for item in items if isinstance(item, Event))
    result.duplicates += len(items) - len(unreadable) - len(events)
    about_accounts = [event for event in events if event.type in flow_events.TYPES]
    if about_accounts:
        result += receiving.receive_flow_events(about_accounts, now=now)
        events = [event for event in events if event.type not in flow_events.TYPES]
    if events:
        result += _decide_or_split(events, BusBatch(), now)
    return result


def receive(event: Event, *, now: dt.datetime | None = None) -> bool:
    """
    Write an event to the inbox if it matters to a template; return whether the inbox has it now.

    ``process_pending`` decides it later. Signal receivers call this. An event that meets no
    requirement is logged at once; it is written to the inbox too when ``LMS_BADGES_CONFIG["keep_unmatched"]`` is on.
    The row is part of the caller's transaction, if there is one; a worker is notified when that commits.
    """
    now = now or timezone.now()
    catalog = snapshot.current()
    matched = match_events([event], catalog, BatchResult(), keep_unmatched=config.keep_unmatched)
    people = [*matched.people(), *(person for _, person in matched.unmatched)]
    if not people:
        # That it meets no requirement is its decision. An event that is decided later is logged then.
        to_log = events_to_log(matched, catalog)
        lookup = look_up_people(matched, to_log)
        people = [match.person for match in matched.for_learners if match.person.key in lookup.known]
        if not people:
            if logged := rows_to_log(to_log, lookup, catalog, now):
                with transaction.atomic():
                    event_log.write(logged)
            return False
    row = inbox.row_of(event, state=InboxState.PENDING, due_at=now, now=now, person=people[0])
    with transaction.atomic():
        inbox.write([row])
        mailbox.notify_worker_on_commit(PROCESS_PENDING)
    return True


def process_pending(*, limit: int = 500, now: dt.datetime | None = None) -> BatchResult:
    """
    Claim up to ``limit`` pending rows of the inbox that are due. Decide the events; hand others to their handlers.

    ``seen`` of the result is 0 when no row was due. Raises Retryable when the database did not answer for longer than
    ``LMS_BADGES_CONFIG["intake"]["give_up_seconds"]`` seconds. The rows are then due again, and no attempt is counted.
    """
    now = now or timezone.now()
    rows = retry_transient(lambda: inbox.claim(limit, now, lease=config.delivery["lease_seconds"]))
    result = BatchResult(seen=len(rows))
    claimed: dict[Identity, InboxMessage] = {}
    events, others = [], []
    for row in rows:
        if row.attempts > config.intake["max_attempts"]:
            failures.finish_as_dead(row, GIVEN_UP.format(attempts=row.attempts - 1), now)
            result.dead += 1
            continue
        if row.kind != EVENT:
            others.append(row)
            continue
        try:
            # Those of the row are used: an event that could not be read at first was stored under an id of its own.
            # Only what could not be decoded has no source. It is checked like an event that arrives.
            if flow_events.takes_over(row):
                others.append(row)
                continue
            event = parse_event(row.payload or "", received_from=row.received_from, is_stored=bool(row.source))
            events.append(replace(event, source=row.source, id=row.event_id))
            claimed[row.source, row.event_id] = row
        except EventError as error:
            failures.finish_as_dead(row, str(error), now)
            result.dead += 1
    try:
        if events:
            result += _decide_or_split(events, InboxBatch(claimed), now)
        result += inbox_kinds.handle(others, now=now)
    except failures.TRANSIENT_ERRORS:
        # If the database cannot be reached now either, the rows are due again when their lease ends.
        with suppress(Error):
            inbox.release(rows, due_at=now)
        raise
    return result


def _decide_or_split(events: Sequence[Event], batch: EventBatch, now: dt.datetime) -> BatchResult:
    """Decide events; when that fails for a reason that is not transient, decide each half by itself."""
    return failures.split_when_it_fails(
        events,
        lambda some: failures.retry(lambda: decide(some, batch, now=now)),
        lambda event, error: failures.defer(event, error, batch, now),
    )


def _first_of_each_identity(events: Iterable[Event]) -> list[Event]:
    found: dict[Identity, Event] = {}
    for event in events:
        found.setdefault(event.identity, event)
    return list(found.values())
