"""The header ``Idempotency-Key`` of requests that write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from django.http import HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from badges.common.problem_details import MEDIA_TYPE, Conflict, Unprocessable, problem_response
from badges.flows.idempotency import Answer, KeyedRequest, KeyReusedError, StillRunningError, answer_once

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
LONGEST_KEY = 255

IDEMPOTENCY_KEY = OpenApiParameter(
    HEADER,
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": "^[ -~]*$"},
    OpenApiParameter.HEADER,
    description="Yours, such as a UUID. A request that is sent again within 24 hours gets the same answer.",
)
IDEMPOTENT_REPLAYED = OpenApiParameter(
    REPLAYED,
    {"type": "string", "enum": ["true"]},
    OpenApiParameter.HEADER,
    response=True,
    description="The answer is that of an earlier request with this key.",
)
KEY_IN_USE = "`idempotency_key_in_use`: the first request with this key still runs; wait for `Retry-After` seconds."
KEY_REUSED = "`idempotency_key_reused`: the key was sent with another body before."

# Refusals that are an answer to the request. After all others the request may be sent again with its key.
_STORED = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


def answered(
    request: Request,
    body: Mapping[str, Any],
    decide: Callable[[], Any],
    *,
    status: HTTPStatus,
    complete: Callable[[Any], Any] | None = None,
) -> HttpResponse:
    """
    Return the response with the data that ``decide`` returns; with a key, decide once for all requests with this key.

    ``body`` is the validated body, and ``status`` that of success. What ``decide`` returns is stored for a day with
    the key, so it holds no personal data: ``complete`` makes the data of the response of it, each time. Raises the
    errors of REST framework.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return _response(_success(decide, status), complete)
    if not (key.isascii() and key.isprintable() and 0 < len(key) <= LONGEST_KEY):
        remedy = _("Write 1 to %(most)d printable ASCII characters, such as a UUID.") % {"most": LONGEST_KEY}
        raise ValidationError({HEADER: [remedy]})
    keyed = KeyedRequest(
        account_id=request.user.pk,
        key=key,
        target=f"{request.method} {request.path.rstrip('/')}",
        body=json.dumps(body, sort_keys=True),
    )
    try:
        answer = answer_once(keyed, lambda: _success_or_refusal(decide, status), now=timezone.now())
    except KeyReusedError:
        detail = _("This %(header)s was sent with another body. Use a new key for another request.")
        raise Unprocessable(detail % {"header": HEADER}, code="idempotency_key_reused") from None
    except StillRunningError as error:
        detail = _("The first request with this %(header)s is still being carried out. Send it again later.")
        members = {"code": "idempotency_key_in_use"}
        raise Conflict(detail % {"header": HEADER}, members=members, wait=error.seconds) from None
    return _response(answer, complete)


def _success(decide: Callable[[], Any], status: HTTPStatus) -> Answer:
    return Answer(status, JSONRenderer().render(decide()).decode())


def _success_or_refusal(decide: Callable[[], Any], status: HTTPStatus) -> Answer:
    try:
        return _success(decide, status)
    except APIException as error:
        refusal = problem_response(error, {}) if error.status_code in _STORED else None
        if refusal is None:
            raise
        return Answer(refusal.status_code, refusal.content.decode())


def _response(answer: Answer, complete: Callable[[Any], Any] | None) -> HttpResponse:
    headers = {REPLAYED: "true"} if answer.is_replayed else {}
    body: str | bytes = answer.body
    if answer.status >= HTTPStatus.BAD_REQUEST:
        return HttpResponse(body, status=answer.status, content_type=MEDIA_TYPE, headers=headers)
    if complete is not None:
        body = JSONRenderer().render(complete(json.loads(body)))
    return HttpResponse(body, status=answer.status, content_type="application/json", headers=headers)
