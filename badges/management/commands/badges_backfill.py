"""Give the badges of templates to those who have earned them by events that arrived before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges.backfill.run_kinds import KIND, count_people
from badges.common.stopping import stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.management import run_commands
from badges.runs.models import RunMode


class Command(BaseCommand):
    """``badges_backfill --template SLUG… [--since TIME] [--event-time] [--plan|--apply]``."""

    help = (
        "Give the badges of templates to those who have earned them by logged events, which arrived before the "
        "templates were there or demanded what they do now. Without --apply nothing is given: the command says who "
        "would gain. Nobody loses a badge. After a kill or Ctrl-C give the same command again: it goes on where it "
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
        person = run_commands.account(options["by"])
        given = {"templates": options["template"], "since": options["since"], "event_time": options["event_time"]}
        mode = RunMode.APPLY if options["apply"] else RunMode.PLAN
        try:
            with stop_on_signals() as stop:
                run = run_commands.started(KIND, given, mode=mode, stdout=self.stdout, person=person)
                run_commands.carry_out(
                    run,
                    stop,
                    unit="people",
                    stderr=self.stderr,
                    verbosity=options["verbosity"],
                    total=count_people(run.read_parameters()),
                )
        except (Permanent, Retryable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Run {run.pk}: {run_commands.counts_of(run) or 'nothing in the event log counts'}.")
        if options["result"] is not None:
            run_commands.write_result(run, options["result"])
            self.stdout.write(f"Who gains what is in {options['result']}.")
        if mode == RunMode.PLAN:
            self.stdout.write("Nothing was given. To give the badges, give the same command with --apply.")
