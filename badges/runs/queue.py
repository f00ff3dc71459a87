"""
The queue of runs: a person starts, cancels, resumes or undoes a run, and one worker at a time has it.

A run is a row before anything is done, so no request gets lost. Only the worker that has the claim changes the
progress of a run; for any other the functions raise ClaimLostError.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q
from django.utils import timezone

from badges.common.claims import ClaimLostError, Claims
from badges.conf import config
from badges.exceptions import Permanent
from badges.outbox.worker_notifications import CARRY_OUT_RUNS, notify_worker_on_commit
from badges.runs import kinds
from badges.runs.kinds import Step
from badges.runs.models import ACTIVE, NOTE_LENGTH, Run, RunMode, RunState

claims = Claims(Run, unfinished=Q(active_key=ACTIVE), counts=("attempts",))


class RunRefused(Permanent):
    """A run cannot be started, cancelled, resumed or undone now; the message says why and what to do."""


# --- by people -------------------------------------------------------------------------------------------------------


def start(
    kind: str,
    *,
    mode: RunMode,
    parameters: Mapping[str, Any],
    person: Any = None,
    now: dt.datetime | None = None,
) -> Run:
    """
    Write a run, and notify a worker when the transaction commits.

    ``person`` is the user of the host who asks. Raises RunRefused while another run of this kind and subject is open,
    and Permanent when there is no such kind or a parameter is wrong.
    """
    run = prepare(kind, mode=mode, parameters=parameters)
    run.asked_by, run.asked_at = person, now or timezone.now()
    run.due_at = run.asked_at
    return _write(run)


def prepare(kind: str, *, mode: RunMode, parameters: Mapping[str, Any]) -> Run:
    """Return a run that is not written yet. Raises as ``start`` does, except for another run that is open."""
    known = kinds.get(kind)
    if mode not in known.modes or mode == RunMode.UNDO:
        raise RunRefused(f"A run of the kind {kind} cannot be started with the mode {mode}.")
    checked = known.check(parameters)
    return Run(
        kind=kind,
        subject=known.subject(checked),
        mode=mode,
        parameters=json.dumps(checked, sort_keys=True),
    )


def undo(run: Run, *, person: Any = None, now: dt.datetime | None = None) -> Run:
    """
    Write a run that takes back what another one has applied.

    Raises RunRefused when the other one is open, has applied nothing, was undone before, or cannot be undone. A run
    that was to undo it and has not finished can be resumed.
    """
    if not can_undo(run):
        raise RunRefused(
            "Only a closed run that has applied something can be undone, once, and only if its kind can do so."
        )
    return _write(
        Run(
            kind=run.kind,
            subject=run.subject,
            mode=RunMode.UNDO,
            parameters=run.parameters,
            undoes=run,
            asked_by=person,
            asked_at=now or timezone.now(),
            due_at=now or timezone.now(),
        )
    )


def can_undo(run: Run) -> bool:
    """Return whether ``undo`` would take back what a run has applied."""
    if run.is_open or run.mode != RunMode.APPLY or Run.objects.filter(undoes=run).exists():
        return False
    try:
        return RunMode.UNDO in kinds.get(run.kind).modes
    except Permanent:  # the package that brings the kind is gone
        return False


def can_resume(run: Run) -> bool:
    """Return whether ``resume`` would let a run go on, as far as the run itself tells."""
    return run.state in (RunState.CANCELLED, RunState.FAILED)


def cancel(run: Run, *, now: dt.datetime | None = None) -> None:
    """
    Cancel an open run: at once while nobody carries it out, else after the step at hand.

    What it has done stays. Raises RunRefused when it is closed.
    """
    if _close(Run.objects.filter(pk=run.pk, active_key=ACTIVE, claim=None), RunState.CANCELLED, now or timezone.now()):
        return
    if not Run.objects.filter(pk=run.pk, active_key=ACTIVE).update(cancel_requested=True):
        raise RunRefused("This run is closed, so there is nothing to cancel.")


def resume(run: Run, *, now: dt.datetime | None = None) -> None:
    """
    Let a cancelled or failed run go on where it was, and notify a worker.

    Raises RunRefused when it is neither, or another run of its kind and subject is open.
    """
    closed = Run.objects.filter(pk=run.pk, state__in=[RunState.CANCELLED, RunState.FAILED])
    try:
        with transaction.atomic():
            resumed = closed.update(
                state=RunState.OPEN,
                active_key=ACTIVE,
                due_at=now or timezone.now(),
                claim=None,
                attempts=0,
                cancel_requested=False,
                finished_at=None,
                note="",
            )
            notify_worker_on_commit(CARRY_OUT_RUNS)
    except IntegrityError:
        raise _one_is_open(run) from None
    if not resumed:
        raise RunRefused("Only a cancelled or failed run can be resumed.")


def _write(run: Run) -> Run:
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            notify_worker_on_commit(CARRY_OUT_RUNS)
    except IntegrityError:
        raise _one_is_open(run) from None
    return run


def _one_is_open(run: Run) -> RunRefused:
    about = f" about {run.subject}" if run.subject else ""
    return RunRefused(f"Another run of the kind {run.kind}{about} is open. Wait for it, or cancel it.")


# --- by workers ------------------------------------------------------------------------------------------------------


def claim(*, now: dt.datetime) -> Run | None:
    """
    Claim the run that is due longest; committed when this returns. None: nothing is due, or other workers are at it.

    Must not be called in a transaction.
    """
    due = Run.objects.filter(active_key=ACTIVE, due_at__lte=now).order_by("due_at", "id")
    claimed = claims.claim(due, limit=1, now=now, lease=config.runs["lease_seconds"])
    return claimed[0] if claimed else None


def begin(run: Run, *, now: dt.datetime, total: int | None) -> None:
    """Note that a worker begins, with how much there is to do. Raises ClaimLostError."""
    started_at = run.started_at or now
    _renew(run, now, total=total, started_at=started_at)


def commit_step(run: Run, step: Step, *, now: dt.datetime) -> bool:
    """
    Do the work of a step and store the progress, in one transaction.

    Return False, and do nothing, when the run is to be cancelled. Raises ClaimLostError.
    """
    with transaction.atomic():
        # The run's row first: it is locked until the commit, so nobody else can carry out the same step.
        _renew(run, now, done=F("done") + step.done, cursor=json.dumps(step.cursor), attempts=1)
        stored = Run.objects.only("cancel_requested", "counts", "done").get(pk=run.pk)
        if stored.cancel_requested:
            transaction.set_rollback(True)
            return False
        counts = stored.read_counts()
        for name, number in (step.work() or {}).items():
            counts[name] = counts.get(name, 0) + number
        if counts:
            claims.still_claimed([run]).update(counts=json.dumps(counts, sort_keys=True))
    run.done, run.counts, run.attempts = stored.done, json.dumps(counts, sort_keys=True), 1
    return True


def close(run: Run, state: RunState, *, now: dt.datetime, note: str = "", result: str = "") -> None:
    """End a claimed run. ``result`` is the name of its file in the storage. Raises ClaimLostError."""
    changes = {"result": result} if result else {}
    if not _close(claims.still_claimed([run]), state, now, note=note[:NOTE_LENGTH], **changes):
        raise ClaimLostError


def reschedule(run: Run, *, due_at: dt.datetime, note: str) -> None:
    """Let a claimed run go on at ``due_at``. The attempt counts."""
    claims.reschedule([run], due_at=due_at, note=note[:NOTE_LENGTH])


def release(run: Run, *, now: dt.datetime) -> None:
    """Give a claimed run to another worker, which goes on at once. No attempt is lost."""
    claims.release([run], due_at=now)


def delete_closed(*, before: dt.datetime, limit: int) -> int:
    """Delete at most ``limit`` runs that were closed before a time, with their results; return how many."""
    old = list(Run.objects.filter(finished_at__lt=before, active_key=None).order_by("finished_at")[:limit])
    for run in old:
        if run.result:
            run.result.delete(save=False)
    Run.objects.filter(pk__in=[run.pk for run in old], active_key=None).delete()
    return len(old)


def _renew(run: Run, now: dt.datetime, **changes: Any) -> None:
    if not claims.renew([run], now=now, lease=config.runs["lease_seconds"], **changes):
        raise ClaimLostError


def _close(rows: Any, state: RunState, now: dt.datetime, **changes: Any) -> int:
    return rows.update(
        state=state,
        active_key=None,
        due_at=None,
        claim=None,
        finished_at=now,
        cancel_requested=False,
        **changes,
    )
