"""Doing all that Celery and its beat would, without them: schedules, runs, documents, expiry, until asked to stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from credentials_config.issuing import generation, maintenance, periodic, run_queue, runs
from credentials_config.management.progress import Stopping, line_of
from credentials_config.models import RunCause

IDLE_SECONDS = 1.0
# How often schedules are looked at, expiry, and closed contexts.
SCHEDULES, EXPIRY, LOOK_AGAIN = 5.0, 60.0, 24 * 3600.0


def watch(stop: Stopping, *, say: Callable[[str], Any]) -> None:
    """Work until ``stop``; what goes wrong is on its row, as with Celery."""
    chores = [
        _Chore(SCHEDULES, _ask_for_due_runs),
        _Chore(EXPIRY, maintenance.expire),
        _Chore(LOOK_AGAIN, maintenance.reopen),
        _Chore(LOOK_AGAIN, maintenance.delete_old_runs),
    ]
    while not stop():
        for chore in chores:
            chore.do_when_due()
        worked = False
        while not stop() and (run := run_queue.claim()) is not None:
            say(line_of(runs.carry_out(run, should_stop=stop)))
            worked = True
        result = generation.make_due(seconds=30.0, should_stop=stop)
        if result.seen:
            say(f"Documents made: {result.made}, failed: {result.failed}, put off: {result.held}.")
        elif not worked:
            stop.wait(IDLE_SECONDS)


def _ask_for_due_runs() -> None:
    for configuration in periodic.due(timezone.now()):
        run_queue.request(configuration, cause=RunCause.SCHEDULE)


class _Chore:
    """Something to do every so many seconds."""

    def __init__(self, seconds: float, work: Callable[[], Any]):
        self._seconds, self._work = seconds, work
        self._due_at = time.monotonic()

    def do_when_due(self) -> None:
        if time.monotonic() >= self._due_at:
            self._work()
            self._due_at = time.monotonic() + self._seconds
