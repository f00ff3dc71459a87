"""Read the templates of providers, and let those here follow."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges.common.stopping import stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.issuers import registry
from badges.issuers.run_kinds import SYNC
from badges.management import run_commands
from badges.runs.models import Run, RunMode


class Command(BaseCommand):
    """``sync_badge_templates [--provider SLUG] [--organization ID] [--plan]``."""

    help = (
        "Read the badge templates of all organizations at all providers, or of some: new ones get an inactive template "
        "here, changed names and descriptions are taken over where nobody has edited them, and what is archived or "
        "deleted there is archived here. Nothing is deleted. After a kill or Ctrl-C give the same command again: it "
        "goes on where it stopped. Exit code 1: an organization could not be synced; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--provider", metavar="SLUG", help="Only this provider, such as credly.")
        parser.add_argument(
            "--organization",
            "--organization_id",
            metavar="ID",
            help="Only this organization, by its id at the provider.",
        )
        parser.add_argument("--plan", action="store_true", help="Change nothing, and say what would be done.")

    def handle(self, *args: Any, provider: str | None, organization: str | None, plan: bool, **options: Any) -> None:
        mode = RunMode.PLAN if plan else RunMode.APPLY
        wanted = self._wanted(provider, organization)
        failed = []
        with stop_on_signals() as stop:
            for slug, identifier in wanted:
                try:
                    parameters = {"provider": slug, "organization": identifier}
                    run = run_commands.started(SYNC, parameters, mode=mode, stdout=self.stdout)
                    verbosity = options["verbosity"]
                    run_commands.carry_out(run, stop, unit="templates", stderr=self.stderr, verbosity=verbosity)
                    self._report(slug, identifier, run)
                except run_commands.Stopped:
                    raise
                except (CommandError, Permanent, Retryable) as error:
                    self.stderr.write(f"{slug} {identifier}: {error}")
                    failed.append(identifier)
        if failed:
            raise CommandError(f"{len(failed)} of {len(wanted)} organizations could not be synced; see above.")

    def _wanted(self, provider: str | None, organization: str | None) -> list[tuple[str, str]]:
        """Return the organizations that are asked for (provider, id)."""
        issuers = registry.working()
        if provider is not None and provider not in issuers:
            raise CommandError(f"--provider: there is no {provider!r} here. Installed: {', '.join(issuers) or 'none'}.")
        named = [each for each in issuers if provider in (None, each) and issuers[each].can_sync]
        if provider is not None and not named:
            raise CommandError(f"--provider: {provider} has no list of templates that is understood here.")
        known = [(slug, identifier) for slug in named for identifier in issuers[slug].organizations()]
        if organization is not None:
            known = [(slug, each) for slug, each in known if issuers[slug].organization_id(organization) == each]
        if not known:
            about = f" {organization!r}" if organization else ""
            raise CommandError(
                f"There is no organization{about} with credentials here. Add it in the admin, or in the settings."
            )
        return known

    def _report(self, provider: str, organization: str, run: Run) -> None:
        self.stdout.write(f"{provider} {organization}: {run_commands.counts_of(run) or 'there are no templates'}.")
        if run.mode == RunMode.PLAN:
            self.stdout.write("Nothing was changed. To do it, give the same command without --plan.")
