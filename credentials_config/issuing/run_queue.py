"""
The queue of runs: a run is asked for, and claimed by one worker.

The runs are rows of ``badges.runs`` with the kind ``credentials``; the subject is the id of the configuration, so that
each configuration has at most one open run. ``CredentialRun`` holds what only these runs have. A run is a row before
anything is done, so no request gets lost.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from badges import api as badges
from badges.database import retry_transient
from credentials_config.issuing.errors import DATABASE_GIVE_UP_SECONDS
from credentials_config.models import CredentialConfiguration, CredentialRun, RunCause

# The kind of the runs, and the Celery task that carries them out.
KIND = "credentials"
TASK = "credentials_config.run"


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

    def work() -> CredentialRun:
        with transaction.atomic():
            if run := _join(configuration, cause, person, ignore_dates):
                return run
            return _start(configuration, cause, person, ignore_dates, now)

    def join_or_start() -> CredentialRun:
        try:
            return work()
        except badges.RunRefused:  # somebody else asked at the same moment
            return work()

    return retry_transient(join_or_start, give_up_seconds=DATABASE_GIVE_UP_SECONDS)


def anything_due(*, now: dt.datetime | None = None) -> bool:
    """Return whether a run waits for a worker."""
    return badges.due_runs(now=now or timezone.now(), task=TASK).exists()


def due(*, now: dt.datetime | None = None) -> QuerySet[CredentialRun]:
    """Return the runs that wait for a worker, the longest due first."""
    waiting = badges.due_runs(now=now or timezone.now(), task=TASK).values("pk")
    return CredentialRun.objects.filter(run__in=waiting).order_by("run__due_at", "run_id").select_related("run")


def claim(*, now: dt.datetime | None = None, run: CredentialRun | None = None) -> CredentialRun | None:
    """
    Claim the run that waits longest, or this one; committed when this returns.

    Returns None when no run is due, or another worker has it. Must not be called in a transaction.
    """
    at = now or timezone.now()
    run_id = None if run is None else run.pk
    related = CredentialRun.objects.select_related("configuration__credential_type")
    while (claimed := badges.claim_run(now=at, task=TASK, run_id=run_id)) is not None:
        if found := related.filter(pk=claimed.pk).first():
            found.run = claimed
            return found
        badges.carry_out_run(claimed, now=lambda: at)  # its configuration was deleted, so this closes it
    return None


def _join(
    configuration: CredentialConfiguration, cause: RunCause, person: Any, ignore_dates: bool
) -> CredentialRun | None:
    """Ask for the run that is open, as far as it is not asked for in that way; None when none is open."""
    joined = badges.join_run(KIND, subject=str(configuration.pk), person=person)
    if joined is None:
        return None
    run = CredentialRun.objects.get(pk=joined.pk)
    run.run = joined
    run.ignore_dates = run.ignore_dates or ignore_dates
    if run.cause == RunCause.SCHEDULE:
        run.cause = cause
    run.save(update_fields=["ignore_dates", "cause"])
    return run


def _start(
    configuration: CredentialConfiguration,
    cause: RunCause,
    person: Any,
    ignore_dates: bool,
    now: dt.datetime | None,
) -> CredentialRun:
    parameters = {"configuration": configuration.pk}
    run = badges.start_run(KIND, mode=badges.RunMode.APPLY, parameters=parameters, person=person, now=now)
    return CredentialRun.objects.create(run=run, configuration=configuration, cause=cause, ignore_dates=ignore_dates)
