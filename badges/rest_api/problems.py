"""Errors as RFC 9457 problem details, whatever the host's own exception handler says."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions

MEDIA_TYPE = "application/problem+json"


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """
    Return the problem document of an error; None for an error that is nobody's request's fault.

    A plain Django response: it needs no renderer, so it also answers a request that accepts none of ours.
    """
    error = _as_api_exception(error)
    if error is None:
        return None
    response = JsonResponse(_document(error), status=error.status_code, content_type=MEDIA_TYPE)
    header = getattr(error, "auth_header", None)
    if header:
        response["WWW-Authenticate"] = header
    wait = getattr(error, "wait", None)
    if wait:
        response["Retry-After"] = str(max(1, round(wait)))
    return response


def _as_api_exception(error: Exception) -> Any:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    return error if isinstance(error, exceptions.APIException) else None


def _document(error: exceptions.APIException) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status_code).phrase,
        "status": error.status_code,
    }
    if isinstance(error, exceptions.ValidationError):
        errors = list(_errors(error.detail, ""))
        document["detail"] = "; ".join(
            f"{item['field']}: {item['detail']}" if item["field"] else item["detail"] for item in errors
        )
        document["errors"] = errors
    else:
        document["detail"] = str(error.detail)
    return document


def _errors(detail: Any, field: str) -> Iterator[dict[str, str]]:
    """Every complaint with the field it is about, nested ones as ``outer.inner``."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            name = "" if key in ("non_field_errors", "__all__") else str(key)
            yield from _errors(inner, ".".join(filter(None, (field, name))))
    elif isinstance(detail, (list, tuple)):
        for inner in detail:
            yield from _errors(inner, field)
    else:
        yield {"field": field, "detail": str(detail)}
