"""
When to try again: arithmetic over values, nothing else.

The wait doubles with every attempt up to a cap, and its upper half is random, so that what failed together does not
come back together. What the other side asked for (``Retry-After``) goes before our own wait.
"""

from __future__ import annotations

import math
import random as chance
from collections.abc import Callable

from badges.common.retry_after import LONGEST_WAIT

# 2 ** 32 seconds are more than any cap; it keeps the power small when somebody allows thousands of attempts.
_LARGEST_EXPONENT = 32


def next_delay(
    attempts: int,
    *,
    base: float,
    cap: float,
    retry_after: float | None = None,
    random: Callable[[], float] = chance.random,
) -> float:
    """
    Return the seconds to wait after this many attempts (1 after the first).

    ``base`` is the longest wait after the first attempt, ``cap`` the longest of all. With ``retry_after`` the wait is
    that long, at most a day, plus up to a tenth so that a crowd does not return at one instant. ``random`` returns a
    number in [0, 1).
    """
    longest = longest_delay(attempts, base=base, cap=cap)
    if retry_after is None or math.isnan(retry_after):
        return longest / 2 * (1 + random())
    # "At once" would be a hot loop against somebody who just refused us.
    asked = min(max(retry_after, base / 2), LONGEST_WAIT)
    return asked * (1 + random() / 10)


def delay_by_age(
    seconds: float,
    *,
    base: float,
    cap: float,
    retry_after: float | None = None,
    random: Callable[[], float] = chance.random,
) -> float:
    """
    Return the seconds to wait after something has failed for ``seconds``, for whom does not count attempts.

    The wait is about as long as it has failed, so it about doubles each time. It is at least half of ``base`` and at
    most ``cap``. ``retry_after`` and ``random`` are those of ``next_delay``.
    """
    longest = min(max(seconds, base), cap)
    return next_delay(1, base=longest, cap=longest, retry_after=retry_after, random=random)


def longest_delay(attempts: int, *, base: float, cap: float) -> float:
    """Return the longest that ``next_delay`` waits by itself: ``base``, doubled with every attempt, up to ``cap``."""
    return float(min(cap, base * 2 ** min(max(attempts, 1) - 1, _LARGEST_EXPONENT)))
