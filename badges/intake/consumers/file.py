"""
Events from a file: JSON Lines, one event a line.

A line that cannot be read is told by its number and kept as a dead letter; the others go through. Nothing is remembered
about how far a file was read: read again, its events are recognised by their ids.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from badges.conf import config
from badges.exceptions import EventError
from badges.intake import payloads
from badges.intake.consumers.basics import ConsumerError, Counts, Handle, Skipped, Stop, definition_of
from badges.intake.consumers.lines import Line, read_lines
from badges.intake.events import Event, Unreadable

STDIN = "-"
# How long a batch that is not full waits for the next line of a pipe.
GATHER_SECONDS = 0.5
# The name of the file is part of where an event came from, with the number of the line.
NAME_LENGTH = 200


class FileIntake:
    """One reading of a file, or of standard input."""

    def __init__(
        self,
        path: str,
        *,
        handle: Handle,
        stop: Stop,
        complain: Callable[[int, str], None],
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
        self._complain = complain
        self._batch_size = batch_size or config.intake["batch_size"]
        self._batch_bytes = config.intake["batch_bytes"]
        self._event_bytes = config.intake["event_bytes"]
        self._max_events = max_events
        self._progress = progress
        self._name = "stdin" if path == STDIN else Path(path).name
        self._descriptor = _open(path)
        self._batch: list[Event | Unreadable | Skipped] = []
        self._size = 0
        self._since = 0.0

    @property
    def total_bytes(self) -> int | None:
        """The size of the file, or None when it cannot be known ahead."""
        return os.fstat(self._descriptor).st_size or None

    def run(self) -> Counts:
        """Read to the end, or until asked to stop."""
        lines = read_lines(self._descriptor, limit=self._event_bytes, patience=GATHER_SECONDS)
        try:
            with closing(lines):
                for line in lines:
                    if line is not None:
                        self._take(line)
                    if self._is_full() or line is None:
                        self._hand_on()
                    if self._is_done():
                        break
                else:
                    self.finished = True
                self._hand_on()
        finally:
            if self._descriptor != sys.__stdin__.fileno() if sys.__stdin__ else True:
                os.close(self._descriptor)
        return self.counts

    def _take(self, line: Line) -> None:
        self.bytes_read += line.size
        self.lines_read = line.number
        if line.text is not None and not line.text.strip():
            return
        self.counts.begin()
        if not self._batch:
            self._since = time.monotonic()
        item, size = read_line(line, name=self._name, event_bytes=self._event_bytes)
        if isinstance(item, Unreadable):
            self._complain(line.number, item.reason)
        self._batch.append(item)
        self._size += size

    def _is_full(self) -> bool:
        return (
            len(self._batch) >= self._batch_size
            or self._size >= self._batch_bytes
            or (bool(self._batch) and time.monotonic() - self._since > GATHER_SECONDS)
        )

    def _hand_on(self) -> None:
        kept = self.counts.add(self._batch)
        self._batch, self._size = [], 0
        if kept:
            self._handle(kept)
        self.counts.took()
        self._progress(self.counts)

    def _is_done(self) -> bool:
        if self._max_events is not None and self.counts.read + len(self._batch) >= self._max_events:
            self.finished = True
        return self.finished or self._stop.requested


def read_line(line: Line, *, name: str, event_bytes: int) -> tuple[Event | Unreadable | Skipped, int]:
    """Turn a line into an event, or say what is wrong with it; also how many bytes it takes when stored."""
    source = f"file:{name}:{line.number}"
    if line.text is None:
        reason = payloads.TOO_BIG.format(size=line.size, limit=event_bytes)
        return _unreadable(EventError(reason), source, b"", {}), 0
    envelope: dict[str, Any] = {}
    try:
        envelope = payloads.load(_decode(line.text))
        event_type = payloads.canonical_type(envelope["type"])
        definition = definition_of(event_type)
        if definition is None:
            return Skipped(event_type), 0
        event = payloads.read(definition, envelope, source=source)
        return event, payloads.refuse_too_big(event, len(line.text), event_bytes)
    except payloads.TooBigError as error:
        return _unreadable(error, source, b"", envelope), 0
    except EventError as error:
        return _unreadable(error, source, line.text, envelope), len(line.text)


def _open(path: str) -> int:
    if path == STDIN:
        return sys.stdin.fileno()
    if len(name := Path(path).name) > NAME_LENGTH:
        raise ConsumerError(
            f"The name of the file has {len(name)} characters, and each event keeps it; at most {NAME_LENGTH} fit. "
            "Rename the file, or send it to standard input (--input -)."
        )
    try:
        if Path(path).is_dir():
            raise ConsumerError(f"{path} is a folder. Give --input one file of events.")
        return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise ConsumerError(f"{path} cannot be read ({error.strerror}). Correct --input.") from None


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise EventError(f"not UTF-8 at byte {error.start + 1}") from None


def _unreadable(error: EventError, source: str, text: bytes, envelope: dict[str, Any]) -> Unreadable:
    # The content is part of the id: the same line number of another file, or of the corrected one, is another matter.
    # Of a line that is too big to keep, the reason names at least its size.
    content = text or str(error).encode()
    digest = hashlib.sha256(source.encode(errors="replace") + b"\n" + content).hexdigest()[:16]
    event_type = envelope.get("type")
    known = isinstance(event_type, str) and event_type.isprintable() and len(event_type) <= payloads.TYPE_LENGTH
    return Unreadable(
        id=f"{source} {digest}".encode(errors="replace").decode(),
        reason=str(error),
        source=source,
        type=event_type if known and isinstance(event_type, str) else "",
        body=_body(text),
    )


def _body(text: bytes) -> str | None:
    """A line as it can be stored: as it is, or as Base64 when a database could not take it as text."""
    if not text:
        return None
    try:
        body = text.decode()
    except UnicodeDecodeError:
        body = "\0"
    return base64.b64encode(text).decode("ascii") if "\0" in body else body
