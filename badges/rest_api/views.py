"""What all our views share: each of the host's REST framework defaults is answered here, once."""

from __future__ import annotations

from typing import Any

from rest_framework.authentication import BaseAuthentication
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import JSONParser
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from badges.rest_api.authentication import authenticators
from badges.rest_api.openapi import Schema
from badges.rest_api.problems import problem_response
from badges.rest_api.throttling import PerUser


class _NoFormatInQuery:
    URL_FORMAT_OVERRIDE = None


class ByAcceptHeader(DefaultContentNegotiation):
    """The Accept header alone chooses."""

    settings = _NoFormatInQuery()


class Door(APIView):
    """A view of ours. Subclasses say what they answer; who may ask, and how errors look, is said here."""

    http_method_names = ["get", "head"]
    permission_classes = [IsAuthenticated]
    throttle_classes = [PerUser]
    renderer_classes = [JSONRenderer]
    parser_classes = [JSONParser]
    content_negotiation_class = ByAcceptHeader
    versioning_class = None
    metadata_class = None
    schema = Schema()

    def get_authenticators(self) -> list[BaseAuthentication]:
        return authenticators()

    def get_authenticate_header(self, request: Request) -> str:
        """Name a way to authenticate, so that whoever did not is told 401 (a session alone has no name in HTTP)."""
        headers = (way.authenticate_header(request) for way in self.get_authenticators())
        return next(filter(None, headers), 'Session realm="badges"')

    def get_exception_handler(self) -> Any:
        return problem_response
