"""Lines of a file, a pipe or a terminal, as they come: bounded in length, and without waiting for ever."""

from __future__ import annotations

import os
import select
import stat
from collections.abc import Generator
from typing import NamedTuple

CHUNK = 256 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its end; ``text`` is None when it was longer than the limit. ``size`` counts all its bytes."""

    number: int
    text: bytes | None
    size: int


def read_lines(descriptor: int, *, limit: int, patience: float) -> Generator[Line | None, None, None]:
    """
    Give the lines of an open file, and None each time that nothing came for ``patience`` seconds.

    No more than a chunk and one line of at most ``limit`` bytes is held, however long a line is.
    """
    waits = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    number, pending, size = 1, bytearray(), 0
    while True:
        if waits and not select.select([descriptor], [], [], patience)[0]:
            yield None
            continue
        chunk = os.read(descriptor, CHUNK)
        if not chunk:
            break
        *ends, rest = chunk.split(b"\n")
        for end in ends:
            size += len(end) + 1
            yield _line(number, pending + end if size <= limit + 2 else None, size, limit)
            number, pending, size = number + 1, bytearray(), 0
        size += len(rest)
        if size <= limit + 2:
            pending += rest
        else:
            pending.clear()
    if size:
        yield _line(number, pending if size <= limit + 2 else None, size, limit)


def _line(number: int, text: bytes | bytearray | None, size: int, limit: int) -> Line:
    if text is not None:
        text = bytes(text).removesuffix(b"\r")
        if number == 1:
            text = text.removeprefix(BYTE_ORDER_MARK)
        if len(text) > limit:
            text = None
    return Line(number, text, size)
