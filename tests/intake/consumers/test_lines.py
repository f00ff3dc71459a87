"""Lines are read one by one from files and pipes, with a limited length."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import psutil
import pytest

from badges.intake.consumers.file import CHUNK, Line, read_lines

LIMIT = 100


def _lines_of(content: bytes, folder: Path, *, limit: int = LIMIT) -> list[Line | None]:
    file = folder / "lines"
    file.write_bytes(content)
    with file.open("rb") as stream:
        return list(read_lines(stream.fileno(), limit=limit, wait_seconds=0.05))


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        (b"", []),
        (b"one", [b"one"]),  # no line break at the end
        (b"one\n", [b"one"]),
        (b"one\r\ntwo\r\n", [b"one", b"two"]),  # from Windows
        (b"\xef\xbb\xbfone\ntwo", [b"one", b"two"]),  # with a byte order mark, from there as well
        (b"one\n\n\ntwo\n", [b"one", b"", b"", b"two"]),  # blank lines keep their numbers
        (b"x" * LIMIT + b"\r\nz", [b"x" * LIMIT, b"z"]),  # as long as allowed
        (b"x" * (LIMIT + 1) + b"\nz", [None, b"z"]),  # one too long
        (b"x" * (3 * CHUNK) + b"\nz", [None, b"z"]),
        (b"x" * (CHUNK - 1) + b"\nz", [None, b"z"]),
    ],
)
def test_lines_are_split_at_line_breaks_and_limited_in_length(
    content: bytes, texts: list[bytes | None], tmp_path: Path
) -> None:
    lines = _lines_of(content, tmp_path)
    assert [line.text for line in lines if line] == texts
    assert [line.number for line in lines if line] == list(range(1, len(texts) + 1))
    assert sum(line.size for line in lines if line) == len(content)


def test_lines_that_span_chunks_are_put_together(tmp_path: Path) -> None:
    wanted = [bytes([65 + number % 26]) * (number * 997 % 5000) for number in range(500)]
    lines = _lines_of(b"\n".join(wanted) + b"\n", tmp_path, limit=5000)
    assert [line.text for line in lines if line] == wanted


def test_a_line_of_a_gigabyte_is_not_kept_in_memory(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    with file.open("wb") as stream:
        stream.truncate(1024**3)  # zeros without a line break, and without using the disk
        stream.seek(0, os.SEEK_END)
        stream.write(b"\nlast\n")
    before = psutil.Process().memory_info().rss
    with file.open("rb") as stream:
        texts = [line.text for line in read_lines(stream.fileno(), limit=LIMIT, wait_seconds=1) if line]
    assert texts == [None, b"last"]
    assert psutil.Process().memory_info().rss - before < 64 * 1024**2


def test_a_pipe_without_data_yields_none() -> None:
    reading, writing = os.pipe()
    lines = read_lines(reading, limit=LIMIT, wait_seconds=0.05)
    os.write(writing, b"one\ntw")
    assert next(lines) == Line(1, b"one", 4)
    assert next(lines) is None  # "tw" may go on
    threading.Timer(0.1, lambda: (os.write(writing, b"o\n"), os.close(writing))).start()
    assert [line for line in lines if line] == [Line(2, b"two", 4)]
    os.close(reading)
