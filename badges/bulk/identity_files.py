"""
Ids of learners at other systems from a file of CSV with the columns ``learner``, ``issuer`` and ``subject``.

``learner`` names a person as the files of bulk runs do: a UUID is that of a learner, digits are an LMS user id,
anything else is a username. A person who has an account and no learner gets one. The whole file is checked before
anything is written. Problems name the line and the remedy, and nobody.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from badges.bulk import people
from badges.catalog.learner_paths import ExternalIdentity
from badges.database import retry_transient
from badges.exceptions import IdentityTakenError, UnusableIdentityError
from badges.inserts import insert, new_row
from badges.intake import identities
from badges.intake.models import Learner, LearnerIdentity

COLUMNS = ("learner", "issuer", "subject")
BATCH = 500  # lines in one transaction

HEADER = f"line 1: the columns are {', '.join(COLUMNS)}, in any order. Write these names, separated by commas."
WIDTH = "as many values as there are columns are needed. Put a value that has a comma in double quotes."
UNKNOWN = (
    "nobody here is this learner, or the person was retired. Write the UUID of a learner, an LMS user id or a username "
    "that is known here, or remove the line."
)


class IdentityFileError(ValueError):
    """A file cannot be used; nothing was written. ``problems`` has a text for each wrong line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the file: a person, and an id of theirs."""

    number: int
    learner: str
    identity: ExternalIdentity


@dataclass
class Counts:
    """How many ids were new, or would be, and how many were there. ``problems``: what could not be written."""

    new: int = 0
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)


def read(text: Iterable[str]) -> list[Line]:
    """Return the lines of a file that was opened with ``newline=""``. Raises IdentityFileError."""
    reader = csv.reader(text, strict=True)
    lines: dict[ExternalIdentity, Line] = {}
    problems: list[str] = []
    try:
        header = [name.strip() for name in next(reader, [])]
        if sorted(header) != sorted(COLUMNS):
            raise IdentityFileError([HEADER])
        for values in reader:
            if not values:  # an empty line
                continue
            try:
                line = _line(reader.line_num, header, values)
                first = lines.setdefault(line.identity, line)
                if first.learner != line.learner:
                    raise ValueError(f"line {first.number} has this id for another learner. Remove one of the two.")
            except ValueError as error:
                problems.append(f"line {reader.line_num}: {error}")
    except csv.Error as error:
        problems.append(f"line {reader.line_num}: this is no CSV ({error}). Correct the quotes.")
    except UnicodeDecodeError:
        problems.append(f"line {reader.line_num + 1} or after it: this is no UTF-8. Save the file as UTF-8.")
    if problems:
        raise IdentityFileError(problems)
    return list(lines.values())


def plan(lines: Sequence[Line], *, progress: Callable[[int], object]) -> Counts:
    """Return what ``apply`` would do; at most eight statements for 500 lines. ``progress`` gets numbers of lines."""
    counts = Counts()
    for some in _batches(lines):
        found, owners = people.find({line.learner for line in some}), _owners(some)
        for line in some:
            if line.learner not in found:
                counts.problems.append(f"line {line.number}: {UNKNOWN}")
            elif line.identity not in owners:
                counts.new += 1
            elif owners[line.identity] == found[line.learner].learner_id:
                counts.unchanged += 1
            else:
                counts.problems.append(f"line {line.number}: {IdentityTakenError()}")
        progress(len(some))
    return counts


def apply(lines: Sequence[Line], *, progress: Callable[[int], object]) -> Counts:
    """
    Write the ids, each 500 lines in a transaction; safe to repeat.

    The counts have the problems of lines that were right when they were planned. Raises Retryable when the database
    does not answer; the lines before are written then.
    """
    counts = Counts()
    for some in _batches(lines):
        done = retry_transient(lambda some=some: _write(some))  # type: ignore[misc]
        counts.new += done.new
        counts.unchanged += done.unchanged
        counts.problems += done.problems
        progress(len(some))
    return counts


def _line(number: int, header: Sequence[str], values: Sequence[str]) -> Line:
    if len(values) != len(header):
        raise ValueError(WIDTH)
    found = dict(zip(header, (value.strip() for value in values), strict=True))
    identity = ExternalIdentity(found["issuer"], found["subject"])
    try:
        identities.check(identity)
    except UnusableIdentityError as error:
        raise ValueError(str(error)) from None
    if not found["learner"]:
        raise ValueError(UNKNOWN)
    return Line(number, found["learner"], identity)


def _batches(lines: Sequence[Line]) -> Iterator[Sequence[Line]]:
    return (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))


def _write(lines: Sequence[Line]) -> Counts:
    counts = Counts()
    with transaction.atomic():
        found = people.find({line.learner for line in lines})
        created = people.create_learners({who.account_id for who in found.values() if who.learner_id is None})
        pks = {name: who.learner_id or created.get(who.account_id) for name, who in found.items()}
        # A retirement locks the learner before it deletes the ids. So none is added after it.
        known = Learner.objects.filter(pk__in=[pk for pk in pks.values() if pk]).exclude(user=None, lms_user_id=None)
        alive = {learner.pk for learner in known.select_for_update().order_by("pk")}
        before = _owners(lines)
        wanted = {line.identity: pk for line in lines if (pk := pks.get(line.learner)) in alive}
        new = [
            new_row(LearnerIdentity, learner_id=pk, created_at=timezone.now(), **identity._asdict())
            for identity, pk in sorted(wanted.items())
            if identity not in before
        ]
        insert(new, unique=("issuer", "subject"))
        owners = _owners(lines)
    for line in lines:
        if line.identity not in wanted:
            counts.problems.append(f"line {line.number}: {UNKNOWN}")
        elif owners.get(line.identity) != wanted[line.identity]:
            counts.problems.append(f"line {line.number}: {IdentityTakenError()}")
        elif line.identity in before:
            counts.unchanged += 1
        else:
            counts.new += 1
    return counts


def _owners(lines: Iterable[Line]) -> Mapping[ExternalIdentity, int]:
    """Return the learners who have the ids of these lines; one statement."""
    by_issuer: dict[str, list[str]] = {}
    for line in lines:
        by_issuer.setdefault(line.identity.issuer, []).append(line.identity.subject)
    condition = Q(pk__in=[])
    for issuer, subjects in by_issuer.items():
        condition |= Q(issuer=issuer, subject__in=subjects)
    rows = LearnerIdentity.objects.filter(condition).order_by().values_list("issuer", "subject", "learner_id")
    return {ExternalIdentity(issuer, subject): pk for issuer, subject, pk in rows}
