"""
Errors as problem details of RFC 9457. The exception handler of the host is not used.

Our own errors are translated here, for all views: ``Permanent`` is 409, because the request is not possible in the
present state, and ``Retryable`` is 503 with ``Retry-After``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.http import Http404, HttpResponse, JsonResponse
from rest_framework import exceptions, status
from rest_framework.settings import api_settings

from badges.exceptions import Permanent, Retryable

MEDIA_TYPE = "application/problem+json"
SECONDS_TO_WAIT = 30
# Keys of errors without a field: of serializers and of forms. A host may configure another one (see below).
_NO_FIELD = ("non_field_errors", "__all__")


class Conflict(exceptions.APIException):
    """
    The request cannot be carried out in the present state; the detail says what to do.

    ``members`` are further members of the problem document, which programs can rely on. ``wait`` is after how many
    seconds the request may be possible, if that is known.
    """

    status_code = status.HTTP_409_CONFLICT

    def __init__(self, detail: str, *, members: Mapping[str, Any] | None = None, wait: float | None = None):
        super().__init__(detail)
        self.members = dict(members or {})
        self.wait = wait


class Unprocessable(exceptions.APIException):
    """
    The body is well formed, and what it names cannot be used (RFC 9110). ``code`` tells programs what is wrong.

    A wrong or missing field is status 400 instead.
    """

    status_code = status.HTTP_422_UNPROCESSABLE_ENTITY

    def __init__(self, detail: str, *, code: str):
        super().__init__(detail)
        self.members = {"code": code}


class Unavailable(exceptions.APIException):
    """Something that the request needs does not answer, such as the LMS or the database."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, detail: str, wait: float | None):
        super().__init__(detail)
        self.wait = wait or SECONDS_TO_WAIT


class PreconditionFailed(exceptions.APIException):
    """What the client wants to change has changed since it was read (RFC 9110)."""

    status_code = status.HTTP_412_PRECONDITION_FAILED


class PreconditionRequired(exceptions.APIException):
    """The request has to say which version of the resource it changes (RFC 6585)."""

    status_code = status.HTTP_428_PRECONDITION_REQUIRED


class InvalidDocument(exceptions.ValidationError):
    """
    A document in the body is wrong.

    ``errors`` are the entries of the problem details. Each has ``field`` and ``detail``, and may have ``kind``, a word
    for programs, and ``pointer``, a JSON Pointer into the field.
    """

    def __init__(self, errors: Sequence[dict[str, str]]):
        self.errors = list(errors)
        super().__init__([error["detail"] for error in errors])


class TooLarge(exceptions.APIException):
    """The body of the request is larger than the view accepts."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """
    Return the response with the problem details of an error; None for an error that the request has not caused.

    It is a plain Django response, which needs no renderer. So it also answers a request that accepts no known format.
    """
    known = _as_api_exception(error)
    if known is None:
        return None
    response = JsonResponse(_document(known), status=known.status_code, content_type=MEDIA_TYPE)
    if header := getattr(known, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(known, "wait", None):
        response["Retry-After"] = str(max(1, round(wait)))
    return response


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, Http404):
        return exceptions.NotFound()
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):  # of Django, when something else read the body before
        return TooLarge(str(error))
    if isinstance(error, Permanent):
        return Conflict(str(error))
    if isinstance(error, Retryable):
        return Unavailable(str(error), error.retry_after)
    return error if isinstance(error, exceptions.APIException) else None


def _document(error: exceptions.APIException) -> dict[str, Any]:
    problem = {"type": "about:blank", "title": HTTPStatus(error.status_code).phrase, "status": error.status_code}
    if not isinstance(error, exceptions.ValidationError):
        return {**problem, "detail": str(error.detail), **getattr(error, "members", {})}
    errors = error.errors if isinstance(error, InvalidDocument) else list(_errors(error.detail, ""))
    places = (f"{item['field']}{item.get('pointer', '')}" for item in errors)
    lines = (": ".join(filter(None, (place, item["detail"]))) for place, item in zip(places, errors, strict=True))
    return {**problem, "detail": "; ".join(lines), "errors": errors}


def _errors(detail: Any, field: str) -> Iterator[dict[str, str]]:
    """Return each error message with its field. A nested field is ``outer.inner`` or ``outer[0].inner``."""
    if isinstance(detail, dict):
        for key, inner in detail.items():
            yield from _errors(inner, _below(field, key))
    elif isinstance(detail, (list, tuple)):
        for number, inner in enumerate(detail):
            yield from _errors(inner, _below(field, number) if isinstance(inner, dict) else field)
    else:
        yield {"field": field, "detail": str(detail)}


def _below(field: str, key: Any) -> str:
    if isinstance(key, int):
        return f"{field}[{key}]"
    if key in (*_NO_FIELD, api_settings.NON_FIELD_ERRORS_KEY):
        return field
    return ".".join(filter(None, (field, str(key))))
