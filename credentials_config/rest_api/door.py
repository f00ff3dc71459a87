"""What all our views share: each of the host's REST framework defaults is answered here, once."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import ParseError, Throttled
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from credentials_config.conf import config
from credentials_config.rest_api.openapi import Operation, Schema
from credentials_config.rest_api.problems import problem_response
from credentials_config.verification.throttling import seconds_to_wait

_JWT_PACKAGE = "edx_rest_framework_extensions"
_JWT_AUTHENTICATION = f"{_JWT_PACKAGE}.auth.jwt.authentication.JwtAuthentication"


def authenticators() -> list[BaseAuthentication]:
    """Return the ways that settings name; else the host's session, and its JWT where it has them."""
    named = config.rest_api["authentication"]
    if named is not None:
        return [import_string(name)() for name in named]
    if hasattr(settings, "JWT_AUTH") and _has_jwt():
        return [import_string(_JWT_AUTHENTICATION)(), SessionAuthentication()]
    return [SessionAuthentication()]


@cache
def _has_jwt() -> bool:
    return find_spec(_JWT_PACKAGE) is not None


class PerUser(UserRateThrottle):
    """So many requests a minute as ``CREDENTIALS_CONFIG["rest_api"]`` says; None switches it off."""

    scope = "lms_credentials_config"
    setting = "requests_per_minute"

    def get_rate(self) -> Any:
        limit = config.rest_api[self.setting]
        return None if limit is None else f"{int(limit)}/min"


class PerUserOfTheLms(PerUser):
    """Fewer of those that ask the LMS: ``lms_requests_per_minute``."""

    scope = "lms_credentials_config_lms"
    setting = "lms_requests_per_minute"


class _NoFormatInQuery:
    URL_FORMAT_OVERRIDE = None


class ByAcceptHeader(DefaultContentNegotiation):
    """The Accept header alone chooses."""

    settings = _NoFormatInQuery()


class StrictJSON(JSONParser):
    """JSON as it is defined; a body that is nested too deeply is the sender's mistake like any other."""

    strict = True

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(_("The JSON is nested too deeply.")) from None


class Door(APIView):
    """A view of ours, for people who are signed in. Subclasses say which ``operations`` they answer."""

    operations: dict[str, Operation] = {}
    permission_classes: list[Any] = [IsAuthenticated]
    throttle_classes: list[Any] = [PerUser]
    renderer_classes = [JSONRenderer]
    parser_classes = [StrictJSON]
    content_negotiation_class = ByAcceptHeader
    versioning_class = None
    metadata_class = None
    schema = Schema()

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        cls.http_method_names = [*cls.operations, *(["head"] if "get" in cls.operations else [])]

    def get_authenticators(self) -> list[BaseAuthentication]:
        return authenticators()

    def get_authenticate_header(self, request: Request) -> str:
        """Name a way to authenticate, so that whoever did not is told 401 (a session alone has no name in HTTP)."""
        headers = (way.authenticate_header(request) for way in self.get_authenticators())
        return next(filter(None, headers), 'Session realm="credentials"')

    def get_exception_handler(self) -> Any:
        return problem_response


class PublicDoor(Door):
    """A view of ours for everybody, counted by address together with the verification page."""

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
