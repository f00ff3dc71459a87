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
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from badges.common.stopping import StopRequest
from badges.conf import config
from badges.exceptions import EventError
from badges.intake.consumers.base import ConsumerError, Counts, Handle, Skipped, definition_of
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


class FileConsumer:
    """
    Reads a file, or standard input, once.

    ``handle`` gets each batch, ``report_error`` each unreadable line by its number and the reason, and
    ``progress`` the counts after each batch. ``stop`` ends the reading after the current batch. ``batch_size`` and
    ``max_events`` are numbers of events. Raises ConsumerError when the file cannot be opened.
    """

    def __init__(
        self,
        path: str,
        *,
        handle: Handle,
        stop: StopRequest,
        report_error: Callable[[int, str], None],
        batch_size: int | None = None,
        max_events: int | None = None,
        progress: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        self.counts = Counts()
        self.bytes_read = 0
        self.lines_read = 0
        self.finished = False
        self._handle = handle
        self._stop = stop
        self._report_error = report_error
        self._batch_size = batch_size or config.intake["batch_size"]
        self._batch_bytes = config.intake["batch_bytes"]
        self._event_bytes = config.intake["event_bytes"]
        self._max_events = max_events
        self._progress = progress
        self._name = "stdin" if path == STDIN else Path(path).name
        self._descriptor = _open(path)
        self._batch: list[Event | Unreadable | Skipped] = []
        self._size = 0
        self._batch_began = 0.0

    @property
    def total_bytes(self) -> int | None:
        """The size of the file, or None for a pipe or a terminal."""
        return os.fstat(self._descriptor).st_size or None

    def run(self) -> Counts:
        """Read to the end, or until asked to stop."""
        lines = read_lines(self._descriptor, limit=self._event_bytes, patience=GATHER_SECONDS)
        try:
            with closing(lines):
                for line in lines:
                    if line is not None:
                        self._add_to_batch(line)
                    if self._is_full() or line is None:
                        self._handle_batch()
                    if self._is_done():
                        break
                else:
                    self.finished = True
                self._handle_batch()
        finally:
            if self._descriptor != sys.__stdin__.fileno() if sys.__stdin__ else True:
                os.close(self._descriptor)
        return self.counts

    def _add_to_batch(self, line: Line) -> None:
        self.bytes_read += line.size
        self.lines_read = line.number
        if line.text is not None and not line.text.strip():
            return
        self.counts.begin()
        if not self._batch:
            self._batch_began = time.monotonic()
        item, size = read_line(line, name=self._name, event_bytes=self._event_bytes)
        if isinstance(item, Unreadable):
            self._report_error(line.number, item.reason)
        self._batch.append(item)
        self._size += size

    def _is_full(self) -> bool:
        return (
            len(self._batch) >= self._batch_size
            or self._size >= self._batch_bytes
            or (bool(self._batch) and time.monotonic() - self._batch_began > GATHER_SECONDS)
        )

    def _handle_batch(self) -> None:
        kept = self.counts.add(self._batch)
        self._batch, self._size = [], 0
        if kept:
            self._handle(kept)
        self.counts.end_batch()
        self._progress(self.counts)

    def _is_done(self) -> bool:
        if self._max_events is not None and self.counts.read + len(self._batch) >= self._max_events:
            self.finished = True
        return self.finished or self._stop.requested


# --- from a file to lines --------------------------------------------------------------------------------------------


def read_lines(descriptor: int, *, limit: int, patience: float) -> Generator[Line | None, None, None]:
    """
    Yield the lines of an open file, and None each time that nothing arrived for ``patience`` seconds.

    ``limit`` is the number of bytes of the longest line whose text is wanted. At most one chunk and one line of that
    length are in memory, however long a line of the file is.
    """
    may_wait = not stat.S_ISREG(os.fstat(descriptor).st_mode)
    number, pending, size = 1, bytearray(), 0
    while True:
        if may_wait and not select.select([descriptor], [], [], patience)[0]:
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


def read_line(line: Line, *, name: str, event_bytes: int) -> tuple[Event | Unreadable | Skipped, int]:
    """
    Return the event of a line, or why there is none, and how many bytes it takes when stored.

    ``name`` is that of the file. An event that takes more than ``event_bytes`` is unreadable.
    """
    received_from = f"file:{name[-200:]}:{line.number}"
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
