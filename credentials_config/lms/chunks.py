"""Chunks of learners, and spans of time: what both transports need."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LONGEST_LIST = 4000  # characters of usernames in one address, which servers commonly cut off at 8 KiB


def chunks(things: Iterable[T], size: int, *, length: Callable[[T], int] | None = None) -> Iterator[list[T]]:
    """Yield lists of at most that many, and at most LONGEST_LIST long altogether; reading no further ahead."""
    some: list[T] = []
    total = 0
    for thing in things:
        its_length = length(thing) if length else 0
        if some and (len(some) == size or total + its_length > LONGEST_LIST):
            yield some
            some, total = [], 0
        some.append(thing)
        total += its_length
    if some:
        yield some


def earliest(times: Iterable[dt.datetime | None]) -> dt.datetime | None:
    """Return the first of the times; None when one of them is open, or there are none."""
    given = list(times)
    return None if None in given else min((time for time in given if time is not None), default=None)


def latest(times: Iterable[dt.datetime | None]) -> dt.datetime | None:
    """Return the last of the times; None when one of them is open, or there are none."""
    given = list(times)
    return None if None in given else max((time for time in given if time is not None), default=None)
