"""
Course grades as the platform computes them.

The lowest scores of each category are dropped. The categories are weighted, and the sum is rounded to whole
percentages.
"""

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
    """Return the mean of a category. Assignments that do not exist yet count as 0, and the lowest are dropped."""
    expected = max(int(entry["count"]), len(shares))
    scores = sorted([*shares, *[0.0] * (expected - len(shares))], reverse=True)
    kept = scores[: max(0, expected - int(entry["dropped"]))]
    return sum(kept) / len(kept) if kept else 0.0
