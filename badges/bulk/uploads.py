"""
A file of a bulk run: read, with all that its rows mean, and turned into a run.

A file with any problem becomes no run, so that nobody has to find out which half was done.
"""

from __future__ import annotations

import enum
import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Q

from badges.awarding.models import PUBLIC_REASON_LENGTH
from badges.bulk import files, people
from badges.bulk.files import FileRow
from badges.bulk.models import BulkRow
from badges.bulk.people import FoundPerson
from badges.catalog.causes import REASON_LENGTH
from badges.catalog.models import BadgeTemplate
from badges.granting import awardable_templates
from badges.granting.reasons import check_reason
from badges.inserts import insert, new_row
from badges.runs import queue
from badges.runs.models import Run, RunMode

# Rows that are looked up, and written, with one statement.
CHUNK = 1000


class BulkAction(enum.StrEnum):
    """What is done for the rows of a file. The values are the names of the kinds of runs."""

    AWARD = "bulk_award"
    REVOKE = "bulk_revoke"


@dataclass(frozen=True, slots=True)
class UploadRow:
    """
    A row of the file whose learner and template are known.

    ``duplicate_of`` is the number of the row that it repeats.
    """

    given: FileRow
    person: FoundPerson
    template_id: int
    duplicate_of: int | None = None

    @property
    def number(self) -> int:
        """The number of the row in the file."""
        return self.given.number


@dataclass(slots=True)
class Upload:
    """
    A file that was read.

    ``rows`` are those that can be carried out, ``problems`` are sentences, most of which begin with the number of a
    row. A problem does not tell who is named in the row.
    """

    action: BulkAction
    rows: list[UploadRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def duplicates(self) -> list[UploadRow]:
        """The rows that repeat an earlier one. Nothing is done for them."""
        return [row for row in self.rows if row.duplicate_of is not None]


@dataclass(frozen=True, slots=True)
class BulkReasons:
    """
    Why a bulk run is carried out.

    ``reason`` is for staff, and counts for rows that have none. The others are for revocations alone: ``public_reason``
    is what the learners and the providers may read, ``block`` keeps the learners from getting the badge again.
    """

    reason: str = ""
    public_reason: str = ""
    block: bool = True

    def check(self) -> None:
        """Raise UnusableReasonError when a reason is too long or cannot be stored."""
        check_reason("reason", self.reason, longest=REASON_LENGTH)
        check_reason("public_reason", self.public_reason, longest=PUBLIC_REASON_LENGTH)


def read(content: bytes, *, action: BulkAction) -> Upload:
    """
    Return what the rows of a file mean, and all that is wrong with it. Nothing is written.

    For a revocation the templates need not be active. At most six statements for each thousand rows.
    """
    given = files.read(content)
    upload = Upload(action, problems=list(given.problems))
    first: dict[tuple[FoundPerson, int], int] = {}
    for chunk in _chunks(given.rows):
        found = people.find({row.learner for row in chunk if row.learner})
        templates = _templates({row.template for row in chunk if row.template}, action)
        for row in chunk:
            upload.problems += _problems(row, found, templates)
            person, template = found.get(row.learner), templates.get(row.template)
            if person is None or template is None or template.problem:
                continue
            earlier = first.setdefault((person, template.id), row.number)
            duplicate_of = earlier if earlier != row.number else None
            upload.rows.append(UploadRow(row, person, template.id, duplicate_of))
    upload.problems.sort(key=_row_number)
    return upload


def start(upload: Upload, reasons: BulkReasons, *, mode: RunMode, by: AbstractBaseUser | None = None) -> Run:
    """
    Write the run of a file with its rows, and notify a worker when the transaction commits.

    ``by`` is the account of who decides it; None means the calling code. Raises RunRefused while another run of the
    same file is open, UnusableReasonError, and ValueError when the file has problems.
    """
    if upload.problems or not upload.rows:
        raise ValueError("A file with problems cannot be carried out.")
    reasons.check()
    parameters: dict[str, Any] = {"rows": len(upload.rows), "file": digest(upload, reasons), "reason": reasons.reason}
    if upload.action is BulkAction.REVOKE:
        parameters |= {"public_reason": reasons.public_reason, "block": reasons.block}
    with transaction.atomic():
        run = queue.start(upload.action, mode=mode, parameters=parameters, person=by)
        for chunk in _chunks(upload.rows):
            insert(_bulk_row(run, row, reasons) for row in chunk)
    return run


def digest(upload: Upload, reasons: BulkReasons) -> str:
    """
    Return what identifies a file with its reasons: the same rows again have the same digest.

    It depends on what the rows say and not on whom they mean: the run of the file may make learners.
    """
    rows = [[row.given.learner, row.given.template, row.given.reason] for row in upload.rows]
    document = [rows, reasons.reason, reasons.public_reason, reasons.block]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class _Template:
    id: int
    problem: str = ""


def _templates(names: set[str], action: BulkAction) -> Mapping[str, _Template]:
    """Return the templates that slugs or UUIDs name; two statements."""
    usable = {name for name in names if "\0" not in name}
    uuids = {parsed for name in usable if (parsed := _as_uuid(name))}
    rows = BadgeTemplate.objects.filter(Q(slug__in=usable) | Q(uuid__in=uuids)).order_by()
    found = list(rows.values_list("pk", "slug", "uuid"))
    active = set(awardable_templates().filter(pk__in=[pk for pk, *_ in found]).order_by().values_list("pk", flat=True))
    by_slug = {slug: (pk, slug) for pk, slug, _ in found}
    by_uuid: dict[uuid.UUID | None, tuple[int, str]] = {named: (pk, slug) for pk, slug, named in found}
    known: dict[str, _Template] = {}
    for name in usable:
        row = by_slug.get(name) or by_uuid.get(_as_uuid(name))
        if row is None:
            continue
        inactive = action is BulkAction.AWARD and row[0] not in active
        problem = (
            f"the template {row[1]} is not active. Activate it, or restore it from the archive." if inactive else ""
        )
        known[name] = _Template(row[0], problem)
    return known


def _as_uuid(name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(name) if len(name) == people.UUID_LENGTH else None
    except ValueError:
        return None


def _problems(row: FileRow, found: Mapping[str, FoundPerson], templates: Mapping[str, _Template]) -> Iterator[str]:
    if row.learner and row.learner not in found:
        yield f"Row {row.number}: there is no such learner. Write a username, an LMS user id, or the UUID of a learner."
    if row.template and row.template not in templates:
        yield f"Row {row.number}: there is no such template. Write its slug as its page shows it, or its UUID."
    elif row.template and templates[row.template].problem:
        yield f"Row {row.number}: {templates[row.template].problem}"


def _row_number(problem: str) -> int:
    number = problem.removeprefix("Row ").partition(":")[0]
    return int(number) if number.isdigit() else 0


def _bulk_row(run: Run, row: UploadRow, reasons: BulkReasons) -> BulkRow:
    return new_row(
        BulkRow,
        run_id=run.pk,
        number=row.number,
        learner_id=row.person.learner_id,
        account_id=row.person.account_id,
        template_id=row.template_id,
        reason=row.given.reason or reasons.reason,
        duplicate_of=row.duplicate_of,
    )


def _chunks(rows: Sequence[Any]) -> Iterator[list[Any]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
