"""The OpenAPI document of the plugin's views, without views of the host."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

from django.utils import translation
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.settings import SPECTACULAR_DEFAULTS, patched_settings

from badges import __version__
from badges.catalog.structure import schema, schema_with_criteria
from badges.common.api_view import JWT_AUTHENTICATION
from badges.common.openapi import Operation, OperationSchema
from badges.rules import criteria_schema

_PROBLEM = {
    "type": "object",
    "description": "A problem document of RFC 9457.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {
            "type": "string",
            "description": "What is in the way of a decision about a badge. Only with the statuses 409 and 422.",
        },
        "credential": {
            "type": "string",
            "format": "uuid",
            "description": "The credential that is in the way. Only with the codes already_held and blocked.",
        },
        "errors": {
            "type": "array",
            "description": "What is wrong with each parameter.",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "detail": {"type": "string"},
                    "kind": {"type": "string", "description": "What is wrong with a criteria document."},
                    "pointer": {"type": "string", "description": "Where in it, as a JSON Pointer (RFC 6901)."},
                },
                "required": ["field", "detail"],
            },
        },
    },
    "required": ["type", "title", "status", "detail"],
}

# The document of a template. Its schema is that of a pack's entry; the names of components begin with their schema's.
TEMPLATE_DOCUMENT_SCHEMA = {"$ref": "#/components/schemas/PackTemplate"}
EXPIRY_SCHEMA = schema()["$defs"]["template"]["properties"]["expiry"]
TEMPLATE_DOCUMENT = {"application/json": TEMPLATE_DOCUMENT_SCHEMA}
EVENT_TYPE_DOCUMENT_SCHEMA = {"$ref": "#/components/schemas/PackEventType"}
EVENT_TYPE_DOCUMENT = {"application/json": EVENT_TYPE_DOCUMENT_SCHEMA}

# All settings that shape the document. So the settings of a host with its own document have no effect here.
_SETTINGS: dict[str, Any] = {
    **{name: value for name, value in SPECTACULAR_DEFAULTS.items() if not name.startswith(("SERVE_", "DEFAULT_"))},
    "TITLE": "Badges and credentials",
    "DESCRIPTION": "Who holds which badge or certificate, and how far learners are.",
    "VERSION": __version__,
    "OAS_VERSION": "3.1.0",
    "ENUM_NAME_OVERRIDES": {
        "CauseKindEnum": "badges.catalog.causes.CauseKind.choices",
        "CredentialStatusEnum": "badges.awarding.models.CredentialStatus.choices",
    },
    "APPEND_COMPONENTS": {"schemas": {"Problem": _PROBLEM}},
}


def _components(prefix: str, schema: Any) -> dict[str, Any]:
    """Return the definitions of a JSON Schema as components. Their names begin with the prefix."""
    inside, outside = "#/$defs/", f"#/components/schemas/{prefix}"

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [moved(item) for item in value]
        if not isinstance(value, dict):
            return value
        found = {key: moved(item) for key, item in value.items()}
        reference = value.get("$ref")
        if isinstance(reference, str) and reference.startswith(inside):
            found["$ref"] = outside + _capitalized(reference.removeprefix(inside))
        return found

    return {f"{prefix}{_capitalized(name)}": moved(definition) for name, definition in schema["$defs"].items()}


def _capitalized(name: str) -> str:
    return name[:1].upper() + name[1:]


class Schema(OperationSchema):
    """
    Describes a view of the plugin. The document has all views whose schema has ``in_plugin_document``.

    A view with one method may do without ``operations``. It defines ``operation_id``, ``summary``,
    ``serializer_class``, the ``parameters`` of its path, ``problems``, its error responses by status, and
    ``body_serializer_class`` if it has a body.
    """

    @property
    def operation(self) -> Operation:
        view = self.view
        return view.operations.get(self.method.lower()) or Operation(
            view.operation_id,
            view.summary,
            view.serializer_class,
            body=getattr(view, "body_serializer_class", None),
            many=getattr(view, "pagination_class", None) is not None,
            problems=getattr(view, "problems", {}),
            parameters=tuple(getattr(view, "parameters", ())),
        )


class _JwtScheme(OpenApiAuthenticationExtension):
    target_class = JWT_AUTHENTICATION
    name = "jwtAuth"
    match_subclasses = True

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, str]:
        description = 'The word "JWT", a space, and the token.'
        return {"type": "apiKey", "in": "header", "name": "Authorization", "description": description}


class _PluginEndpoints(EndpointEnumerator):
    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        if not super().should_include_endpoint(path, callback):
            return False
        return getattr(callback.cls.schema, "in_plugin_document", False)


class _PluginSchemaGenerator(SchemaGenerator):
    endpoint_inspector_cls = _PluginEndpoints


_lock = threading.Lock()


@cache
def document() -> dict[str, Any]:
    """
    Return the OpenAPI document, in English.

    It is built from the root URLs of the host, so the paths have the prefix that the host chose. The settings of
    drf-spectacular are global to the process. They are replaced while the document is built, once per process.
    """
    with _lock, patched_settings(_SETTINGS), translation.override("en"):
        found: dict[str, Any] = _PluginSchemaGenerator().get_schema(public=True)
    # Added afterwards, because drf-spectacular would read them as schemas of its own.
    packs = schema_with_criteria("#/components/schemas/CriteriaEntry")
    found["components"]["schemas"] |= _components("Pack", packs) | _components("Criteria", criteria_schema())
    return found
