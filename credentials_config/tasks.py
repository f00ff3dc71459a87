"""
Celery tasks: thin, nameable handles on the conductor.

Only ``scheduled``, which a configuration's periodic task sends, takes an argument; what it asks for is a row when it
ends. Losing or repeating any of the others is harmless: rows say what there is to do. They are acknowledged late and
make documents in short turns, so a worker can be stopped at any time. A run is not cut into turns, since it begins anew
when it is taken up; it has hours.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from badges import api as badges
from credentials_config.issuing import generation, housekeeping, runs
from credentials_config.issuing.periodic import SCHEDULED_TASK
from credentials_config.models import CredentialConfiguration, RunCause

TURN_SECONDS = 30.0

OPTIONS: dict[str, Any] = {"acks_late": True, "ignore_result": True}


@shared_task(name=SCHEDULED_TASK, soft_time_limit=60, time_limit=90, **OPTIONS)
def scheduled(configuration_id: int) -> None:
    """Ask for a run of a configuration: its schedule fired."""
    configuration = CredentialConfiguration.objects.filter(pk=configuration_id).first()
    if configuration is not None:
        runs.request(configuration, cause=RunCause.SCHEDULE)


@shared_task(name=runs.RUN_TASK, soft_time_limit=6 * 3600, time_limit=6 * 3600 + 60, **OPTIONS)
def run() -> None:
    """Carry out the run that waits longest; another task goes on with the next."""
    claimed = runs.claim()
    if claimed is not None:
        runs.carry_out(claimed)
        run.delay()


@shared_task(name=runs.MAKE_TASK, soft_time_limit=900, time_limit=930, **OPTIONS)
def make() -> None:
    """Make documents that are due."""
    generation.make_due(seconds=TURN_SECONDS)
    if generation.anything_due():
        make.delay()


@shared_task(name="credentials_config.sweep", soft_time_limit=300, time_limit=330, **OPTIONS)
def sweep() -> None:
    """Find what nobody was woken for, and let expire what is over. Beat sends this every minute."""
    housekeeping.expire()
    if runs.anything_due():
        badges.notify_worker_on_commit(runs.RUN_TASK)
    if generation.anything_due():
        badges.notify_worker_on_commit(runs.MAKE_TASK)


@shared_task(name="credentials_config.look_again", soft_time_limit=3600, time_limit=3700, **OPTIONS)
def look_again() -> None:
    """Open closed contexts again whose end has moved, and forget old runs. Beat sends this once a day."""
    housekeeping.reopen()
    housekeeping.forget_runs()
