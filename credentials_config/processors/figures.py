"""Figures as the LMS reports them, some of them odd, and as people read them. Pure."""

from __future__ import annotations

import math
from typing import Any

# 0.7 + 0.1 must do for 0.8.
TOLERANCE = 1e-9


def share(value: Any, *, most: float = 1.0) -> float | None:
    """Return a share of 1; None for what cannot be one: nothing, text, not a number, below nought, above ``most``."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return min(float(value), most) if 0 <= value <= most + TOLERANCE else None


def reaches(value: float, demanded: float) -> bool:
    """Whether the value is at least what is demanded."""
    return value >= demanded - TOLERANCE


def percent(value: float) -> str:
    """Write a share as people do, with decimals where they matter; never rounded up to what was not reached."""
    return f"{math.floor(value * 10_000 + 1e-6) / 100:g} %"
