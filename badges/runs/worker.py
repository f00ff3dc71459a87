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
from django.db import transaction
from django.utils import timezone

from badges.common.backoff import next_delay
from badges.common.claims import ClaimLostError
from badges.common.error_messages import code_lines
from badges.common.stopping import INTERRUPTIONS
from badges.database import retry_transient
from badges.exceptions import Permanent, Retryable
from badges.outbox.worker_notifications import CARRY_OUT_RUNS
from badges.runs import kinds, queue, results
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import Run, RunState

log = logging.getLogger(__name__)

INTERRUPTED = (
    "Its worker was killed, or had to stop before it was finished, again and again. Look at the log and the memory of "
    "the worker, then resume the run."
)
UNFORESEEN = "{error} at {done} of the run; the log of the worker has the details."
GIVEN_UP = "Given up after {attempts} tries; remove the cause, then resume the run. {reason}"

Now = Callable[[], dt.datetime]
Progress = Callable[[Run], None]


def work(
    *, should_stop: Callable[[], bool] = lambda: False, now: Now = timezone.now, task: str = CARRY_OUT_RUNS
) -> int:
    """Carry out runs of a task until none is due or ``should_stop`` returns True; return how many were claimed."""
    claimed = 0
    while not should_stop() and (run := retry_transient(lambda: queue.claim(now=now(), task=task))) is not None:
        claimed += 1
        carry_out(run, should_stop=should_stop, now=now)
    return claimed


def carry_out(
    run: Run,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    now: Now = timezone.now,
    on_progress: Progress = lambda run: None,
) -> None:
    """
    Carry out a claimed run until it ends or ``should_stop`` returns True after a step.

    Errors of the kind are written on the run and never raised. ``on_progress`` is called after each step. When the
    worker is interrupted, as by Celery's soft time limit, the run is given to another one.
    """
    try:
        _carry_out(run, should_stop, now, on_progress)
    except INTERRUPTIONS:
        retry_transient(lambda: queue.reschedule(run, due_at=now()))
        raise
    except ClaimLostError:
        log.warning("Run %s: the lease ended before a step was finished; another worker has the run now.", run.pk)
    except Permanent as error:
        _fail(run, now(), str(error))
    except Exception as error:  # a worker loop: kinds and databases fail in ways that nobody can list
        _try_again_later(run, now(), error)


def _carry_out(run: Run, should_stop: Callable[[], bool], now: Now, on_progress: Progress) -> None:
    if run.cancel_requested:
        _close(run, RunState.CANCELLED, now())
        return
    if run.attempts > kinds.limits_of(run.kind).max_attempts:
        _fail(run, now(), INTERRUPTED)
        return
    kind = kinds.get(run.kind)
    job = _job(run, now)
    total = kind.total(job)
    retry_transient(lambda: queue.begin(run, now=now(), total=total, starts_over=kind.starts_over))
    for step in kinds.steps_of(kind, run.mode, job):
        if not _commit(run, step, now, keeps_attempts=kind.starts_over):
            _close(run, RunState.CANCELLED, now())
            return
        on_progress(run)
        if run.state != RunState.OPEN:  # the step has ended it
            return
        if should_stop():
            retry_transient(lambda: queue.release(run, now=now()))
            return
    _finish(run, kind, now)


def _commit(run: Run, step: Step, now: Now, *, keeps_attempts: bool) -> bool:
    return retry_transient(lambda: queue.commit_step(run, step, now=now(), keeps_attempts=keeps_attempts))


def _finish(run: Run, kind: RunKind, now: Now) -> None:
    """
    Store the result, if there is one, and close the run.

    Each of the three writes expects what the one before has written. A retirement removes that, so that a result which
    may name the retired person is computed again (``personal_data``).
    """
    _remove_unfinished(run)
    while not _finish_once(run, kind, now):
        pass


def _finish_once(run: Run, kind: RunKind, now: Now) -> bool:
    """Return False when somebody was retired meanwhile."""
    folder = results.folder(run)
    retry_transient(lambda: queue.note_result(run, folder))
    run.refresh_from_db(fields=["cursor", "counts", "done", "parameters"])
    given = kind.result(_job(run, now))
    if given is None:
        return retry_transient(lambda: queue.close_with_result(run, "", expected=folder, now=now()))
    name, content = f"{folder}{PurePosixPath(given[0]).name}", given[1]
    # Before the file: the next worker finds and removes the file of a worker that was killed.
    noted = retry_transient(lambda: queue.note_result(run, name, expected=folder))
    return noted and _store_and_close(run, name, content, now)


def _store_and_close(run: Run, name: str, content: bytes, now: Now) -> bool:
    storage = results.storage()
    stored = storage.save(name, ContentFile(content))
    is_closed = False
    try:
        is_closed = retry_transient(lambda: queue.close_with_result(run, stored, expected=name, now=now()))
    finally:
        if not is_closed:
            storage.delete(stored)
    return is_closed


def _remove_unfinished(run: Run) -> None:
    """Remove the result that a worker stored which was killed before it could close the run."""
    name = Run.objects.values_list("result", flat=True).filter(pk=run.pk).first()
    if results.is_file(name):
        results.storage().delete(str(name))


def _close(run: Run, state: RunState, at: dt.datetime, **given: Any) -> None:
    retry_transient(lambda: queue.close(run, state, now=at, **given))


def _fail(run: Run, at: dt.datetime, note: str) -> None:
    def close() -> None:
        with transaction.atomic():
            queue.close(run, RunState.FAILED, now=at, note=note)
            if kind is not None:
                kind.failed(_job(run, lambda: at), note)

    try:
        kind: RunKind | None = kinds.get(run.kind)
    except Permanent:  # the package that brings the kind is gone
        kind = None
    try:
        retry_transient(close)
    except ClaimLostError:
        log.warning("Run %s failed, but another worker has it now: %s", run.pk, note)


def _try_again_later(run: Run, at: dt.datetime, error: Exception) -> None:
    """Reschedule the run. After too many attempts without a step it fails."""
    if isinstance(error, Retryable):
        reason = str(error)
    else:
        # The message of an unknown error may hold personal data, so it is neither stored nor logged.
        log.error(
            "%s while run %s (%s) was carried out:\n%s", type(error).__name__, run.pk, run.kind, code_lines(error)
        )
        reason = UNFORESEEN.format(error=type(error).__name__, done=run.done)
    limits = kinds.limits_of(run.kind)
    if run.attempts >= limits.max_attempts:
        _fail(run, at, GIVEN_UP.format(attempts=run.attempts, reason=reason))
        return
    retry_after = error.retry_after if isinstance(error, Retryable) else None
    seconds = next_delay(run.attempts, base=limits.base_delay, cap=limits.max_delay, retry_after=retry_after)
    due_at = at + dt.timedelta(seconds=seconds)
    retry_transient(lambda: queue.reschedule(run, due_at=due_at, note=reason))


def _job(run: Run, now: Now) -> Job:
    return Job(
        run_id=run.pk,
        parameters=run.read_parameters(),
        now=now(),
        cursor=json.loads(run.cursor),
        asked_by_id=run.asked_by_id,
        undoes=run.undoes_id,
        done=run.done,
        counts=run.read_counts(),
        clock=now,
    )
