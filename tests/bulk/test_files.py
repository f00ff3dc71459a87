"""What staff rely on who give a file: it is read as a spreadsheet shows it, and a mistake is named with its row."""

from __future__ import annotations

import pytest

from badges.bulk import files
from badges.bulk.files import FileRow


def problems(content: bytes | str) -> list[str]:
    found = files.read(content.encode() if isinstance(content, str) else content)
    return found.problems


def test_rows_have_the_numbers_that_a_spreadsheet_shows() -> None:
    text = 'Template ,Learner,note,reason\nstar,anna,x,"two\nlines"\n\n,,,\n moon , 17 ,,\n'
    found = files.read(text.encode())
    assert found.problems == []
    assert found.rows == [FileRow(2, "anna", "star", "two\nlines"), FileRow(5, "17", "moon")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_file_of_a_spreadsheet_is_read_with_its_mark_and_its_delimiter(delimiter: str) -> None:
    lines = [["learner", "template", "reason"], ["名探偵", "star", "a, b" if delimiter != "," else "ab"]]
    text = "\r\n".join(delimiter.join(cells) for cells in lines)
    found = files.read(b"\xef\xbb\xbf" + text.encode())
    assert (found.problems, [(row.learner, row.template) for row in found.rows]) == ([], [("名探偵", "star")])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "The file is empty."),
        (" \n\n", "The file is empty."),
        (b"\xef\xbb\xbf", "The file is empty."),
        (b"\xef\xbb\xbf\r\n", "The file is empty."),
        (",,,\n", "The file is empty."),
        (";;\r\n;;", "The file is empty."),
        ("learner,template\n", "There is no row below the headings."),
        ("template\nstar", "The column “learner” is missing."),
        ("anna,star\n", "The column “learner” is missing."),
        ("learner,template,Learner\na,b,c", "The column “learner” is there twice."),
        ("learner,template\n,star", "Row 2: there is no learner."),
        ("learner,template\nanna", "Row 2: there is no template."),
        ("learner,template,reason\nanna,star," + "x" * 501, "Row 2: reason: It has 501 characters. Shorten it to 500."),
        ("learner,template,reason\nanna,star,\0", "Row 2: reason: There is a character NUL in it"),
        ('learner,template\nanna,"star\n', "Row 2: this is no CSV"),
        ("learner,template\nanna,star".encode("utf-16"), "The text of the file is UTF-16."),
        ("learner,template\nann\xe4,star".encode("latin-1"), "The text of the file is not UTF-8."),
        (b"x" * 10 * 1024 * 1024, "The file has 10.0 MB, and at most 5 MB are taken."),
        ("learner,template\n" + "a,b\n" * (files.MOST_ROWS + 1), "The file has more than 50,000 rows."),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_the_remedy(content: bytes | str, problem: str) -> None:
    assert any(found.startswith(problem) for found in problems(content)), problems(content)


def test_all_mistakes_of_a_file_are_named_at_once() -> None:
    assert len(problems("learner,template,reason\n,star,\nanna,," + "x" * 501 + "\n")) == 3
