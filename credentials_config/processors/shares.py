"""Reads and compares shares of 1 as the LMS reports them, and writes them for people. Pure."""

from __future__ import annotations

import math

# In floating point, 0.7 + 0.1 is less than 0.8.
TOLERANCE = 1e-9


def share(value: object, *, most: float = 1.0) -> float | None:
    """Return a value as a share of 1, or None when it is not a number between 0 and ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(float(value), most) if 0 <= value <= most + TOLERANCE else None


def reaches(value: float, required: float) -> bool:
    """Return whether the value is at least the required one, allowing for rounding errors."""
    return value >= required - TOLERANCE


def percent(value: float) -> str:
    """Return a share as a percentage with at most two decimals, rounded down so that it never claims too much."""
    return f"{math.floor(value * 10_000 + 1e-6) / 100:g} %"
