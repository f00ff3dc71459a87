"""
The queue of runs: a person starts, cancels, resumes or undoes a run, and one worker at a time has it.

A run is a row before anything is done, so no request gets lost. Only the worker that has the claim changes the
progress of a run; for any other the functions raise ClaimLostError.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from badges.common.claims import ClaimLostError, Claims
from badges.exceptions import Permanent
from badges.outbox.worker_notifications import CARRY_OUT_RUNS, notify_worker_on_commit
from badges.runs import kinds, results
from badges.runs.kinds import Step
from badges.runs.models import ACTIVE, NOTE_LENGTH, Run, RunMode, RunState

claims = Claims(Run, unfinished=Q(active_key=ACTIVE), counts=("attempts",))

# How many runs a worker tries to claim, one after the other, before it leaves the rest to other workers.
SEEN = 20


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
        task=known.task,
        subject=known.subject(checked),
        mode=mode,
        parameters=json.dumps(checked, sort_keys=True),
    )


def apply_plan(plan: Run, *, person: Any = None, now: dt.datetime | None = None) -> Run:
    """
    Write a run that does what a plan that is done has found out, and notify a worker when the transaction commits.

    It looks at everything anew, so it does what is right then. Raises RunRefused when the plan is not done, its kind
    cannot be applied, or another run of its kind and subject is open; and Permanent when a parameter is wrong by now.
    """
    if not can_apply(plan):
        raise RunRefused("Only a plan that is done can be applied.")
    with transaction.atomic():
        run = start(plan.kind, mode=RunMode.APPLY, parameters=plan.read_parameters(), person=person, now=now)
        kinds.get(plan.kind).prepare_apply(plan.pk, run.pk)
    return run


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
            task=run.task,
            subject=run.subject,
            mode=RunMode.UNDO,
            parameters=run.parameters,
            undoes=run,
            asked_by=person,
            asked_at=now or timezone.now(),
            due_at=now or timezone.now(),
        )
    )


def join(kind: str, *, subject: str, person: Any = None) -> Run | None:
    """
    Return the open run of a kind and subject, or None; it is locked until the caller's transaction ends.

    Must be called in a transaction. ``person`` is noted as who asked for it, unless somebody has asked before. A worker
    is notified.
    """
    pk = Run.objects.filter(kind=kind, subject=subject, active_key=ACTIVE).values_list("pk", flat=True).first()
    # By primary key alone: InnoDB would lock the index of kind and subject first, and a worker that closes the run
    # locks it second.
    run = Run.objects.select_for_update().filter(pk=pk).first() if pk else None
    if run is None or not run.is_open:
        return None
    if person is not None and run.asked_by_id is None:
        run.asked_by = person
        run.save(update_fields=["asked_by"])
    notify_worker_on_commit(run.task)
    return run


def can_undo(run: Run) -> bool:
    """Return whether ``undo`` would take back what a run has applied."""
    if run.is_open or run.mode != RunMode.APPLY or Run.objects.filter(undoes=run).exists():
        return False
    try:
        return RunMode.UNDO in kinds.get(run.kind).modes
    except Permanent:  # the package that brings the kind is gone
        return False


def can_apply(plan: Run) -> bool:
    """Return whether ``apply_plan`` would do what a plan has found out, as far as the plan itself tells."""
    if plan.mode != RunMode.PLAN or plan.state != RunState.DONE:
        return False
    try:
        return RunMode.APPLY in kinds.get(plan.kind).modes
    except Permanent:  # the package that brings the kind is gone
        return False


def can_resume(run: Run) -> bool:
    """Return whether ``resume`` would let a run go on, as far as the run itself tells."""
    return run.state in (RunState.CANCELLED, RunState.FAILED) and not Run.objects.filter(undoes=run).exists()


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

    Raises RunRefused when it is neither, when it was undone, or another run of its kind and subject is open.
    """
    if Run.objects.filter(undoes=run).exists():
        raise RunRefused("This run was undone. Start a new one.")
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
            notify_worker_on_commit(run.task)
    except IntegrityError:
        raise _another_is_open(run) from None
    if not resumed:
        raise RunRefused("Only a cancelled or failed run can be resumed.")


def _write(run: Run) -> Run:
    try:
        with transaction.atomic():
            run.save(force_insert=True)
            notify_worker_on_commit(run.task)
    except IntegrityError:
        raise _another_is_open(run) from None
    return run


def _another_is_open(run: Run) -> RunRefused:
    about = f" about {run.subject}" if run.subject else ""
    return RunRefused(f"Another run of the kind {run.kind}{about} is open. Wait for it, or cancel it.")


# --- by workers ------------------------------------------------------------------------------------------------------


def due(*, now: dt.datetime, task: str = CARRY_OUT_RUNS) -> QuerySet[Run]:
    """Return the runs that wait for a worker of a task, the longest due first."""
    return Run.objects.filter(active_key=ACTIVE, task=task, due_at__lte=now).order_by("due_at", "id")


def claim(*, now: dt.datetime, task: str = CARRY_OUT_RUNS, run_id: uuid.UUID | None = None) -> Run | None:
    """
    Claim the run that is due longest, or the one with this id; committed when this returns.

    ``task``: of the runs that this task carries out. None: nothing is due, or other workers are at it. Must not be
    called in a transaction.
    """
    waiting = due(now=now, task=task)
    waiting = waiting[:SEEN] if run_id is None else waiting.filter(pk=run_id)
    for pk, kind in list(waiting.values_list("pk", "kind")):
        # One by one: a claim of several rows does not promise to take the one that waits longest.
        one = due(now=now, task=task).filter(pk=pk)
        if claimed := claims.claim(one, limit=1, now=now, lease=kinds.limits_of(kind).lease_seconds):
            return claimed[0]
    return None


def begin(run: Run, *, now: dt.datetime, total: int | None, starts_over: bool = False) -> None:
    """
    Note that a worker begins, with how much there is to do. ``starts_over``: progress and counts begin at zero.

    Raises ClaimLostError.
    """
    anew = {"done": 0, "counts": "{}", "cursor": "null"} if starts_over else {}
    changes = {"total": total, "started_at": run.started_at or now, **anew}
    _renew(run, now, **changes)
    for name, value in changes.items():
        setattr(run, name, value)


def commit_step(run: Run, step: Step, *, now: dt.datetime, keeps_attempts: bool = False) -> bool:
    """
    Do the work of a step and store the progress, in one transaction; the run is closed in it when the step ends it.

    Return False, and do nothing, when the run is to be cancelled. ``keeps_attempts``: the attempts do not begin anew
    with this step. Raises ClaimLostError.
    """
    attempts = F("attempts") if keeps_attempts else 1
    with transaction.atomic():
        # The run's row first: it is locked until the commit, so nobody else can carry out the same step.
        _renew(run, now, done=F("done") + step.done, cursor=json.dumps(step.cursor), attempts=attempts)
        stored = Run.objects.only("cancel_requested", "counts", "done", "attempts").get(pk=run.pk)
        if stored.cancel_requested:
            transaction.set_rollback(True)
            return False
        counts = stored.read_counts()
        counted = step.work() or {}
        for name, number in counted.items():
            counts[name] = counts.get(name, 0) + number
        if counted:
            claims.still_claimed([run]).update(counts=json.dumps(counts, sort_keys=True))
        if ending := step.ends(counts):
            close(run, ending.state, now=now, note=ending.note)
    run.done, run.counts, run.attempts = stored.done, json.dumps(counts, sort_keys=True), stored.attempts
    if ending:
        run.state = ending.state
    return True


def close(run: Run, state: RunState, *, now: dt.datetime, note: str = "") -> None:
    """End a claimed run. Raises ClaimLostError."""
    if not _close(claims.still_claimed([run]), state, now, note=note[:NOTE_LENGTH]):
        raise ClaimLostError


def note_result(run: Run, name: str, *, expected: str | None = None) -> bool:
    """
    Write which result a worker is about to compute or to store: a folder, which ends with a slash, or a file.

    Return False, and do nothing, when the row does not have the ``expected`` one. Raises ClaimLostError.
    """
    return _if_expected(run, expected, lambda rows: rows.update(result=name))


def close_with_result(run: Run, result: str, *, expected: str, now: dt.datetime) -> bool:
    """
    End a claimed run as done. ``result`` is the name of its file in the storage; blank: it has none.

    Return False, and do nothing, when the row does not have the ``expected`` result. Raises ClaimLostError.
    """
    return _if_expected(run, expected, lambda rows: _close(rows, RunState.DONE, now, note="", result=result))


def _if_expected(run: Run, expected: str | None, change: Callable[[QuerySet[Run]], int]) -> bool:
    claimed = claims.still_claimed([run])
    if change(claimed if expected is None else claimed.filter(result=expected)):
        return True
    if claimed.exists():
        return False
    raise ClaimLostError


def reschedule(run: Run, *, due_at: dt.datetime, note: str | None = None) -> None:
    """Let a claimed run go on at ``due_at``. The attempt counts. Without a ``note`` it keeps the one that it has."""
    claims.reschedule([run], due_at=due_at, **({} if note is None else {"note": note[:NOTE_LENGTH]}))


def release(run: Run, *, now: dt.datetime) -> None:
    """Give a claimed run to another worker, which goes on at once. No attempt is lost."""
    claims.release([run], due_at=now)


def delete_old(*, now: dt.datetime, limit: int, kind: str | None = None) -> int:
    """
    Delete closed runs, with their results, that are older than their kind allows; return how many.

    ``kind``: only of this kind. ``limit``: how many runs one statement deletes.
    """
    names = [kind] if kind else list(Run.objects.order_by().values_list("kind", flat=True).distinct())
    total = 0
    for name in names:
        days = kinds.limits_of(name).keep_days
        if days is None:
            continue
        while gone := _delete_closed(name, now - dt.timedelta(days=days), limit):
            total += gone
    return total


def _delete_closed(kind: str, before: dt.datetime, limit: int) -> int:
    closed = Run.objects.filter(kind=kind, finished_at__lt=before, active_key=None)
    old = list(closed.order_by("finished_at")[:limit])
    for run in old:
        if results.is_file(run.result.name):
            run.result.delete(save=False)
    Run.objects.filter(pk__in=[run.pk for run in old], active_key=None).delete()
    return len(old)


def _renew(run: Run, now: dt.datetime, **changes: Any) -> None:
    if not claims.renew([run], now=now, lease=kinds.limits_of(run.kind).lease_seconds, **changes):
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
