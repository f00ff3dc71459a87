"""The OpenAPI document and its page with Swagger UI."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from badges.rest_api.openapi import document
from badges.rest_api.views import PluginAPIView


class SchemaView(PluginAPIView):
    """The OpenAPI document, which is public. It is JSON, or YAML by the Accept header."""

    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []
    renderer_classes = [OpenApiJsonRenderer, OpenApiJsonRenderer2, OpenApiYamlRenderer, OpenApiYamlRenderer2]
    schema = None

    def get_authenticators(self) -> list[Any]:
        return []

    def get(self, request: Request) -> Response:
        return Response(document())


@require_safe
def docs(request: HttpRequest) -> HttpResponse:
    """Show the document in Swagger UI. Its files are served by this host, nothing is loaded from other servers."""
    return render(request, "lms_badges/api_docs.html")
