"""Read a CSV file of a bulk run: which learner, which template, why. Without the database."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from badges.catalog.causes import REASON_LENGTH
from badges.exceptions import UnusableReasonError
from badges.granting.reasons import check_reason

LEARNER, TEMPLATE, REASON = "learner", "template", "reason"
REQUIRED = (LEARNER, TEMPLATE)
KNOWN = (*REQUIRED, REASON)

MOST_MEGABYTES = 5
MOST_BYTES = MOST_MEGABYTES * 1024 * 1024
MOST_ROWS = 50_000

_DELIMITERS = ",;\t"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class FileRow:
    """
    A row of a file. ``number`` is what a spreadsheet shows beside it; the row of the headings is 1.

    ``learner`` and ``template`` are as they are written, without spaces around them; both may be blank.
    """

    number: int
    learner: str
    template: str
    reason: str = ""


@dataclass(slots=True)
class ReadFile:
    """The rows of a file, and what is wrong with them. A problem begins with the number of its row, if it has one."""

    rows: list[FileRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def too_big(size: int) -> str:
    """Return what is wrong with the size of a file, in bytes; empty when it is small enough."""
    if size <= MOST_BYTES:
        return ""
    return f"The file has {size / 1024 / 1024:.1f} MB, and at most {MOST_MEGABYTES} MB are taken. Divide it."


def read(content: bytes) -> ReadFile:
    """
    Return the rows of a CSV file, and all that is wrong with it.

    The file is UTF-8, with or without a byte order mark. The columns are separated by commas, semicolons or tabs; the
    headings tell by which. Columns with other headings are ignored, and so are blank rows.
    """
    if problem := too_big(len(content)):
        return ReadFile(problems=[problem])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        kind = "UTF-16" if content.startswith(_UTF_16) else "not UTF-8"
        return ReadFile(problems=[f"The text of the file is {kind}. Save it as “CSV UTF-8” and give it again."])
    return _read_rows(text)


def _read_rows(text: str) -> ReadFile:
    found = ReadFile()
    numbered = _numbered_rows(text)
    number = 0
    try:
        number, headings = next(numbered, (0, None))
        if headings is None:
            found.problems.append("The file is empty. Its first row has the headings learner, template and reason.")
            return found
        columns = _columns(headings, found.problems)
        if found.problems:
            return found
        for number, cells in numbered:
            if len(found.rows) == MOST_ROWS:
                found.problems.append(f"The file has more than {MOST_ROWS:,} rows. Divide it.")
                break
            row = _row(number, cells, columns)
            found.rows.append(row)
            found.problems += _problems(row)
    except csv.Error as error:
        found.problems.append(
            f"Row {number + 1}: this is no CSV ({error}). Look for a quotation mark that is not closed."
        )
        return found
    if not found.rows:
        found.problems.append("There is no row below the headings.")
    return found


def _numbered_rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, with their numbers."""
    first = text.lstrip().partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    for number, cells in enumerate(reader, start=1):
        if any(cell.strip() for cell in cells):
            yield number, cells


def _columns(headings: list[str], problems: list[str]) -> dict[str, int]:
    """Return the place of each known column. Missing ones, and those that are there twice, are ``problems``."""
    names = [heading.strip().casefold() for heading in headings]
    problems += [f"The column “{name}” is there twice. Remove one of them." for name in KNOWN if names.count(name) > 1]
    problems += [
        f"The column “{name}” is missing. The first row has the headings learner, template, reason."
        for name in REQUIRED
        if name not in names
    ]
    return {name: names.index(name) for name in KNOWN if name in names}


def _row(number: int, cells: list[str], columns: dict[str, int]) -> FileRow:
    values = {name: cells[place].strip() for name, place in columns.items() if place < len(cells)}
    reason = values.get(REASON, "").replace("\r\n", "\n")
    return FileRow(number, values.get(LEARNER, ""), values.get(TEMPLATE, ""), reason)


def _problems(row: FileRow) -> Iterator[str]:
    """Yield what can be seen to be wrong with a row without the database."""
    if not row.learner:
        yield f"Row {row.number}: there is no learner."
    if not row.template:
        yield f"Row {row.number}: there is no template."
    try:
        check_reason(REASON, row.reason, longest=REASON_LENGTH)
    except UnusableReasonError as error:
        yield f"Row {row.number}: {error}"
