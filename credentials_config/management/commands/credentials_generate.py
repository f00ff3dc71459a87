"""Generate credentials of one configuration now, or say who would get one."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from badges.exceptions import BadgesError
from credentials_config import api
from credentials_config.issuing import run_queue
from credentials_config.management.progress import Stopping, carry_out, line_of, make_documents
from credentials_config.models import Credential, CredentialConfiguration, RunCause, RunOutcome
from credentials_config.schedules import Closed, Skip

RETRY = "The admin says why (credentials with the status error); remove the cause and retry them there."


class Command(BaseCommand):
    """Generate credentials of one configuration now."""

    help = (
        "Look for the eligible learners of a configuration who have no credential yet, and make their documents; also "
        "of one that is switched off. Exit code 1: something failed and says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--configuration", type=int, required=True, metavar="ID")
        parser.add_argument(
            "--dry-run", action="store_true", help="Say who would get one, who not and why; write nothing."
        )
        parser.add_argument(
            "--override-gates", action="store_true", help="In spite of start, availability and closure of the context."
        )

    def handle(self, *args: Any, dry_run: bool, override_gates: bool, **options: Any) -> None:
        configuration = (
            CredentialConfiguration.objects.select_related("credential_type")
            .filter(pk=options["configuration"])
            .first()
        )
        if configuration is None:
            raise CommandError(f"There is no configuration {options['configuration']}. The admin lists them.")
        if dry_run:
            self._survey(configuration, override_gates, options["verbosity"])
        else:
            self._generate(configuration, override_gates, options["verbosity"])

    def _survey(self, configuration: CredentialConfiguration, override_gates: bool, verbosity: int) -> None:
        counts: Counter[str] = Counter()
        try:
            decision = api.decision_for(configuration)
            for found in tqdm(api.survey(configuration), unit=" people", disable=verbosity < 1, file=sys.stderr):
                outcome = "has one" if found.holds else "would get one" if found.eligibility.eligible else "would not"
                counts[outcome] += 1
                reasons = (
                    f" ({found.holds})" if found.holds else "".join(f" {why}" for why in found.eligibility.reasons)
                )
                self.stdout.write(f"{found.person.lms_user_id}\t{found.person.username}\t{outcome}\t{reasons.strip()}")
        except BadgesError as error:
            raise CommandError(str(error)) from error
        said = ", ".join(f"{outcome}: {counts[outcome]}" for outcome in ("would get one", "has one", "would not"))
        self.stdout.write(f"{said}. Nothing was written.")
        if isinstance(decision, (Skip, Closed)) and not override_gates:
            self.stdout.write(f"A run now would be skipped: {decision.reason} --override-gates runs in spite of that.")

    def _generate(self, configuration: CredentialConfiguration, override_gates: bool, verbosity: int) -> None:
        with Stopping() as stop:
            asked = run_queue.request(configuration, cause=RunCause.COMMAND, override_gates=override_gates)
            run = run_queue.claim(run=asked)
            if run is None:
                raise CommandError(
                    f"A run of this configuration is under way since {asked.started_at:%Y-%m-%d %H:%M %Z}; runs do not "
                    "overlap. Look at it in the admin, and run this again when it is done."
                )
            run = carry_out(run, stop, verbosity=verbosity)
            self.stdout.write(line_of(run))
            waiting = Credential.objects.filter(configuration=configuration, due_at__lte=timezone.now()).count()
            result = make_documents(
                stop, total=waiting, verbosity=verbosity, say=self.stdout.write, configurations=[configuration.pk]
            )
            if stop():
                raise CommandError("Stopped before the end; run this again, it goes on where it was.")
        if run.outcome == RunOutcome.SKIPPED:
            self.stdout.write("--override-gates runs in spite of the context's dates.")
        elif run.outcome != RunOutcome.DONE:
            raise CommandError(run.note)
        configuration.refresh_from_db()
        if configuration.problem_until is not None:
            raise CommandError(configuration.problem)
        if result.failed:
            raise CommandError(f"{result.failed} documents failed. {RETRY}")
        if result.made:
            self.stdout.write("E-mails wait in the outbox: a Celery worker or badges_drain sends them.")
