"""Problem documents (RFC 9457) of errors: those of ``badges.common``, and 409 and 503 for our own errors."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework import exceptions, status

from badges.common import problem_details
from badges.exceptions import Permanent, Retryable

SECONDS_TO_WAIT = 30


class Conflict(exceptions.APIException):
    """The request cannot be carried out in the present state; the detail says what to do."""

    status_code = status.HTTP_409_CONFLICT


class Unavailable(exceptions.APIException):
    """The LMS does not answer."""

    status_code = status.HTTP_503_SERVICE_UNAVAILABLE

    def __init__(self, detail: str, wait: float | None):
        super().__init__(detail)
        self.wait = wait or SECONDS_TO_WAIT


def problem_response(error: Exception, context: dict[str, Any]) -> HttpResponse | None:
    """Return the problem document of an error; None for an error that the request did not cause."""
    match error:
        case Permanent():
            error = Conflict(str(error))
        case Retryable():
            error = Unavailable(str(error), error.retry_after)
    return problem_details.problem_response(error, context)
