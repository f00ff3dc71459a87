"""Give learners their ids at other systems, from a file of CSV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from badges.bulk import identity_files
from badges.bulk.identity_files import IdentityFileError
from badges.exceptions import Retryable

SHOWN = 20  # problems


class Command(BaseCommand):
    """``badges_identities plan|apply FILE``."""

    help = (
        "Give learners their ids at other systems, so that events which hold only such an id find them. FILE is CSV "
        "(UTF-8) with the columns learner, issuer and subject; - is the standard input. A learner is a UUID, an LMS "
        "user id or a username. Safe to repeat; ids that are not in the file stay."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "action",
            choices=["plan", "apply"],
            help="plan: say what apply would write; apply: write it, if no line is wrong",
        )
        parser.add_argument("file", metavar="FILE")

    def handle(self, *args: Any, action: str, file: str, **options: Any) -> None:
        try:
            lines = _read(file)
        except IdentityFileError as error:
            raise _refused(file, error.problems) from error
        except OSError as error:
            raise CommandError(f"{file}: {error.strerror}.") from error
        try:
            with tqdm(total=len(lines), unit=" lines", desc="check", disable=None, leave=False) as bar:
                planned = identity_files.plan(lines, progress=bar.update)
            if planned.problems:
                raise _refused(file, planned.problems)
            if action == "plan":
                self.stdout.write(f"{planned.new} to add, {planned.unchanged} unchanged.")
                if planned.new:
                    self.stdout.write(f"Nothing was changed yet; next: manage.py badges_identities apply {file}")
                return
            with tqdm(total=len(lines), unit=" lines", desc="write", disable=None, leave=False) as bar:
                done = identity_files.apply(lines, progress=bar.update)
        except Retryable as error:
            raise CommandError(f"{error} Run this again when the database is back.") from error
        self.stdout.write(f"{done.new} added, {done.unchanged} unchanged.")
        if done.problems:
            raise CommandError(f"{_listed(done.problems)}\nThe other lines were written.")


def _read(file: str) -> list[identity_files.Line]:
    with _opened(file) as text:
        return identity_files.read(text)


@contextmanager
def _opened(file: str) -> Iterator[Any]:
    if file == "-":
        yield sys.stdin
    else:
        with Path(file).open(encoding="utf-8-sig", newline="") as text:
            yield text


def _refused(file: str, problems: list[str] | Any) -> CommandError:
    many = f"{len(problems)} problems" if len(problems) > 1 else "one problem"
    return CommandError(f"{file}: {many}; nothing was changed.\n{_listed(problems)}")


def _listed(problems: list[str] | Any) -> str:
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "\n".join([*problems[:SHOWN], *more])
