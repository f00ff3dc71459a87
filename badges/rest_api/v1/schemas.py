"""The JSON Schemas of packs and of the criteria language, for editors. They are public."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotFound
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from badges.catalog.structure import schema_with_criteria
from badges.common.openapi import Operation
from badges.rest_api.views import PluginAPIView
from badges.rules import criteria_schema

_SCHEMAS: dict[str, Callable[[], dict[str, Any]]] = {
    "criteria": criteria_schema,
    "pack": partial(schema_with_criteria, "criteria.json"),  # beside it
}


class SchemaRenderer(JSONRenderer):
    """Renders JSON with the media type of JSON Schema."""

    media_type = "application/schema+json"


class LanguageSchemaView(PluginAPIView):
    """A JSON Schema."""

    operations = {
        "get": Operation(
            "schemas_retrieve",
            "Show a JSON Schema",
            {"type": "object"},
            parameters=(OpenApiParameter("name", str, OpenApiParameter.PATH, enum=list(_SCHEMAS)),),
            problems={"404": "There is no such schema."},
        )
    }
    permission_classes = [AllowAny]
    throttle_classes: list[Any] = []
    renderer_classes = [SchemaRenderer, JSONRenderer]

    def get_authenticators(self) -> list[Any]:
        return []

    def get(self, request: Request, name: str) -> Response:
        """The JSON Schema (2020-12) of packs, or that of criteria documents. It is public."""
        if name not in _SCHEMAS:
            raise NotFound
        return Response(_SCHEMAS[name](), headers={"Cache-Control": "public, max-age=3600"})
