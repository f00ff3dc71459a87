"""So many requests a minute for each user, counted in the host's cache."""

from __future__ import annotations

from typing import Any

from rest_framework.throttling import UserRateThrottle

from badges.conf import config


class PerUser(UserRateThrottle):
    """The limit is ``BADGES_CONFIG["rest_api"]["requests_per_minute"]``; None switches it off."""

    scope = "lms_badges"

    def get_rate(self) -> Any:
        limit = config.rest_api["requests_per_minute"]
        return None if limit is None else f"{int(limit)}/min"
