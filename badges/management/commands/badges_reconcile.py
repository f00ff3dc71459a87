"""Compare what is written here with what a provider has, and repair the differences on request."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges.common.csv_text import as_text
from badges.common.stopping import stop_on_signals
from badges.exceptions import Permanent, Retryable
from badges.issuers import registry
from badges.issuers.reconciling import COLUMNS, KIND, rows_of
from badges.management import run_commands
from badges.runs.models import Run, RunMode

MOST_ROWS = 200


class Command(BaseCommand):
    """``badges_reconcile PROVIDER [--organization ID] [--repair] [--result FILE]``."""

    help = (
        "Compare the badges that are written here with those of a provider, and print the differences as a table: "
        "missing there, missing here, another state, another name. With --repair badges that are missing there are "
        "issued, badges that are missing here are taken over, states are written, and badges that are revoked here are "
        "revoked there. Names, and badges that nobody here has earned, are for people to decide. After a kill or "
        "Ctrl-C give the same command again: it goes on where it stopped. Exit code 1: an organization could not be "
        "read; the message says what to do."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("provider", metavar="PROVIDER", help="The slug of the provider, such as credly.")
        parser.add_argument("--organization", metavar="ID", help="Only this organization; by default all known ones.")
        parser.add_argument("--repair", action="store_true", help="Repair. Otherwise the command only compares.")
        parser.add_argument(
            "--reissue-all",
            action="store_true",
            help="Issue badges anew also where the provider has none of a template's at all, as after a loss there.",
        )
        parser.add_argument("--result", type=Path, metavar="FILE", help="Write all differences as CSV, too.")

    def handle(self, *args: Any, provider: str, **options: Any) -> None:
        mode = RunMode.APPLY if options["repair"] else RunMode.PLAN
        wanted = self._wanted(provider, options["organization"])
        failed, rows = [], []
        with stop_on_signals() as stop:
            for organization in wanted:
                parameters = {
                    "provider": provider,
                    "organization": organization,
                    "reissue_all": options["reissue_all"],
                }
                try:
                    run = run_commands.started(KIND, parameters, mode=mode, stdout=self.stdout)
                    run_commands.carry_out(run, stop, unit="badges", stderr=self.stderr, verbosity=options["verbosity"])
                except run_commands.Stopped:
                    raise
                except (CommandError, Permanent, Retryable) as error:
                    self.stderr.write(f"{provider} {organization}: {error}")
                    failed.append(organization)
                else:
                    rows += self._report(provider, organization, run)
        if options["result"]:
            self._write(options["result"], rows)
        if failed:
            raise CommandError(f"{len(failed)} of {len(wanted)} organizations could not be compared; see above.")
        if rows and mode == RunMode.PLAN:
            self.stdout.write("Nothing was changed. To repair, give the same command with --repair.")

    def _wanted(self, provider: str, organization: str | None) -> list[str]:
        issuers = registry.working()
        if provider not in issuers:
            raise CommandError(f"There is no provider {provider!r} here. Installed: {', '.join(issuers) or 'none'}.")
        issuer = issuers[provider]
        known = list(issuer.organizations())
        if organization is not None:
            known = [each for each in known if each == issuer.organization_id(organization)]
        if not known:
            raise CommandError("There is no such organization with credentials here. Add it in the admin or settings.")
        return known

    def _report(self, provider: str, organization: str, run: Run) -> list[Sequence[str]]:
        """Print the table of an organization, and return its rows, each with the organization."""
        rows = list(rows_of(run.pk))
        self.stdout.write(f"{provider} {organization}: {run_commands.counts_of(run) or 'no differences'}.")
        if rows:
            for line in _table([COLUMNS, *rows[:MOST_ROWS]]):
                self.stdout.write(line)
        if len(rows) > MOST_ROWS:
            self.stdout.write(f"… and {len(rows) - MOST_ROWS} more. --result writes all of them.")
        return [(organization, *row) for row in rows]

    def _write(self, file: Path, rows: Iterable[Sequence[str]]) -> None:
        try:
            with file.open("w", newline="", encoding="utf-8") as stream:
                safe = ([as_text(text) for text in row] for row in rows)
                csv.writer(stream).writerows([("organization", *COLUMNS), *safe])
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        self.stdout.write(f"All differences are in {file}.")


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as lines with columns of the same width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
