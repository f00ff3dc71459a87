"""Do what Celery would: run schedules of configurations now, and make documents, in this process."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from django.utils import timezone

from credentials_config.issuing import maintenance, run_queue
from credentials_config.management.progress import Stopping, carry_out, line_of, make_documents
from credentials_config.management.watching import watch
from credentials_config.models import Credential, CredentialConfiguration, CredentialRun, RunCause, RunOutcome

NEXT = "E-mails wait in the outbox: a Celery worker or badges_drain sends them."


class Command(BaseCommand):
    """Run enabled configurations as their schedules would, and make what is due."""

    help = (
        "Look for eligible learners in all enabled configurations (or those named), make their documents, then end. "
        "Also takes up what a killed worker left, lets credentials expire, and opens contexts again whose end has "
        "moved. With --forever keep doing so as the schedules say, until SIGTERM or Ctrl-C. Needs no Celery and no "
        "broker, and may run beside both. Exit code 1: something failed and says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--configuration", type=int, action="append", metavar="ID", help="Only this; repeatable.")
        parser.add_argument("--context", action="append", metavar="KEY", help="Only this context's; repeatable.")
        parser.add_argument("--no-runs", action="store_true", help="Begin nothing new: finish what was begun.")
        parser.add_argument(
            "--forever", action="store_true", help="Stay, and run all configurations by their schedules."
        )

    def handle(self, *args: Any, no_runs: bool, forever: bool, **options: Any) -> None:
        if forever:
            self._watch(bool(options["configuration"] or options["context"] or no_runs))
            return
        chosen = self._chosen(options["configuration"], options["context"])
        named = bool(options["configuration"] or options["context"])
        problems = []
        with Stopping() as stop:
            self._keep_house(everything=not named)
            if not no_runs:
                self._ask(chosen)
            only = list(chosen.values_list("pk", flat=True)) if named else None
            problems += self._carry_out(stop, only, options["verbosity"])
            waiting = Credential.objects.filter(due_at__lte=timezone.now())
            if only is not None:
                waiting = waiting.filter(configuration__in=only)
            result = make_documents(
                stop,
                total=waiting.count(),
                verbosity=options["verbosity"],
                say=self.stdout.write,
                configurations=only,
            )
            if result.made:
                self.stdout.write(NEXT)
            if stop():
                raise CommandError("Stopped before the end; run this again, it goes on where it was.")
        problems += self._held(chosen)
        if result.failed:
            problems.append(
                f"{result.failed} documents failed and are tried again by themselves a few times; the admin says why "
                "(credentials with the status error)."
            )
        if problems:
            raise CommandError("\n".join(dict.fromkeys(problems)))

    def _watch(self, narrowed: bool) -> None:
        if narrowed:
            raise CommandError("--forever serves all configurations; leave the other options out.")
        self.stdout.write("Running all configurations by their schedules until SIGTERM or Ctrl-C.")
        self.stdout.flush()
        with Stopping() as stop:
            watch(stop, say=self.stdout.write)

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

    def _keep_house(self, *, everything: bool) -> None:
        if not everything:
            return
        if expired := maintenance.expire():
            self.stdout.write(f"Credentials that expired: {expired}.")
        if opened := maintenance.reopen():
            self.stdout.write(f"Contexts that are open again: {opened}.")
        maintenance.delete_old_runs()

    def _ask(self, chosen: QuerySet[CredentialConfiguration]) -> None:
        asked = 0
        for configuration in chosen.filter(enabled=True, closed_at=None):
            run_queue.request(configuration, cause=RunCause.SCHEDULE)
            asked += 1
        if not asked:
            self.stdout.write("No configuration is enabled and open, so there is nothing to look for.")

    def _carry_out(self, stop: Stopping, only: list[int] | None, verbosity: int) -> list[str]:
        problems = []
        due = CredentialRun.objects.filter(active_key="active", lease_until__lte=timezone.now()).order_by("lease_until")
        for waiting in due if only is None else due.filter(configuration__in=only):
            run = None if stop() else run_queue.claim(run=waiting)
            if run is None:  # somebody else carries it out
                continue
            done = carry_out(run, stop, verbosity=verbosity)
            self.stdout.write(line_of(done))
            if done.outcome not in (RunOutcome.DONE, RunOutcome.SKIPPED) and not stop():
                problems.append(line_of(done))
        return problems

    def _held(self, chosen: QuerySet[CredentialConfiguration]) -> list[str]:
        held = chosen.filter(problem_until__gt=timezone.now())
        return [f"Configuration {row.pk} ({row}) rests: {row.problem}" for row in held]
