"""The base of the views of this app."""

from __future__ import annotations

from typing import Any

from badges.common import api_view
from badges.conf import config
from badges.rest_api.openapi import Schema


class PerUserThrottle(api_view.PerUserThrottle):
    """The limit is ``LMS_BADGES_CONFIG["rest_api"]["requests_per_minute"]``."""

    config = config
    scope = "lms_badges"


class PluginAPIView(api_view.PluginAPIView):
    """A view of this app. Without ``operations`` it only reads."""

    config = config
    realm = "badges"
    http_method_names = ["get", "head"]
    throttle_classes: list[Any] = [PerUserThrottle]
    schema = Schema()
