"""
Receiving events from senders who want to know what becomes of each, as those of the REST API.

Every event of a known learner gets a row in the inbox, also one that meets no requirement. Its sender is told that it
was accepted. An event that is sent a second time is reported as a duplicate. ``process_pending`` decides the rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from django.db import transaction

from badges.catalog import snapshot
from badges.catalog.event_types import EventDefinition, LearnerData
from badges.history import event_log
from badges.intake import flow_events, inbox, learners
from badges.intake.events import Event
from badges.intake.models import InboxState
from badges.outbox.worker_notifications import PROCESS_PENDING, notify_worker_on_commit
from badges.pipeline import failures
from badges.pipeline.decisions import BatchResult, is_logged, rows_to_log


class Receipt(StrEnum):
    """What became of an event."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNKNOWN_LEARNER = "unknown_learner"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Received:
    """An event and what became of it. ``reason`` says why it was refused, and is empty otherwise."""

    event: Event
    receipt: Receipt
    reason: str = ""


def receive_all(events: Sequence[Event], *, now: dt.datetime) -> list[Received]:
    """
    Write events to the inbox, and return what became of each, in their order.

    Of two events with the same source and id, the second is a duplicate. An event about somebody who is not known here
    is not kept: it is new when it comes again. If it holds an LMS user id, it is in the event log. The number of
    statements does not depend on the number of events. A worker is notified when the transaction commits. Raises the
    errors of the database.
    """
    about_accounts = [event for event in events if event.type in flow_events.TYPES]
    catalog = snapshot.current()
    people = [_person(catalog.definitions.get(event.type), event) for event in events]
    lookup = learners.look_up(person for person in people if person is not None)
    received: list[Received] = []
    kept, unknown, seen = [], [], set()
    for event, person in zip(events, people, strict=True):
        if event.type in flow_events.TYPES:
            received.append(Received(event, Receipt.DUPLICATE if event.identity in seen else Receipt.ACCEPTED))
            if event.identity not in seen:
                kept.append(flow_events.row_of(event, now=now))
            seen.add(event.identity)
        elif person is not None and person.key in lookup.refused:
            received.append(Received(event, Receipt.REFUSED, lookup.refused[person.key]))
        elif person is None or person.key in lookup.retired or not lookup.identifies(person.key):
            received.append(Received(event, Receipt.UNKNOWN_LEARNER))
            if person is not None and is_logged(event.type, catalog):
                unknown.append((event, person))
        elif event.identity in seen:
            received.append(Received(event, Receipt.DUPLICATE))
        else:
            seen.add(event.identity)
            received.append(Received(event, Receipt.ACCEPTED))
            kept.append(inbox.row_of(event, state=InboxState.PENDING, due_at=now, now=now, person=person))
    logged = rows_to_log(unknown, lookup, catalog, now)
    with transaction.atomic():
        new = inbox.write(kept) if kept else set()
        again = flow_events.requeue([event for event in about_accounts if event.identity not in new], now=now)
        if logged:
            event_log.write(logged)
        if new or again:
            notify_worker_on_commit(PROCESS_PENDING)
    return [
        Received(item.event, Receipt.DUPLICATE)
        if item.receipt is Receipt.ACCEPTED and item.event.identity not in new
        else item
        for item in received
    ]


def receive_flow_events(events: Sequence[Event], *, now: dt.datetime) -> BatchResult:
    """
    Write events of other services about accounts to the inbox, and return what became of them.

    No two of them have the same source and id. An event that comes again after it became a dead letter is tried again.
    A text that the database cannot store becomes a dead letter without it. Raises Retryable as ``handle`` does.
    """
    return failures.split_when_it_fails(
        events,
        lambda some: failures.retry(lambda: _write_flow_events(some, now)),
        lambda event, error: failures.dead_letter_without_body(event, error, now),
    )


def _write_flow_events(events: Sequence[Event], now: dt.datetime) -> BatchResult:
    with transaction.atomic(durable=True):
        new = inbox.write([flow_events.row_of(event, now=now) for event in events])
        flow_events.requeue([event for event in events if event.identity not in new], now=now)
        notify_worker_on_commit(PROCESS_PENDING)
    return BatchResult(matched=len(new), duplicates=len(events) - len(new))


def _person(definition: EventDefinition | None, event: Event) -> LearnerData | None:
    return definition.learner(event.data) if definition else None
