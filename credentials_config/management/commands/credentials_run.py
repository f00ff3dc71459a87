"""Run configurations and make their documents in this process, without Celery."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from badges.api import RunState
from badges.common.stopping import StopRequest, stop_on_signals
from credentials_config.issuing import maintenance, run_queue
from credentials_config.management.reporting import carry_out, make_documents, summary_of
from credentials_config.management.scheduler import run_schedules
from credentials_config.models import Credential, CredentialConfiguration, RunCause

NEXT_STEP = "E-mails wait in the outbox: a Celery worker or badges_drain sends them."


class Command(BaseCommand):
    """Run the enabled configurations as their schedules would, and make the documents that are due."""

    help = (
        "Look for eligible learners in all enabled configurations (or those named), make their documents, then end. "
        "The command also continues the work of a killed worker, lets credentials expire, and opens contexts again "
        "whose end has moved. With --forever it keeps doing so as the schedules say, until SIGTERM or Ctrl-C. It needs "
        "no Celery and no broker, and may run beside both. Exit code 1: something failed; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--configuration", type=int, action="append", metavar="ID", help="Only this; repeatable.")
        parser.add_argument("--context", action="append", metavar="KEY", help="Only this context's; repeatable.")
        parser.add_argument("--no-runs", action="store_true", help="Begin nothing new: finish what was begun.")
        parser.add_argument(
            "--forever", action="store_true", help="Do not end; run all configurations by their schedules."
        )

    def handle(self, *args: Any, no_runs: bool, forever: bool, **options: Any) -> None:
        if forever:
            self._run_schedules(bool(options["configuration"] or options["context"] or no_runs))
            return
        chosen = self._chosen(options["configuration"], options["context"])
        named = bool(options["configuration"] or options["context"])
        problems = []
        with stop_on_signals() as stop:
            if not named:
                self._do_housekeeping()
            if not no_runs:
                self._request_runs(chosen)
            only = list(chosen.values_list("pk", flat=True)) if named else None
            problems += self._carry_out(stop, only, options["verbosity"])
            waiting = Credential.objects.filter(due_at__lte=timezone.now())
            if only is not None:
                waiting = waiting.filter(configuration__in=only)
            result = make_documents(
                stop,
                total=waiting.count(),
                stdout=self.stdout,
                stderr=self.stderr,
                verbosity=options["verbosity"],
                configurations=only,
            )
            if result.made:
                self.stdout.write(NEXT_STEP)
            if stop.requested:
                raise CommandError("Stopped before the end. Run this again; it continues where it stopped.")
        problems += self._postponed(chosen)
        if result.failed:
            problems.append(
                f"{result.failed} documents failed and are tried again by themselves a few times; the admin says why "
                "(credentials with the status error)."
            )
        if problems:
            raise CommandError("\n".join(dict.fromkeys(problems)))

    def _run_schedules(self, narrowed: bool) -> None:
        if narrowed:
            raise CommandError("--forever serves all configurations; leave the other options out.")
        self.stdout.write("Running all configurations by their schedules until SIGTERM or Ctrl-C.")
        self.stdout.flush()
        with stop_on_signals() as stop:
            run_schedules(stop, stdout=self.stdout)

    def _chosen(self, ids: list[int] | None, contexts: list[str] | None) -> QuerySet[CredentialConfiguration]:
        chosen = CredentialConfiguration.objects.select_related("credential_type").order_by("pk")
        if ids:
            chosen = chosen.filter(pk__in=ids)
            if missing := sorted(set(ids) - set(chosen.values_list("pk", flat=True))):
                raise CommandError(f"There is no configuration {', '.join(map(str, missing))}. The admin lists them.")
        if contexts:
            chosen = chosen.filter(context_key__in=contexts)
            if missing_keys := sorted(set(contexts) - set(chosen.values_list("context_key", flat=True))):
                raise CommandError(f"No configuration is for {', '.join(missing_keys)}. The admin lists them.")
        return chosen

    def _do_housekeeping(self) -> None:
        if expired := maintenance.expire():
            self.stdout.write(f"Credentials that expired: {expired}.")
        if opened := maintenance.reopen():
            self.stdout.write(f"Contexts that are open again: {opened}.")
        maintenance.delete_old_runs()

    def _request_runs(self, chosen: QuerySet[CredentialConfiguration]) -> None:
        open_configurations = list(chosen.filter(enabled=True, closed_at=None))
        for configuration in open_configurations:
            run_queue.request(configuration, cause=RunCause.SCHEDULE)
        if not open_configurations:
            self.stdout.write("No configuration is enabled and open, so there is nothing to look for.")

    def _carry_out(self, stop: StopRequest, only: list[int] | None, verbosity: int) -> list[str]:
        problems = []
        due = run_queue.due()
        for waiting in due if only is None else due.filter(configuration__in=only):
            run = None if stop.requested else run_queue.claim(run=waiting)
            if run is None:  # another worker carries it out
                continue
            done = carry_out(run, stop, stderr=self.stderr, verbosity=verbosity)
            self.stdout.write(summary_of(done))
            if done.outcome not in (RunState.DONE, RunState.SKIPPED, RunState.CANCELLED) and not stop.requested:
                problems.append(summary_of(done))
        return problems

    def _postponed(self, chosen: QuerySet[CredentialConfiguration]) -> list[str]:
        postponed = chosen.filter(problem_until__gt=timezone.now())
        return [f"The documents of configuration {row.pk} ({row}) are postponed: {row.problem}" for row in postponed]
