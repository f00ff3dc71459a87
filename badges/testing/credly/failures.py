"""Which kinds of endpoint of the stand-in Credly something can go wrong at."""

from __future__ import annotations

from badges.testing import standin

ENDPOINTS = (
    "issue",
    "find_badges",
    "get_badge",
    "revoke",
    "organization",
    "templates",
    "template",
    "events",
    "event",
    "token",
)


class Failure(standin.Failure):
    """Something that goes wrong at Credly."""

    endpoints = ENDPOINTS
