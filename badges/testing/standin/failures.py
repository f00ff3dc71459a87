"""
What goes wrong on request, and for how long.

A failure names the kind of endpoint it hits (``on``), how often (``times``; ``None``: until cleared), whether the
request is *carried out* before it fails, which is what makes an outcome uncertain for the caller, and what the caller
sees instead.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from badges.testing.standin.messages import Reply

ALL = "all"


@dataclass(frozen=True)
class Failure:
    """
    One thing that goes wrong. Without a status the caller gets the true answer: late, or with another next page.

    Each stand-in has a class of its own that says its ``endpoints``.
    """

    endpoints: ClassVar[Sequence[str]] = ()

    on: str = ALL
    times: int | None = None
    carried_out: bool = False
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    delay: float = 0.0
    drop: bool = False
    next_page_url: str | None = None

    def __post_init__(self) -> None:
        if self.on not in (ALL, *self.endpoints):
            known = ", ".join((ALL, *self.endpoints))
            raise ValueError(f"on: {self.on!r} is no kind of endpoint. Choose one of: {known}.")
        if self.times is not None and self.times < 1:
            raise ValueError("times: at least 1, or None for 'until cleared'.")

    def apply_to(self, reply: Reply) -> None:
        """Make of the true reply what the caller sees; where the next page leads is each stand-in's own affair."""
        reply.delay, reply.drop = self.delay, self.drop
        if self.status is not None:
            reply.status, reply.body = self.status, self.body
            reply.headers = {"Content-Type": "text/plain; charset=utf-8", **self.headers}

    def to_json(self) -> dict[str, Any]:
        """Give a dictionary that JSON can carry."""
        return asdict(self)


class Failures:
    """The failures that wait for a request, in the order they were asked for; the first that fits is used."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Failure] = []

    def add(self, failure: Failure) -> None:
        """Let this go wrong from the next request on."""
        with self._lock:
            self._waiting.append(failure)

    def take(self, endpoint: str) -> Failure | None:
        """Give what goes wrong with this request, if anything, and count it down."""
        with self._lock:
            for position, failure in enumerate(self._waiting):
                if failure.on in (ALL, endpoint):
                    self._count_down(position, failure)
                    return failure
        return None

    def waiting(self) -> list[Failure]:
        """List what would still go wrong."""
        with self._lock:
            return list(self._waiting)

    def clear(self) -> None:
        """Let everything go well again."""
        with self._lock:
            self._waiting.clear()

    def _count_down(self, position: int, failure: Failure) -> None:
        if failure.times is None:
            return
        if failure.times == 1:
            del self._waiting[position]
        else:
            self._waiting[position] = replace(failure, times=failure.times - 1)
