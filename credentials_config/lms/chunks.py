"""Chunks of learners and the range of dates, for both transports."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

# The most characters of usernames in one address. Servers commonly refuse addresses of more than 8 KiB.
MAX_LENGTH = 4000


def chunks(items: Iterable[T], size: int, *, length: Callable[[T], int] | None = None) -> Iterator[list[T]]:
    """
    Yield the items in lists of at most ``size``.

    With ``length``, the lengths of the items of a list add up to at most MAX_LENGTH. No more items are read than the
    next list needs.
    """
    chunk: list[T] = []
    total = 0
    for item in items:
        item_length = length(item) if length else 0
        if chunk and (len(chunk) == size or total + item_length > MAX_LENGTH):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += item_length
    if chunk:
        yield chunk


def earliest(times: Iterable[dt.datetime | None]) -> dt.datetime | None:
    """Return the first of the times, or None when one of them is None or there are none."""
    given = list(times)
    return None if None in given else min((time for time in given if time is not None), default=None)


def latest(times: Iterable[dt.datetime | None]) -> dt.datetime | None:
    """Return the last of the times, or None when one of them is None or there are none."""
    given = list(times)
    return None if None in given else max((time for time in given if time is not None), default=None)
