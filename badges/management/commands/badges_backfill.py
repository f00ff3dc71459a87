"""Give the badges of templates to those who have earned them by events that arrived before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from badges.backfill.run_kinds import KIND, count_people
from badges.common.stopping import stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.management.runs import RunCommand
from badges.runs import queue
from badges.runs.models import ACTIVE, Run, RunMode


class Command(RunCommand):
    """``badges_backfill --template SLUG… [--since TIME] [--event-time] [--plan|--apply]``."""

    unit, result_says = "people", "Who gains what"
    help = (
        "Give the badges of templates to those who have earned them by logged events, which arrived before the "
        "templates were there or demanded what they do now. Without --apply nothing is given: the command says who "
        "would gain. Nobody loses anything. After a kill or Ctrl-C give the same command again: it goes on where it "
        "stopped. Exit code 1: the run did not end; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--template", nargs="+", required=True, metavar="SLUG", help="Templates that are active.")
        parser.add_argument(
            "--since", metavar="TIME", help="Leave out events that happened before, such as 2026-09-01T00:00:00+00:00."
        )
        parser.add_argument(
            "--event-time",
            action="store_true",
            help="The badges count as awarded when the event happened that completed them. Otherwise: now.",
        )
        modes = parser.add_mutually_exclusive_group()
        modes.add_argument("--plan", action="store_true", help="Only find out who would gain. This is the default.")
        modes.add_argument("--apply", action="store_true", help="Give the badges.")
        parser.add_argument("--by", metavar="USERNAME", help="Who asks for it: an account of this host.")
        parser.add_argument("--result", type=Path, metavar="FILE", help="Write who gains what by which events, as CSV.")

    def handle(self, *args: Any, **options: Any) -> None:
        person = self.account(options["by"])
        try:
            run = self._started(options, person)
            with stop_on_signals() as stop:
                total = count_people(run.read_parameters())
                self.carry_out(run, stop, total=total, verbosity=options["verbosity"])
            self.report(run, options["result"])
        except (Permanent, Retryable) as error:
            raise CommandError(str(error)) from error
        if run.mode == RunMode.PLAN:
            self.stdout.write("Nothing was given. To give the badges, give the same command with --apply.")

    def _started(self, options: dict[str, Any], person: Any) -> Run:
        """Start the run, or return the open one that asks for the same, which is to go on."""
        given = {"templates": options["template"], "since": options["since"], "event_time": options["event_time"]}
        mode = RunMode.APPLY if options["apply"] else RunMode.PLAN
        try:
            return queue.start(KIND, mode=mode, parameters=given, person=person)
        except queue.RunRefused:
            asked = queue.prepare(KIND, mode=mode, parameters=given)
            same = Run.objects.filter(kind=KIND, active_key=ACTIVE, subject=asked.subject, mode=mode)
            run = same.filter(parameters=asked.parameters).first()
            if run is None:
                raise
            self.stdout.write(f"There is an open run of the same, {run.pk}, which goes on.")
            return run
