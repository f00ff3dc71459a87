"""
The base of all REST views of both apps. It sets everything that a host could set by REST framework defaults.

A view lists its ``operations`` by HTTP method, and in ``needs`` the permission of each method that needs one. A view
that writes gets its body from ``body``: strict JSON of a limited size, without unknown fields. Whatever is wrong is
answered with problem details, which ``common.problem_details`` makes of our own errors, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.throttling import UserRateThrottle
from rest_framework.views import APIView

from badges.common.config import Config
from badges.common.openapi import Operation
from badges.common.problem_details import TooLarge, problem_response
from badges.common.request_bodies import NAME_SHOWN, StrictSerializer

# Much more than any body that our views take.
MAX_BODY_BYTES = 256 * 1024

JWT_PACKAGE = "edx_rest_framework_extensions"
JWT_AUTHENTICATION = f"{JWT_PACKAGE}.auth.jwt.authentication.JwtAuthentication"


class PerUserThrottle(UserRateThrottle):
    """Limits a user's requests per minute. The limit is in the app's ``rest_api`` setting; None means no limit."""

    config: ClassVar[Config]
    setting: ClassVar[str] = "requests_per_minute"

    def get_rate(self) -> Any:
        limit = self.config.rest_api[self.setting]
        return None if limit is None else f"{int(limit)}/min"


class _NoFormatParameter:
    URL_FORMAT_OVERRIDE = None


class AcceptHeaderNegotiation(DefaultContentNegotiation):
    """Chooses the format by the Accept header alone."""

    settings = _NoFormatParameter()  # type: ignore[assignment]  # the only setting that the base class reads


class StrictJSONParser(BaseParser):
    """
    Accepts valid JSON only. Status 400 is also the answer to a key that is written twice, and to deep nesting.

    A body that is larger than the ``max_body_bytes`` of the view is answered with status 413, and not read to its end.
    It is no subclass of the framework's JSONParser, because that always gets the whole body.
    """

    media_type = "application/json"

    def parse(self, stream: Any, media_type: Any = None, parser_context: Any = None) -> Any:
        limit = getattr((parser_context or {}).get("view"), "max_body_bytes", MAX_BODY_BYTES)
        content = stream.read(limit + 1)
        if len(content) > limit:
            raise TooLarge(_("The body is larger than %(limit)d bytes. Send less at once.") % {"limit": limit})
        try:
            return json.loads(
                content.decode("utf-8-sig"),
                object_pairs_hook=_object,
                parse_constant=_refuse_constant,
                parse_float=_finite,
            )
        except RecursionError:
            raise ParseError(_("The JSON is nested too deeply.")) from None
        except ValueError as error:
            raise ParseError(_("The body cannot be read as JSON: %(error)s") % {"error": error}) from None


def _object(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(_("the key %(key)s is written twice in one object") % {"key": key[:NAME_SHOWN]})
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(_("%(name)s is not a number in JSON") % {"name": name})


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError(_("the number %(number)s is too large") % {"number": text[:NAME_SHOWN]})
    return number


class HasNeededPermission(BasePermission):
    """Each HTTP method in the ``needs`` of the view needs its permission, or one of several; the others need none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        needed = view.needs.get((request.method or "").lower(), ())
        alternatives = (needed,) if isinstance(needed, str) else needed
        return not alternatives or any(request.user.has_perm(name) for name in alternatives)


class PluginAPIView(APIView):
    """
    A view for authenticated users.

    Each app has a subclass with its ``config``, which names the authentication classes, and its ``realm``. The subclass
    also sets the throttle classes and the schema.
    """

    config: ClassVar[Config]
    realm: ClassVar[str]

    operations: ClassVar[dict[str, Operation]] = {}
    needs: ClassVar[dict[str, str | tuple[str, ...]]] = {}
    max_body_bytes: ClassVar[int] = MAX_BODY_BYTES

    permission_classes: list[Any] = [IsAuthenticated, HasNeededPermission]
    renderer_classes: list[Any] = [JSONRenderer]
    parser_classes: list[Any] = [StrictJSONParser]
    content_negotiation_class = AcceptHeaderNegotiation
    versioning_class = None
    metadata_class = None

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        if cls.operations:
            cls.http_method_names = [*cls.operations, *(["head"] if "get" in cls.operations else [])]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """Return the view, without the host's ATOMIC_REQUESTS: views choose their transactions, and try them again."""
        return transaction.non_atomic_requests(super().as_view(**initkwargs))

    def body(self, serializer: type[StrictSerializer]) -> dict[str, Any]:
        """
        Return the validated fields of the request's body.

        Raises the errors of REST framework that name each wrong or unknown field and the remedy.
        """
        given = serializer(data=self.request.data)
        given.is_valid(raise_exception=True)
        fields: dict[str, Any] = given.validated_data
        return fields

    def get_authenticators(self) -> list[BaseAuthentication]:
        return authenticators(self.config)

    def get_authenticate_header(self, request: Request) -> str:
        """Return a challenge, so that the status is 401 and not 403. HTTP defines no scheme for sessions."""
        headers = (way.authenticate_header(request) for way in self.get_authenticators())
        return next(filter(None, headers), f'Session realm="{self.realm}"')

    def get_exception_handler(self) -> Any:
        return problem_response


def authenticators(config: Config) -> list[BaseAuthentication]:
    """Return the authenticators of the ``rest_api`` setting; by default the session and, if the host has it, JWT."""
    named = config.rest_api["authentication"]
    if named is not None:
        return [import_string(name)() for name in named]
    if hasattr(settings, "JWT_AUTH") and _has_jwt():
        return [import_string(JWT_AUTHENTICATION)(), SessionAuthentication()]
    return [SessionAuthentication()]


@cache
def _has_jwt() -> bool:
    return find_spec(JWT_PACKAGE) is not None
