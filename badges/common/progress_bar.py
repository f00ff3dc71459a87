"""How commands show long work: as a bar on a terminal, and as a line every few seconds in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Protocol, Self

from tqdm import tqdm

LINE_SECONDS = 5.0


class Stream(Protocol):
    """Where lines are written, such as the ``stderr`` of a Django command."""

    def write(self, msg: str) -> object: ...


class ProgressBar:
    """
    The progress of one piece of long work.

    ``total`` is how much there is to do, or None when it is not known. ``unit`` names what is counted. ``total_bytes``
    is given instead of ``total`` when the share that is done is measured in bytes, as it is for a file.
    """

    def __init__(
        self,
        stderr: Stream,
        *,
        unit: str,
        title: str = "",
        total: int | None = None,
        total_bytes: int | None = None,
        verbosity: int = 1,
    ) -> None:
        self._stderr = stderr
        self._unit = unit
        self._title = f"{title}: " if title else ""
        self._total = total_bytes or total
        self._is_silent = verbosity < 1
        self._bar = tqdm(
            desc=title or None,
            total=self._total,
            unit="B" if total_bytes else f" {unit}",
            unit_scale=bool(total_bytes),
            leave=False,
            disable=True if self._is_silent else None,  # None: off when standard error is no terminal
            file=sys.stderr,
        )
        self._line_at = time.monotonic()
        self._line_count = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._bar.close()

    def show(self, count: int, *, done_bytes: int | None = None, **details: int) -> None:
        """Show that ``count`` units are done, and ``done_bytes`` of the bytes; ``details`` stand beside the bar."""
        done = count if done_bytes is None else done_bytes
        self._bar.update(done - self._bar.n)
        if details:
            self._bar.set_postfix(details, refresh=False)
        now = time.monotonic()
        if self._bar.disable and now - self._line_at >= LINE_SECONDS and count != self._line_count:
            self._write_line(count, done, now)

    def _write_line(self, count: int, done: int, now: float) -> None:
        if not self._is_silent:
            share = f" ({100 * done // self._total} %)" if self._total else ""
            rate = (count - self._line_count) / (now - self._line_at)
            self._stderr.write(f"{self._title}{count} {self._unit}{share}, {rate:.0f} a second")
        self._line_at, self._line_count = now, count


def write_above_bar(stderr: Stream, text: str) -> None:
    """Write a line to standard error so that a bar that is shown there stays the last line."""
    with tqdm.external_write_mode(file=sys.stderr):
        stderr.write(text)
