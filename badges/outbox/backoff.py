"""
When to try again: arithmetic over values, nothing else.

The wait doubles with every try up to a cap, and its upper half is random, so that what failed together does not come
back together. What the other side asked for (``Retry-After``) goes before our own reckoning.
"""

from __future__ import annotations

import math
import random as chance
from collections.abc import Callable

# However far away a server asks us to come back, an operator wants to hear from the row within a day.
LONGEST_ASKED_FOR = 24 * 3600.0

# 2 ** 32 seconds are more than any cap; it keeps the power small when somebody allows thousands of tries.
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
    Return the seconds to wait after this many tries (1 after the first).

    ``base`` is the longest wait after the first try, ``cap`` the longest of all. With ``retry_after`` the wait is that
    long, plus up to a tenth so that a crowd does not return at one instant. ``random`` returns a number in [0, 1).
    """
    longest = min(cap, base * 2 ** min(max(attempts, 1) - 1, _LARGEST_EXPONENT))
    if retry_after is None or math.isnan(retry_after):
        return longest / 2 * (1 + random())
    # "At once" would be a hot loop against somebody who just refused us.
    asked = min(max(retry_after, base / 2), LONGEST_ASKED_FOR)
    return asked * (1 + random() / 10)
