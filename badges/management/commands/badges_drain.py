"""Process the inbox, the outbox, runs and badges at their end, without Celery or a broker."""

from __future__ import annotations

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from badges import delivery, granting, pipeline
from badges.common.stopping import stop_on_signals
from badges.delivery import DeliveryResult
from badges.exceptions import Retryable
from badges.issuers import schedules
from badges.mail.reminders import remind_due
from badges.outbox import mailbox
from badges.runs import worker as run_worker

# The wait when nothing is due, and the time between two progress lines.
IDLE_SECONDS = 1.0
REPORT_SECONDS = 5.0

# How long outbox rows are delivered, and runs carried out, before the inbox is processed again.
DELIVERY_SECONDS = 5.0
RUN_SECONDS = 5.0

# With --forever: how often badges at their end are looked for.
EXPIRE_SECONDS = 60.0

# With --forever: how often it is asked whether the events of a provider are to be read again.
SWEEP_SECONDS = 600.0

DEAD_LETTERS = "The admin says what is wrong with each (inbox and outbox messages); correct it, and retry it there."


class Command(BaseCommand):
    """Decide what waits in the inbox, deliver what is due in the outbox, carry out runs, and what is due by time."""

    help = (
        "Decide events that wait in the inbox, deliver what is due in the outbox, carry out runs, mark badges that "
        "are at their end as expired, remind learners of ends, and once a day read the events of providers, then end; "
        "with --forever keep doing so until SIGTERM or Ctrl-C, which finishes the rows that have begun. Needs no "
        "Celery and no broker, and may run beside both. Exit code 1: dead letters were made."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--forever", action="store_true", help="Do not end when both mailboxes are empty.")

    def handle(self, *args: Any, forever: bool, **options: Any) -> None:
        self._totals = Totals()
        self._reported_at = time.monotonic()
        self._expire_at = self._sweep_at = time.monotonic()
        with stop_on_signals() as self._stop:
            if forever:
                self.stdout.write("Working through both mailboxes until SIGTERM or Ctrl-C.")
                self.stdout.flush()
            self._work(forever)
        self._write_summary(forever)

    def _work(self, forever: bool) -> None:
        while not self._stop.requested:
            try:
                idle = self._process_both()
            except Retryable as error:  # the database is unavailable
                if not forever:
                    raise CommandError(f"{error} Run this again when the database is back.") from error
                self.stderr.write(f"{error} Still trying.")
                continue
            if idle and not forever:
                return
            if idle:
                self._stop.wait(IDLE_SECONDS)

    def _process_both(self) -> bool:
        """Process some rows of both mailboxes. Return whether nothing is due."""
        self._sweep_providers()
        expired = self._expire()
        result = pipeline.process_pending()
        self._totals.add_events(result)
        if self._stop.requested:
            return True
        done = delivery.drain(seconds=DELIVERY_SECONDS, should_stop=self._stop)
        self._totals.add_rows(done)
        runs = self._carry_out_runs()
        self._totals.add_runs(runs)
        self._report()
        return not result.seen and not done.more and not runs and not expired

    def _expire(self) -> int:
        """Mark some badges at their end, and remind learners of ends; at the beginning, and then once a minute."""
        if time.monotonic() < self._expire_at:
            return 0
        expired = granting.expire_due(now=timezone.now())
        self._totals.add_expired(expired)
        found = expired + remind_due(now=timezone.now())
        if not found:
            self._expire_at = time.monotonic() + EXPIRE_SECONDS
        return found

    def _sweep_providers(self) -> None:
        """Start the daily runs that read events of providers, where they are due."""
        if time.monotonic() >= self._sweep_at:
            schedules.start_sweeps(now=timezone.now())
            self._sweep_at = time.monotonic() + SWEEP_SECONDS

    def _carry_out_runs(self) -> int:
        ends_at = time.monotonic() + RUN_SECONDS
        return run_worker.work(should_stop=lambda: self._stop.requested or time.monotonic() > ends_at)

    def _report(self) -> None:
        if time.monotonic() - self._reported_at > REPORT_SECONDS and self._totals.changed:
            self._reported_at = time.monotonic()
            self._totals.changed = False
            self.stderr.write(f"… {self._totals}")

    def _write_summary(self, forever: bool) -> None:
        self.stdout.write(f"{self._totals}.")
        if next_due_at := mailbox.next_due_at():
            seconds = max((next_due_at - timezone.now()).total_seconds(), 0)
            self.stdout.write(
                f"Rows are waiting for their next try, the first in {seconds:.0f} s. "
                "Run this again then, keep it running with --forever, or start a Celery worker with beat."
            )
        if self._totals.dead and not forever:
            raise CommandError(f"{self._totals.dead} dead letters were made. {DEAD_LETTERS}")
        if self._totals.dead:
            self.stdout.write(f"{self._totals.dead} dead letters were made. {DEAD_LETTERS}")


class Totals:
    """Counts of a run. As text it is the summary line."""

    def __init__(self) -> None:
        self.decided = self.awarded = self.revoked = self.delivered = self.rescheduled = self.postponed = self.dead = 0
        self.runs = self.expired = 0
        self.changed = False

    def add_events(self, result: pipeline.BatchResult) -> None:
        self.decided += result.seen
        self.awarded += result.awarded
        self.revoked += result.revoked
        self.dead += result.dead
        self.changed = self.changed or bool(result.seen)

    def add_rows(self, done: DeliveryResult) -> None:
        self.delivered += done.delivered
        self.rescheduled += done.rescheduled
        self.postponed += done.postponed
        self.dead += done.dead
        self.changed = self.changed or bool(done.seen)

    def add_expired(self, expired: int) -> None:
        self.expired += expired
        self.changed = self.changed or bool(expired)

    def add_runs(self, claimed: int) -> None:
        self.runs += claimed
        self.changed = self.changed or bool(claimed)

    def __str__(self) -> str:
        parts = [f"Events decided: {self.decided}", f"badges awarded: {self.awarded}", f"delivered: {self.delivered}"]
        parts[2:2] = [f"revoked: {self.revoked}"] if self.revoked else []
        parts += [f"to be tried again: {self.rescheduled}"] if self.rescheduled else []
        parts += [f"postponed, since the other side is down: {self.postponed}"] if self.postponed else []
        parts += [f"dead letters: {self.dead}"] if self.dead else []
        parts += [f"turns at runs: {self.runs}"] if self.runs else []
        parts += [f"badges expired: {self.expired}"] if self.expired else []
        return ", ".join(parts)
