"""
The queue of runs: a run is asked for, claimed by one worker, and closed, released or rescheduled by that worker.

A run is a row before anything is done, so no request gets lost. Each configuration has at most one open run, which
the database enforces. Only the worker that has the claim can change a run; for any other the functions raise
ClaimLostError or do nothing.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from badges import api as badges
from badges.common.claims import ClaimLostError, Claims
from badges.database import retry_transient
from credentials_config.conf import config
from credentials_config.issuing import periodic
from credentials_config.issuing.errors import DATABASE_GIVE_UP_SECONDS, MESSAGE_LENGTH
from credentials_config.models import ACTIVE, CredentialConfiguration, CredentialRun, RunCause, RunOutcome

# The Celery task that carries out runs.
TASK = "credentials_config.run"

# How many runs a worker tries to claim, one after the other, before it leaves the rest to other workers.
SEEN = 20

claims = Claims(CredentialRun, unfinished=Q(active_key=ACTIVE), due="lease_until", counts=("attempts",))


def request(
    configuration: CredentialConfiguration,
    *,
    cause: RunCause,
    person: Any = None,
    ignore_dates: bool = False,
    now: dt.datetime | None = None,
) -> CredentialRun:
    """
    Return the open run of a configuration, a new one where there is none, and notify a worker.

    ``person``: the user of the host who asks. ``ignore_dates``: this run ignores start, availability and closure.
    When a person or a command asks while a run of the schedule is open, that run becomes theirs. It is then carried out
    even when the configuration is switched off.
    """
    with transaction.atomic():
        run = _open_run(configuration)
        if run is None:
            run = _create(configuration, cause, person, ignore_dates, now or timezone.now())
        changes: dict[str, Any] = {"ignore_dates": True} if ignore_dates and not run.ignore_dates else {}
        if cause != RunCause.SCHEDULE and run.cause == RunCause.SCHEDULE:
            changes |= {"cause": cause, "person": person}
        if changes:
            CredentialRun.objects.filter(pk=run.pk).update(**changes)
            run.refresh_from_db(fields=["ignore_dates", "cause", "person"])
        badges.notify_worker_on_commit(TASK)
    return run


def anything_due(*, now: dt.datetime | None = None) -> bool:
    """Return whether a run waits for a worker."""
    return _due(now or timezone.now()).exists()


def claim(*, now: dt.datetime | None = None, run: CredentialRun | None = None) -> CredentialRun | None:
    """
    Claim the run that waits longest, or this one; committed when this returns.

    Returns None when no run is due, or another worker has it. Must not be called in a transaction.
    """
    now = now or timezone.now()
    waiting = _due(now).values_list("pk", flat=True)[:SEEN] if run is None else [run.pk]
    for pk in list(waiting):
        # One by one: a claim of several rows does not promise to take the one that waits longest.
        due = _due(now).filter(pk=pk)
        if claimed := claims.claim(due, limit=1, now=now, lease=config.issuing["run_lease_seconds"]):
            rows = CredentialRun.objects.select_related("configuration__credential_type")
            return rows.filter(pk=pk, claim=claimed[0].claim).first()
    return None


def renew(run: CredentialRun, now: dt.datetime, **changes: Any) -> None:
    """Let the lease begin again, and write ``changes``. Raises ClaimLostError when another worker has the run."""
    if not claims.renew([run], now=now, lease=config.issuing["run_lease_seconds"], **changes):
        raise ClaimLostError


def close(
    run: CredentialRun,
    now: dt.datetime,
    outcome: RunOutcome,
    note: str = "",
    *,
    final: bool = False,
    unless_forced: bool = False,
) -> bool:
    """
    End a run; returns False when it stays open.

    ``final``: it was the last run of its context, which is closed with it. ``unless_forced``: the run stays open
    when somebody has asked meanwhile to ignore the dates. Raises ClaimLostError when another worker has it.
    """

    def work() -> bool:
        with transaction.atomic():
            changes: dict[str, Any] = {
                "active_key": None,
                "finished_at": now,
                "outcome": outcome,
                "note": note[:MESSAGE_LENGTH],
            }
            if final and run.cause == RunCause.SCHEDULE:
                changes["cause"] = RunCause.FINAL
            still_claimed = claims.still_claimed([run])
            may_close = still_claimed.filter(ignore_dates=False) if unless_forced else still_claimed
            if not may_close.update(claim=None, lease_until=None, **changes):
                if unless_forced and still_claimed.exists():
                    return False
                raise ClaimLostError
            if final:
                CredentialConfiguration.objects.filter(pk=run.configuration_id).update(closed_at=now)
        if final:
            run.configuration.closed_at = now
            periodic.sync_task(run.configuration)
        return True

    return retry_transient(work, give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def reschedule(run: CredentialRun, due_at: dt.datetime, note: str) -> None:
    """Let the run be tried again at ``due_at``. The attempt counts."""
    retry_transient(
        lambda: claims.reschedule([run], due_at=due_at, note=note[:MESSAGE_LENGTH]),
        give_up_seconds=DATABASE_GIVE_UP_SECONDS,
    )


def release(run: CredentialRun, now: dt.datetime) -> None:
    """Give the run to another worker: this one was asked to stop, and stops between chunks. No attempt is lost."""
    retry_transient(lambda: claims.release([run], due_at=now), give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def release_interrupted(run: CredentialRun, now: dt.datetime) -> None:
    """Give the run to another worker in the middle of a chunk. The attempt counts: no worker may ever have the time."""
    retry_transient(lambda: claims.reschedule([run], due_at=now), give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def _open_run(configuration: CredentialConfiguration) -> CredentialRun | None:
    return CredentialRun.objects.filter(configuration=configuration, active_key=ACTIVE).first()


def _create(
    configuration: CredentialConfiguration,
    cause: RunCause,
    person: Any,
    ignore_dates: bool,
    now: dt.datetime,
) -> CredentialRun:
    try:
        with transaction.atomic():
            return CredentialRun.objects.create(
                configuration=configuration,
                cause=cause,
                person=person,
                ignore_dates=ignore_dates,
                started_at=now,
                lease_until=now,
            )
    except IntegrityError:  # somebody else asked at the same moment
        run = _open_run(configuration)
        if run is None:
            raise
        return run


def _due(now: dt.datetime) -> Any:
    return CredentialRun.objects.filter(active_key=ACTIVE, lease_until__lte=now).order_by("lease_until")
