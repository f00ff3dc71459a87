"""The work of Celery and its beat in one process: schedules, runs, documents and expiry."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.management.base import OutputWrapper
from django.utils import timezone

from badges.common.stopping import StopRequest
from credentials_config.issuing import generation, maintenance, periodic, run_queue, runs
from credentials_config.management.reporting import summary_of
from credentials_config.models import RunCause

# How long the process waits when nothing was to be done, and how long it makes documents before it looks for runs.
IDLE_SECONDS = 1.0
GENERATION_SECONDS = 30.0

# How often due schedules, expiry, and closed contexts are looked at.
SCHEDULES_SECONDS, EXPIRY_SECONDS, DAILY_SECONDS = 5.0, 60.0, 24 * 3600.0


def run_schedules(stop: StopRequest, *, stdout: OutputWrapper) -> None:
    """Work until ``stop`` is requested. A failure is recorded on its row, as it is with Celery."""
    periodic_work = [
        _PeriodicWork(SCHEDULES_SECONDS, _request_due_runs),
        _PeriodicWork(EXPIRY_SECONDS, maintenance.expire),
        _PeriodicWork(DAILY_SECONDS, maintenance.reopen),
        _PeriodicWork(DAILY_SECONDS, maintenance.delete_old_runs),
    ]
    while not stop.requested:
        for work in periodic_work:
            work.run_if_due()
        worked = False
        while not stop.requested and (run := run_queue.claim()) is not None:
            stdout.write(summary_of(runs.carry_out(run, should_stop=stop)))
            worked = True
        result = generation.make_due(seconds=GENERATION_SECONDS, should_stop=stop)
        if result.seen:
            stdout.write(f"Documents made: {result.made}, failed: {result.failed}, postponed: {result.postponed}.")
        elif not worked:
            stop.wait(IDLE_SECONDS)


def _request_due_runs() -> None:
    for configuration in periodic.due(timezone.now()):
        run_queue.request(configuration, cause=RunCause.SCHEDULE)


class _PeriodicWork:
    """Something that is done every so many seconds, for the first time at once."""

    def __init__(self, seconds: float, do: Callable[[], object]):
        self._seconds, self._do = seconds, do
        self._due_at = time.monotonic()

    def run_if_due(self) -> None:
        if time.monotonic() >= self._due_at:
            self._do()
            self._due_at = time.monotonic() + self._seconds
