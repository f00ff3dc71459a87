"""Which kinds of endpoint of the stand-in LMS something can go wrong at."""

from __future__ import annotations

from badges.testing import standin

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


class Failure(standin.Failure):
    """Something that goes wrong at the LMS."""

    endpoints = ENDPOINTS
