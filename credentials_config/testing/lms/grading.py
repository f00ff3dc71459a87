"""How the platform grades: categories with their lowest scores dropped, weighted, and rounded to whole per cents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any


def course_grade(policy: Sequence[Mapping[str, Any]], shares: Mapping[str, Sequence[float]]) -> float:
    """Return the course grade from the shares of 1 in each category's assignments, attempted or not."""
    total = sum(
        float(entry["weight"]) * category_grade(entry, shares.get(entry["assignment_type"], ())) for entry in policy
    )
    return math.floor(total * 100 + 0.05 + 0.5) / 100


def category_grade(entry: Mapping[str, Any], shares: Sequence[float]) -> float:
    """Return the mean of the category; assignments that do not exist yet count as nought, the lowest are dropped."""
    expected = max(int(entry["count"]), len(shares))
    marks = sorted([*shares, *[0.0] * (expected - len(shares))], reverse=True)
    kept = marks[: max(0, expected - int(entry["dropped"]))]
    return sum(kept) / len(kept) if kept else 0.0
