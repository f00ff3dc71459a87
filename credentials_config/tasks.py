"""
Celery tasks. Each calls the module of ``issuing`` that does the work.

The rows say what there is to do, so a task that is lost or repeated does no harm. Only ``scheduled`` has an argument:
the configuration whose periodic task fired. It writes a row for it and ends.

Tasks are acknowledged late, and make documents for a short time only, so a worker can be stopped at any time. A run is
not cut into parts, because it begins anew when another worker takes it; it has six hours.
"""

from __future__ import annotations

from typing import Any

from celery import shared_task

from badges import api as badges
from credentials_config.issuing import document_queue, generation, maintenance, run_queue, runs
from credentials_config.issuing.periodic import SCHEDULED_TASK
from credentials_config.models import CredentialConfiguration, RunCause

# How long one task makes documents before the next one goes on.
GENERATION_SECONDS = 30.0

OPTIONS: dict[str, Any] = {"acks_late": True, "ignore_result": True}


@shared_task(name=SCHEDULED_TASK, soft_time_limit=60, time_limit=90, **OPTIONS)
def scheduled(configuration_id: int) -> None:
    """Request a run of a configuration whose schedule fired."""
    configuration = CredentialConfiguration.objects.filter(pk=configuration_id).first()
    if configuration is not None:
        run_queue.request(configuration, cause=RunCause.SCHEDULE)


@shared_task(name=run_queue.TASK, soft_time_limit=6 * 3600, time_limit=6 * 3600 + 60, **OPTIONS)
def run() -> None:
    """Carry out the run that waits longest, and let another task take the next one."""
    claimed = run_queue.claim()
    if claimed is not None:
        runs.carry_out(claimed)
        run.delay()


@shared_task(name=document_queue.TASK, soft_time_limit=900, time_limit=930, **OPTIONS)
def make() -> None:
    """Make documents that are due, and let another task go on when some are left."""
    generation.make_due(seconds=GENERATION_SECONDS)
    if document_queue.anything_due():
        make.delay()


@shared_task(name="credentials_config.sweep", soft_time_limit=300, time_limit=330, **OPTIONS)
def sweep() -> None:
    """Let credentials expire, and notify workers of work whose notification was lost. Beat sends this every minute."""
    maintenance.expire()
    if run_queue.anything_due():
        badges.notify_worker_on_commit(run_queue.TASK)
    if document_queue.anything_due():
        document_queue.notify_worker_on_commit()


@shared_task(name="credentials_config.maintain", soft_time_limit=3600, time_limit=3700, **OPTIONS)
def maintain() -> None:
    """Open closed contexts again whose end date was moved, and delete old runs. Beat sends this once a day."""
    maintenance.reopen()
    maintenance.delete_old_runs()
