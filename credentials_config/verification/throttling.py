"""The limit of requests for verification codes, by page and REST API together."""

from __future__ import annotations

from django.http import HttpRequest

from badges.common import client_limits
from credentials_config.conf import config

SCOPE = "lms_credentials_config:verify"


def seconds_to_wait(request: HttpRequest, *, now: float | None = None) -> int:
    """
    Count a request, and return in how many seconds its client address may ask again; 0: now.

    The limit is ``CREDENTIALS_CONFIG["verification"]["requests_per_minute"]``; None: no limit.
    """
    limit = config.verification["requests_per_minute"]
    return client_limits.seconds_to_wait(request, scope=SCOPE, limit=None if limit is None else int(limit), now=now)
