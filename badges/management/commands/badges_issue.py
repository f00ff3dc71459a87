"""Issue the badges of a template at a provider that was added to it later."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges.common.stopping import stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.granting.run_kinds import KIND
from badges.management import run_commands
from badges.runs.models import RunMode


class Command(BaseCommand):
    """``badges_issue --template SLUG [--provider SLUG] [--apply]``."""

    help = (
        "Issue the badges of a template at a provider, to those who held the badge before the provider was added to "
        "the template. Without --apply the command only says how many there are. Add the provider to the issuers of "
        "the template first. After a kill or Ctrl-C give the same command again: it goes on where it stopped. Exit "
        "code 1: the run did not end; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--template", required=True, metavar="SLUG", help="The slug of the template.")
        parser.add_argument("--provider", metavar="SLUG", help="Only this provider; by default all of the template.")
        parser.add_argument("--apply", action="store_true", help="Issue. Otherwise the command only plans.")

    def handle(self, *args: Any, template: str, provider: str | None, **options: Any) -> None:
        parameters = {"template": template} if provider is None else {"template": template, "provider": provider}
        mode = RunMode.APPLY if options["apply"] else RunMode.PLAN
        try:
            with stop_on_signals() as stop:
                run = run_commands.started(KIND, parameters, mode=mode, stdout=self.stdout)
                run_commands.carry_out(run, stop, unit="badges", stderr=self.stderr, verbosity=options["verbosity"])
        except (Permanent, Retryable) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Run {run.pk}: {run_commands.counts_of(run) or 'nobody holds the badge'}.")
        if mode == RunMode.PLAN:
            self.stdout.write("Nothing was issued. To do it, give the same command with --apply.")
        else:
            self.stdout.write("The outbox delivers them; the admin page Outbox messages shows how far it is.")
