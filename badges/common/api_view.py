"""What all views of both apps share: each of the host's REST framework defaults is answered here, once."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

from django.conf import settings
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from badges.common.config import Config
from badges.common.problem_details import problem_response

JWT_PACKAGE = "edx_rest_framework_extensions"
JWT_AUTHENTICATION = f"{JWT_PACKAGE}.auth.jwt.authentication.JwtAuthentication"


class PerUserThrottle(UserRateThrottle):
    """So many requests a minute as a key of an app's ``rest_api`` settings says; None switches it off."""

    config: ClassVar[Config]
    setting: ClassVar[str] = "requests_per_minute"

    def get_rate(self) -> Any:
        limit = self.config.rest_api[self.setting]
        return None if limit is None else f"{int(limit)}/min"


class _NoFormatParameter:
    URL_FORMAT_OVERRIDE = None


class AcceptHeaderNegotiation(DefaultContentNegotiation):
    """The Accept header alone chooses."""

    settings = _NoFormatParameter()  # type: ignore[assignment]  # all that it is asked for


class StrictJSONParser(JSONParser):
    """JSON as it is defined; a body that is nested too deeply is the sender's mistake like any other."""

    strict = True

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError(_("The JSON is nested too deeply.")) from None


class PluginAPIView(APIView):
    """
    A view for people who are signed in.

    Each app says in a class of its own which ``config`` names the ways to authenticate, which ``realm`` they lead to,
    how often people may ask, and how its views describe themselves.
    """

    config: ClassVar[Config]
    realm: ClassVar[str]

    permission_classes: list[Any] = [IsAuthenticated]
    renderer_classes: list[Any] = [JSONRenderer]
    parser_classes: list[Any] = [StrictJSONParser]
    content_negotiation_class = AcceptHeaderNegotiation
    versioning_class = None
    metadata_class = None

    def get_authenticators(self) -> list[BaseAuthentication]:
        return authenticators(self.config)

    def get_authenticate_header(self, request: Request) -> str:
        """Name a way to authenticate, so that whoever did not is told 401 (a session alone has no name in HTTP)."""
        headers = (way.authenticate_header(request) for way in self.get_authenticators())
        return next(filter(None, headers), f'Session realm="{self.realm}"')

    def get_exception_handler(self) -> Any:
        return problem_response


def authenticators(config: Config) -> list[BaseAuthentication]:
    """Return the ways that the ``rest_api`` settings name; else the host's session, and its JWT where it has them."""
    named = config.rest_api["authentication"]
    if named is not None:
        return [import_string(name)() for name in named]
    if hasattr(settings, "JWT_AUTH") and _has_jwt():
        return [import_string(JWT_AUTHENTICATION)(), SessionAuthentication()]
    return [SessionAuthentication()]


@cache
def _has_jwt() -> bool:
    return find_spec(JWT_PACKAGE) is not None
