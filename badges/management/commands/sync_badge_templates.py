"""Read the templates of providers, and let those here follow."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from badges.common.progress_bar import ProgressBar
from badges.common.stopping import StopRequest, stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.issuers import registry, webhooks
from badges.issuers.run_kinds import SYNC
from badges.runs import queue, worker
from badges.runs.models import ACTIVE, Run, RunMode, RunState

# The wait between two looks at a run that waits, or that another worker carries out.
WAIT_SECONDS = 1.0


class _Stopped(CommandError):
    """Somebody has stopped the command."""


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
        self._verbosity: int = options["verbosity"]
        mode = RunMode.PLAN if plan else RunMode.APPLY
        wanted = self._wanted(provider, organization)
        failed = []
        with stop_on_signals() as stop:
            for slug, identifier in wanted:
                try:
                    self._report(slug, identifier, self._carry_out(self._started(slug, identifier, mode), stop))
                except _Stopped:
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

    def _started(self, provider: str, organization: str, mode: RunMode) -> Run:
        """Start a run, or return the open one, which is to go on."""
        try:
            return queue.start(SYNC, mode=mode, parameters={"provider": provider, "organization": organization})
        except queue.RunRefused:
            subject = f"{provider}/{webhooks.known_organization(provider, organization)[1]}"
            run = Run.objects.filter(kind=SYNC, subject=subject, active_key=ACTIVE, mode=mode).first()
            if run is None:
                raise
            self.stdout.write(f"{provider} {organization} has an open run, {run.pk}, which goes on.")
            return run

    def _carry_out(self, run: Run, stop: StopRequest) -> Run:
        """Carry a run out, or watch another worker do it, until it is closed."""
        with ProgressBar(self.stderr, unit="templates", total=run.total, verbosity=self._verbosity) as bar:
            while run.is_open:
                claimed = queue.claim(now=timezone.now(), run_id=run.pk)
                if claimed is not None:
                    worker.carry_out(claimed, should_stop=stop, on_progress=lambda changed: bar.show(changed.done))
                elif not stop.requested:
                    stop.wait(WAIT_SECONDS)
                run.refresh_from_db()
                bar.show(run.done)
                if run.is_open and stop.requested:
                    raise _Stopped("Stopped before the end. Give the same command again: it goes on there.")
        return run

    def _report(self, provider: str, organization: str, run: Run) -> None:
        if run.state != RunState.DONE:
            raise CommandError(f"The run is {run.get_state_display()}. {run.note} The admin page Runs can resume it.")
        counts = ", ".join(f"{name}: {number}" for name, number in sorted(run.read_counts().items()))
        self.stdout.write(f"{provider} {organization}: {counts or 'there are no templates'}.")
        if run.mode == RunMode.PLAN:
            self.stdout.write("Nothing was changed. To do it, give the same command without --plan.")
