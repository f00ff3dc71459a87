"""
Celery tasks: deciding what waits in the inbox, delivering what the outbox holds, and carrying out runs.

None takes arguments, and none returns anything. Losing or repeating one is harmless: rows say what there is to do. They
are acknowledged late and work for a short time each, so that a worker can be stopped at any time.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from celery import shared_task
from django.apps import apps
from django.utils import timezone

from badges import api, delivery, pipeline
from badges.conf import config
from badges.exceptions import BadgesError
from badges.fields import clear_gone
from badges.flows import idempotency
from badges.granting import expire_due
from badges.history import event_log
from badges.intake import inbox
from badges.issuers import schedules
from badges.mail.reminders import remind_due
from badges.outbox import mailbox
from badges.outbox.worker_notifications import CARRY_OUT_RUNS, DELIVER, PROCESS_PENDING
from badges.pipeline import penalties
from badges.retirement import NOT_ALL_RETIRED
from badges.runs import queue as run_queue
from badges.runs import worker as run_worker

# How long one task works. What is left is done by the next one, after whatever else waits in the queue.
TURN_SECONDS = 30.0

# A task ends between rows, so it may be late by one row: that must have ended by then.
OPTIONS: dict[str, Any] = {"acks_late": True, "ignore_result": True, "soft_time_limit": 300, "time_limit": 330}

# Rows deleted in one transaction: few enough to hold nobody up.
PURGE_ROWS = 1000

# What is due later than this is left to the sweep.
SOON = 60.0


class NotAllRetiredError(BadgesError):
    """Some learners could not be retired. The log says which."""


@shared_task(name=DELIVER, **OPTIONS)
def deliver() -> None:
    """Deliver what the outbox has due."""
    result = delivery.drain(seconds=TURN_SECONDS)
    if result.more:
        deliver.delay()
    if result.next_due_at:
        # Only for what this task rescheduled itself, so that tasks do not multiply while a provider is down.
        seconds = (result.next_due_at - timezone.now()).total_seconds()
        if seconds <= SOON:
            deliver.apply_async(countdown=max(seconds, 0.0) + 0.1)


@shared_task(name=PROCESS_PENDING, **OPTIONS)
def process_pending() -> None:
    """Decide events that wait in the inbox."""
    ends_at = time.monotonic() + TURN_SECONDS
    while pipeline.process_pending().seen:
        if time.monotonic() > ends_at:
            process_pending.delay()
            break


@shared_task(name=CARRY_OUT_RUNS, **OPTIONS)
def carry_out_runs() -> None:
    """Carry out runs that people have started."""
    ends_at = time.monotonic() + TURN_SECONDS
    run_worker.work(should_stop=lambda: time.monotonic() > ends_at)
    if time.monotonic() > ends_at:
        carry_out_runs.delay()


@shared_task(name="badges.sweep", **OPTIONS)
def sweep() -> None:
    """Find what no worker was notified of: in inbox, outbox and runs. Beat sends this every minute."""
    process_pending()
    deliver()
    carry_out_runs()


@shared_task(name="badges.expire", **OPTIONS)
def expire() -> None:
    """Mark the credentials that are at their end, and remind learners of ends. Beat sends this every five minutes."""
    ends_at = time.monotonic() + TURN_SECONDS
    while expire_due(now=timezone.now()) + remind_due(now=timezone.now()):
        if time.monotonic() > ends_at:
            expire.delay()
            break


@shared_task(name="badges.sweep_providers", **OPTIONS)
def sweep_providers() -> None:
    """Start reading the events of providers where a day has passed. Beat sends this once an hour."""
    schedules.start_sweeps(now=timezone.now())


@shared_task(name="badges.sync_templates", **OPTIONS)
def sync_templates() -> None:
    """Start reading the templates of providers where a day has passed. Beat sends this once an hour."""
    schedules.start_syncs(now=timezone.now())


@shared_task(name="badges.retire", **OPTIONS)
def retire_swept() -> None:
    """
    Retire learners whose account the host has retired, some at a time. Beat sends this once an hour.

    Raises NotAllRetiredError when some of them could not be retired, after the others were.
    """
    done = api.retire_swept()
    if done.failed:
        raise NotAllRetiredError(NOT_ALL_RETIRED.format(number=done.failed))


@shared_task(name="badges.purge", **OPTIONS)
def purge() -> None:
    """Delete and clear what is older than the settings allow. Beat sends this once a day."""
    delete_old_data()


@dataclass(frozen=True)
class PurgeResult:
    """
    How many payloads, events, logged events, penalties of people without a learner, delivered rows, closed runs,
    answers to requests with an ``Idempotency-Key`` and references to accounts are gone.
    """

    payloads: int
    events: int
    logged: int
    penalties: int
    delivered: int
    runs: int
    answers: int
    references: int


def delete_old_data(*, now: dt.datetime | None = None) -> PurgeResult:
    """Clear payloads and delete rows that are older than the settings allow."""
    now = now or timezone.now()
    return PurgeResult(
        payloads=inbox.clear_payloads(before=now - dt.timedelta(days=config.payload_days)),
        events=_all_of(inbox.delete_decided, config.event_days, now),
        logged=event_log.delete_expired(now=now),
        penalties=_all_of(penalties.delete_expired, config.penalty_days, now),
        delivered=_all_of(mailbox.delete_delivered, config.delivery["keep_days"], now),
        runs=run_queue.delete_old(now=now, limit=PURGE_ROWS),
        answers=_all_of(idempotency.delete_expired, idempotency.KEEP_DAYS, now),
        references=sum(clear_gone(model) for model in apps.get_models()),
    )


def _all_of(delete: Callable[..., int], days: int | None, now: dt.datetime) -> int:
    if days is None:
        return 0
    total, before = 0, now - dt.timedelta(days=days)
    while gone := delete(before=before, limit=PURGE_ROWS):
        total += gone
    return total
