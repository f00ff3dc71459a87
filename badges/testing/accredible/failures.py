"""Which kinds of endpoint of the stand-in Accredible something can go wrong at."""

from __future__ import annotations

from badges.testing import standin

ENDPOINTS = (
    "issue",
    "search",
    "get_credential",
    "update",
    "delete",
    "groups",
    "group",
    "design",
    "organization",
)


class Failure(standin.Failure):
    """Something that goes wrong at Accredible."""

    endpoints = ENDPOINTS
