"""Generate the credentials of one configuration now, or list who would get one."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from badges.api import RunState
from badges.common.progress_bar import ProgressBar
from badges.common.stopping import stop_on_signals
from badges.exceptions import BadgesError
from credentials_config import api
from credentials_config.issuing import run_queue
from credentials_config.management.reporting import carry_out, make_documents, summary_of
from credentials_config.models import Credential, CredentialConfiguration, RunCause
from credentials_config.schedules import Closed, Skip

OUTCOMES = ("would get one", "has one", "would not")
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
            "--ignore-dates",
            action="store_true",
            help="In spite of start, availability and closure of the context.",
        )

    def handle(self, *args: Any, dry_run: bool, ignore_dates: bool, **options: Any) -> None:
        configuration = (
            CredentialConfiguration.objects.select_related("credential_type")
            .filter(pk=options["configuration"])
            .first()
        )
        if configuration is None:
            raise CommandError(f"There is no configuration {options['configuration']}. The admin lists them.")
        if dry_run:
            self._list_eligibility(configuration, ignore_dates, options["verbosity"])
        else:
            self._generate(configuration, ignore_dates, options["verbosity"])

    def _list_eligibility(self, configuration: CredentialConfiguration, ignore_dates: bool, verbosity: int) -> None:
        counts: Counter[str] = Counter()
        try:
            decision = api.decision_for(configuration)
            with ProgressBar(self.stderr, unit="people", verbosity=verbosity) as bar:
                for found in api.survey(configuration):
                    outcome = _outcome_of(found)
                    counts[outcome] += 1
                    reasons = f"({found.holds})" if found.holds else " ".join(found.eligibility.reasons)
                    person = found.person
                    self.stdout.write(f"{person.lms_user_id}\t{person.username}\t{outcome}\t{reasons}")
                    bar.show(counts.total())
        except BadgesError as error:
            raise CommandError(str(error)) from error
        totals = ", ".join(f"{outcome}: {counts[outcome]}" for outcome in OUTCOMES)
        self.stdout.write(f"{totals}. Nothing was written.")
        if isinstance(decision, (Skip, Closed)) and not ignore_dates:
            self.stdout.write(f"A run now would be skipped: {decision.reason} --ignore-dates runs in spite of that.")

    def _generate(self, configuration: CredentialConfiguration, ignore_dates: bool, verbosity: int) -> None:
        with stop_on_signals() as stop:
            asked = run_queue.request(configuration, cause=RunCause.COMMAND, ignore_dates=ignore_dates)
            run = run_queue.claim(run=asked)
            if run is None:
                raise CommandError(
                    f"A run of this configuration is under way since {asked.asked_at:%Y-%m-%d %H:%M %Z}; runs do not "
                    "overlap. Look at it in the admin, and run this again when it is done."
                )
            run = carry_out(run, stop, stderr=self.stderr, verbosity=verbosity)
            self.stdout.write(summary_of(run))
            waiting = Credential.objects.filter(configuration=configuration, due_at__lte=timezone.now()).count()
            result = make_documents(
                stop,
                total=waiting,
                stdout=self.stdout,
                stderr=self.stderr,
                verbosity=verbosity,
                configurations=[configuration.pk],
            )
            if stop.requested:
                raise CommandError("Stopped before the end. Run this again; it continues where it stopped.")
        if run.outcome == RunState.SKIPPED:
            self.stdout.write("--ignore-dates runs in spite of the context's dates.")
        elif run.outcome != RunState.DONE:
            raise CommandError(run.note)
        configuration.refresh_from_db()
        if configuration.problem_until is not None:
            raise CommandError(configuration.problem)
        if result.failed:
            raise CommandError(f"{result.failed} documents failed. {RETRY}")
        if result.made:
            self.stdout.write("E-mails wait in the outbox: a Celery worker or badges_drain sends them.")


def _outcome_of(found: api.PersonEligibility) -> str:
    """Return which of ``OUTCOMES`` is a person's."""
    would_get_one, has_one, would_not = OUTCOMES
    if found.holds:
        return has_one
    return would_get_one if found.eligibility.eligible else would_not
