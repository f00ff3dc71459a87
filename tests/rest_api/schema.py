"""Validating responses against the OpenAPI document."""

from __future__ import annotations

from typing import Any

import jsonschema
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from badges.rest_api.openapi import document

URI = "urn:badges-openapi"


def assert_as_promised(response: Any, path: str, method: str = "get") -> Any:
    """Validate a response of ``path``, a path of the document, against its schema. Return the body."""
    promised = document()["paths"][path][method]["responses"]
    status, media_type = str(response.status_code), response.headers["Content-Type"].partition(";")[0]
    assert status in promised, f"{status} is not in the document of {path}"
    schema = promised[status]["content"][media_type]["schema"]
    registry: Any = Registry().with_resource(URI, Resource.from_contents(document(), default_specification=DRAFT202012))
    body = response.json()
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(_absolute(schema), registry=registry, format_checker=checker).validate(body)
    return body


def _absolute(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return {"$ref": f"{URI}{reference}"} if reference else schema
