"""The base classes of the views: those of ``badges.common``, with the settings of this app."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from badges.common import api_view
from badges.common.openapi import OperationSchema
from credentials_config.conf import config
from credentials_config.verification.throttling import seconds_to_wait


class PerUserThrottle(api_view.PerUserThrottle):
    """The limit is ``CREDENTIALS_CONFIG["rest_api"]["requests_per_minute"]``."""

    config = config
    scope = "lms_credentials_config"


class PerUserOfTheLms(PerUserThrottle):
    """A lower limit for requests that ask the LMS: ``lms_requests_per_minute``."""

    scope = "lms_credentials_config_lms"
    setting = "lms_requests_per_minute"


class PluginAPIView(api_view.PluginAPIView):
    """A view for people who are signed in. Subclasses list their ``operations``, by HTTP method."""

    config = config
    realm = "credentials"
    throttle_classes: list[Any] = [PerUserThrottle]
    schema = OperationSchema()


class PublicAPIView(PluginAPIView):
    """A view for everybody. Its requests count by client address, together with those of the verification page."""

    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []

    def get_authenticators(self) -> list[BaseAuthentication]:
        return []

    def check_throttles(self, request: Request) -> None:
        wait = seconds_to_wait(request._request)
        if wait:
            raise Throttled(wait=wait)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        response = super().finalize_response(request, response, *args, **kwargs)
        response["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        response["Referrer-Policy"] = "no-referrer"
        response["Cache-Control"] = "no-store"
        return response
