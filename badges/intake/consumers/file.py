"""
Events from a file: JSON Lines, one event a line.

A line that cannot be read is reported by its number and becomes a dead letter; the others are handled. The position in
the file is not stored anywhere: when the file is read again, its events are recognised by their ids.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import stat
import sys
import time
from collections.abc import Callable, Generator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from badges.conf import config
from badges.exceptions import EventError
from badges.intake.consumers.loop import Bus, ConsumerError, Item, OperatorNotices, Skipped, definition_of
from badges.intake.events import (
    TOO_BIG,
    TYPE_LENGTH,
    Event,
    TooBigError,
    Unreadable,
    canonical_type,
    event_from_envelope,
    load_envelope,
    stored_size,
    unreadable_id,
)

STDIN = "-"
# Seconds that a batch which is not full waits for the next line of a pipe.
GATHER_SECONDS = 0.5
# Bytes that are read at once.
CHUNK = 256 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Line(NamedTuple):
    """One line without its end; ``text`` is None when it was longer than the limit. ``size`` counts all its bytes."""

    number: int
    text: bytes | None
    size: int


class FileMessage(NamedTuple):
    """What a line is; ``size`` is how many bytes it takes when stored."""

    number: int
    item: Item
    size: int


class FileBus(Bus[FileMessage]):
    """
    A file, or standard input, that is read once.

    ``report_error`` gets each unreadable line by its number and the reason. Raises ConsumerError when the file cannot
    be opened.
    """

    def __init__(self, path: str, *, report_error: Callable[[int, str], None]) -> None:
        self.bytes_read = 0
        self.lines_decided = 0
        self.gather_seconds = GATHER_SECONDS
        self._report_error = report_error
        self._name = "stdin" if path == STDIN else Path(path).name
        self._descriptor = _open(path)
        limit = config.intake["event_bytes"]
        self._lines = read_lines(self._descriptor, limit=limit, wait_seconds=self.gather_seconds)
        # Settings are read once for the file, and not for every line.
        self._read = partial(read_line, name=self._name, event_bytes=limit, default_source=config.default_source)
        self._at_end = False

    @property
    def total_bytes(self) -> int | None:
        """The size of the file, or None for a pipe or a terminal."""
        return os.fstat(self._descriptor).st_size or None

    def open(self, *, notices: OperatorNotices, discard: Callable[[Callable[[FileMessage], bool]], None]) -> None:
        """Do nothing: the file is open already, so that a wrong path is an error before anything else begins."""

    def fetch(self, number: int, seconds: float) -> list[FileMessage]:
        arrived: list[FileMessage] = []
        until = time.monotonic() + seconds
        for line in self._lines:
            if line is None:
                break
            self.bytes_read += line.size
            if line.text is None or line.text.strip():
                arrived.append(FileMessage(line.number, *self._read(line)))
            if len(arrived) >= number or time.monotonic() > until:
                break
        else:
            self._at_end = True
        return arrived

    def size(self, message: FileMessage) -> int:
        return message.size

    def decode(self, messages: Sequence[FileMessage]) -> list[Item]:
        for message in messages:
            if isinstance(message.item, Unreadable):
                self._report_error(message.number, message.item.reason)
        return [message.item for message in messages]

    def acknowledge(self, messages: Sequence[FileMessage]) -> None:
        self.lines_decided = messages[-1].number

    def commit(self) -> bool:
        """Do nothing: the position in a file is not stored anywhere."""
        return True

    def is_idle(self) -> bool:
        return self._at_end

    def close(self) -> None:
        self._lines.close()
        if sys.__stdin__ is None or self._descriptor != sys.__stdin__.fileno():
            os.close(self._descriptor)


# --- from a file to lines --------------------------------------------------------------------------------------------


def read_lines(descriptor: int, *, limit: int, wait_seconds: float) -> Generator[Line | None, None, None]:
    """
    Yield the lines of an open file, and None each time that nothing arrived for ``wait_seconds`` seconds.

    ``limit`` is the number of bytes of the longest line whose text is wanted. At most one chunk and one line of that
    length are in memory, however long a line of the file is.
    """
    may_wait = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    number, pending, size = 1, bytearray(), 0
    while True:
        if may_wait and not select.select([descriptor], [], [], wait_seconds)[0]:
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


def _open(path: str) -> int:
    if path == STDIN:
        return sys.stdin.fileno()
    try:
        if Path(path).is_dir():
            raise ConsumerError(f"{path} is a folder. Give --input one file of events.")
        return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise ConsumerError(f"{path} cannot be read ({error.strerror}). Correct --input.") from None


# --- from a line to an event -----------------------------------------------------------------------------------------


def read_line(
    line: Line, *, name: str, event_bytes: int, default_source: str | None = None
) -> tuple[Event | Unreadable | Skipped, int]:
    """
    Return the event of a line, or why there is none, and how many bytes it takes when stored.

    ``name`` is that of the file. An event that takes more than ``event_bytes`` is unreadable. ``default_source`` is
    that of a line without one; None: the setting.
    """
    received_from = f"file:{name}:{line.number}"
    if line.text is None:
        reason = TOO_BIG.format(size=line.size, limit=event_bytes)
        return _unreadable(EventError(reason), received_from, b"", {}), 0
    envelope: dict[str, Any] = {}
    try:
        envelope = load_envelope(_decode(line.text))
        event_type = canonical_type(envelope["type"])
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type), 0
        envelope.setdefault("source", default_source)
        event = event_from_envelope(definition, envelope, received_from=received_from)
        return event, stored_size(event, len(line.text), event_bytes)
    except TooBigError as error:
        return _unreadable(error, received_from, b"", envelope), 0
    except EventError as error:
        return _unreadable(error, received_from, line.text, envelope), len(line.text)


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise EventError(f"not UTF-8 at byte {error.start + 1}") from None


def _unreadable(error: EventError, received_from: str, text: bytes, envelope: dict[str, Any]) -> Unreadable:
    # The content is part of the id: the same line number of another file, or of the corrected file, is another event.
    # The text of a line that is too big is not kept; then the reason, which names its size, is part of the id.
    content = text or str(error).encode()
    digest = hashlib.sha256(received_from.encode(errors="replace") + b"\n" + content).hexdigest()[:16]
    event_type = envelope.get("type")
    known = isinstance(event_type, str) and event_type.isprintable() and len(event_type) <= TYPE_LENGTH
    return Unreadable(
        id=unreadable_id(received_from.encode(errors="replace").decode(), digest),
        reason=str(error),
        received_from=received_from,
        type=event_type if known and isinstance(event_type, str) else "",
        body=_body(text),
    )


def _body(text: bytes) -> str | None:
    """Return a line as it can be stored: as it is, or as Base64 when a database could not store it as text."""
    if not text:
        return None
    try:
        body = text.decode()
    except UnicodeDecodeError:
        body = "\0"
    return base64.b64encode(text).decode("ascii") if "\0" in body else body
