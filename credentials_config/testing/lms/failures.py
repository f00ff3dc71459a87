"""What goes wrong at the stand-in LMS on request: the failures of the other stand-ins, at this one's endpoints."""

from __future__ import annotations

from dataclasses import dataclass

from badges.testing.credly import failures

ALL = failures.ALL
Failures = failures.Failures

ENDPOINTS = (
    "token",
    "enrollments",
    "accounts",
    "language",
    "course",
    "blocks",
    "gradebook",
    "policy",
    "completions",
    "pathway",
    "pathway_enrollments",
)


@dataclass(frozen=True)
class Failure(failures.Failure):
    """One thing that goes wrong. Without a status the caller gets the true answer: late, or with another next page."""

    def __post_init__(self) -> None:
        if self.on not in (ALL, *ENDPOINTS):
            raise ValueError(f"on: {self.on!r} is no kind of endpoint. Choose one of: all, {', '.join(ENDPOINTS)}.")
        if self.times is not None and self.times < 1:
            raise ValueError("times: at least 1, or None for 'until cleared'.")
