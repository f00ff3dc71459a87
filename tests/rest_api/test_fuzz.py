"""Requests that are made from the OpenAPI document: no server error, and every answer is as the document says."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import schemathesis
from django.test import Client
from django.urls import Resolver404, resolve
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from badges.issuers import webhooks
from badges.rest_api.openapi import document
from badges.testing.credly import ORGANIZATION, TOKEN
from tests.credentials_config.factories import CredentialFactory
from tests.factories import UserCredentialFactory, make_event_type, make_template
from tests.support.examples import examples

AS_DESCRIBED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations() -> list[Any]:
    """Return each operation of the document as a parameter of a test."""
    found = schemathesis.openapi.from_dict(document()).get_all_operations()
    return [pytest.param(each.ok(), id=each.ok().label) for each in found]


def answer(client: Any, case: Case) -> Response | None:
    """
    Send a request through Django's test client, in the transaction of the test.

    Return None when no address of the document fits: a number that is none, or a line break in a key.
    """
    request = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
    headers = {name: value for name, value in request.headers.items() if name not in ("Content-Length", "Cookie")}
    body = request.body.encode() if isinstance(request.body, str) else request.body or b""
    got = client.generic(
        request.method,
        request.path_url,
        body,
        content_type=headers.pop("Content-Type", "application/octet-stream"),
        headers=headers,
    )
    if got.status_code == 404 and got.headers["Content-Type"].startswith("text/html"):
        with pytest.raises(Resolver404):
            resolve(got.request["PATH_INFO"])
        return None
    content = b"".join(got.streaming_content) if got.streaming else got.content
    return Response(
        status_code=got.status_code,
        headers={name: [value] for name, value in got.headers.items()},
        content=content,
        request=request,
        elapsed=0.0,
        verify=False,
    )


def ask(operation: Any, client: Any, known: dict[str, str], *, number: int) -> None:
    """
    Send a number of requests to an operation, some as the document says and some not.

    About half of them name what exists, the others anything.
    """
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in GenerationMode])

    @examples(number, suppress_health_check=list(HealthCheck))
    @given(case=cases, exists=st.booleans())
    def each(case: Case, exists: bool) -> None:
        if exists:
            case.path_parameters.update({name: known[name] for name in case.path_parameters if name in known})
        if response := answer(client, case):
            case.validate_response(response, checks=AS_DESCRIBED)

    each()


@pytest.fixture
def known(settings: Any) -> dict[str, str]:
    """Return a value for parameters of paths, by name."""
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": {"ORGANIZATIONS": {ORGANIZATION: TOKEN}}}
    template = make_template(is_active=True)
    badge = UserCredentialFactory(template=template)
    kind = make_event_type()
    return {
        "userId": str(badge.learner.uuid),
        "stickerId": template.slug,
        "slug": template.slug,
        "number": "1",
        "id": str(badge.pk),
        "name": kind.name,
        "code": str(CredentialFactory().verification_code),
        "provider": "credly",
        "organization": ORGANIZATION,
        "secret": webhooks.new_secret("credly", ORGANIZATION),
    }


@pytest.mark.parametrize("operation", operations())
def test_every_answer_is_as_described(
    operation: Any, admin_client: Any, learner_client: Any, known: dict[str, str]
) -> None:
    ask(operation, admin_client, known, number=8)
    ask(operation, learner_client, known, number=3)
    ask(operation, Client(), known, number=1)
