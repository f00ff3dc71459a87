"""Retire people who left."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from badges import api
from badges.exceptions import Retryable
from badges.retirement import NOT_ALL_RETIRED

NOT_REMEMBERED = (
    "Their LMS user id is not known here, so a late event can bring them back. Run this again with the LMS user id."
)


class Command(BaseCommand):
    """Remove people who left from the tables and files of all apps."""

    help = (
        "Remove people who left from the tables and files of all apps. A person is named by LMS user id, username or "
        "learner UUID; give the LMS user id where you know it. Safe to repeat. Nobody is named in the output."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", nargs="*", help="An LMS user id, a username, or the UUID of a learner.")
        parser.add_argument("--plan", action="store_true", help="Say what would go, and change nothing.")
        parser.add_argument(
            "--swept",
            action="store_true",
            help="Retire all whose account the host has retired (the setting retirement.username_prefix).",
        )

    def handle(self, *args: Any, person: list[str], plan: bool, swept: bool, **options: Any) -> None:
        if bool(person) == swept or (plan and swept):
            raise CommandError("Name people, or give --swept alone.")
        try:
            if swept:
                self._sweep()
            for number, name in enumerate(person, start=1):
                self._retire(name, f"Person {number} of {len(person)}", plan)
        except Retryable as error:
            raise CommandError(f"{error} Run this again when the database is back.") from error
        if plan:
            self.stdout.write("Nothing was changed. Run this again without --plan.")

    def _retire(self, name: str, title: str, plan: bool) -> None:
        result = api.retire(api.person_named(name), plan=plan)
        self.stdout.write(f"{title}: {_text(result)}")
        if not result.is_remembered:
            self.stdout.write(f"{title}: {NOT_REMEMBERED}")

    def _sweep(self) -> None:
        total = 0
        while (done := api.retire_swept()).retired:
            total += done.retired
        self.stdout.write(f"Learners retired: {total}.")
        if done.failed:
            # The last call has tried all of them.
            raise CommandError(NOT_ALL_RETIRED.format(number=done.failed))


def _text(result: api.RetirementResult) -> str:
    """Return the numbers as text, such as ``lms_badges: 3 events, 1 reasons``."""
    apps = []
    for app, counts in result.counts.items():
        if changed := [f"{number} {what}" for what, number in counts.items() if number]:
            apps.append(f"{app}: {', '.join(changed)}")
    return "; ".join(apps) or ("a learner or an account, and nothing else" if result.found else "nothing is known")
