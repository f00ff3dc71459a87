"""The failures of the stand-in LMS, and the kinds of endpoints that can fail."""

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
    """A failure of the LMS."""

    endpoints = ENDPOINTS
