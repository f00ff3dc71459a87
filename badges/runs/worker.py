"""
Carrying out runs: claim one, commit its steps one after the other, and close it.

A worker that is asked to stop ends between two steps and releases the run. One that is killed leaves a run whose lease
ends; the next worker goes on after the last step that was committed.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from django.core.files.base import ContentFile
from django.utils import timezone

from badges.common.backoff import next_delay
from badges.common.claims import ClaimLostError
from badges.conf import config
from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from badges.runs import kinds, queue
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import Run, RunState

log = logging.getLogger(__name__)

INTERRUPTED = (
    "Its worker was killed, or did not finish a step in time, again and again. Look at the log and the memory of the "
    "worker, then resume the run."
)
UNFORESEEN = "{error} at {done} of the run; the log of the worker has the details."
GIVEN_UP = "Given up after {attempts} tries; remove the cause, then resume the run. {reason}"

Now = Callable[[], dt.datetime]


def work(*, should_stop: Callable[[], bool] = lambda: False, now: Now = timezone.now) -> int:
    """Carry out runs until none is due or ``should_stop`` returns True; return how many were claimed."""
    claimed = 0
    while not should_stop() and (run := retry_transient(lambda: queue.claim(now=now()))) is not None:
        claimed += 1
        carry_out(run, should_stop=should_stop, now=now)
    return claimed


def carry_out(run: Run, *, should_stop: Callable[[], bool] = lambda: False, now: Now = timezone.now) -> None:
    """
    Carry out a claimed run until it ends or ``should_stop`` returns True after a step.

    Errors of the kind are written on the run and never raised.
    """
    try:
        _carry_out(run, should_stop, now)
    except ClaimLostError:
        log.warning("Run %s: the lease ended before a step was finished; another worker has the run now.", run.pk)
    except Permanent as error:
        _fail(run, now(), str(error))
    except Exception as error:  # a worker loop: kinds and databases fail in ways that nobody can list
        _try_again_later(run, now(), error)


def _carry_out(run: Run, should_stop: Callable[[], bool], now: Now) -> None:
    if run.cancel_requested:
        _close(run, RunState.CANCELLED, now())
        return
    if run.attempts > config.runs["max_attempts"]:
        _fail(run, now(), INTERRUPTED)
        return
    kind = kinds.get(run.kind)
    job = _job(run, now())
    total = kind.total(job)
    retry_transient(lambda: queue.begin(run, now=now(), total=total))
    for step in kinds.steps_of(kind, run.mode, job):
        if not _commit(run, step, now):
            _close(run, RunState.CANCELLED, now())
            return
        if should_stop():
            retry_transient(lambda: queue.release(run, now=now()))
            return
    _finish(run, kind, now)


def _commit(run: Run, step: Step, now: Now) -> bool:
    return retry_transient(lambda: queue.commit_step(run, step, now=now()))


def _finish(run: Run, kind: RunKind, now: Now) -> None:
    run.refresh_from_db(fields=["cursor", "counts", "done"])
    given = kind.result(_job(run, now()))
    if given is None:
        _close(run, RunState.DONE, now())
        return
    name, content = given
    storage = run.result.storage
    # A folder of its own, so that the name stays as it is. A worker killed here leaves a file that nothing refers to.
    stored = storage.save(f"lms_badges/runs/{run.pk}/{PurePosixPath(name).name}", ContentFile(content))
    try:
        _close(run, RunState.DONE, now(), result=stored)
    except ClaimLostError:
        storage.delete(stored)
        raise


def _close(run: Run, state: RunState, at: dt.datetime, **given: Any) -> None:
    retry_transient(lambda: queue.close(run, state, now=at, **given))


def _fail(run: Run, at: dt.datetime, note: str) -> None:
    try:
        _close(run, RunState.FAILED, at, note=note)
    except ClaimLostError:
        log.warning("Run %s failed, but another worker has it now: %s", run.pk, note)


def _try_again_later(run: Run, at: dt.datetime, error: Exception) -> None:
    """Reschedule the run. After too many attempts without a step it fails."""
    if isinstance(error, Retryable):
        reason = str(error)
    else:
        # The message of an unknown error may hold personal data, so only its type is stored.
        log.exception("Run %s (%s) failed", run.pk, run.kind)
        reason = UNFORESEEN.format(error=type(error).__name__, done=run.done)
    if run.attempts >= config.runs["max_attempts"]:
        _fail(run, at, GIVEN_UP.format(attempts=run.attempts, reason=reason))
        return
    retry_after = error.retry_after if isinstance(error, Retryable) else None
    seconds = next_delay(run.attempts, base=2.0, cap=600.0, retry_after=retry_after)
    due_at = at + dt.timedelta(seconds=seconds)
    retry_transient(lambda: queue.reschedule(run, due_at=due_at, note=reason))


def _job(run: Run, now: dt.datetime) -> Job:
    return Job(
        run_id=run.pk,
        parameters=run.read_parameters(),
        now=now,
        cursor=json.loads(run.cursor),
        asked_by_id=run.asked_by_id,
        undoes=run.undoes_id,
        counts=run.read_counts(),
    )
