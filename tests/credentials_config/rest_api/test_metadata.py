"""Programs get from a code the same data that people see on the page."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config.issuing.codes import new_code
from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON
from tests.rest_api.schema import assert_as_promised

ADDRESS = "/api/credentials/v1/metadata/{code}/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def ask(client: Any, code: str) -> Any:
    return assert_as_promised(client.get(ADDRESS.format(code=code)), ADDRESS)


def test_a_code_shows_what_the_certificate_says_and_its_state(client: Any) -> None:
    row = CredentialFactory(
        status=CredentialStatus.INVALIDATED,
        invalidated_at=NOON + dt.timedelta(days=1),
        public_reason="Copied.",
        internal_note="Zorglub",
        learner_name="Spip",
        configuration__credential_type__name="Diploma",
    )
    assert ask(client, row.verification_code) == {
        "verification_code": row.verification_code,
        "state": "revoked",
        "title": "Diploma",
        "name": "Spip",
        "context_key": "course-v1:Demo+Algebra+2026",
        "context_name": "Algebra for squirrels",
        "issued_at": "2026-03-14T12:00:00Z",
        "expires_at": None,
        "revoked_at": "2026-03-15T12:00:00Z",
        "reason": "Copied.",
    }


def test_valid_and_expired_are_told_apart(client: Any) -> None:
    assert ask(client, CredentialFactory().verification_code)["state"] == "valid"
    assert ask(client, CredentialFactory(expires_at=NOON).verification_code)["state"] == "expired"


def test_what_was_never_given_is_not_found_like_what_never_was(client: Any) -> None:
    unmade = CredentialFactory(status=CredentialStatus.ERROR, error="x", document="", document_number=0)
    bodies = [
        client.get(ADDRESS.format(code=code)).content for code in (unmade.verification_code, new_code(), "x", "%00")
    ]
    assert len(set(bodies)) == 1
    assert ask(client, new_code())["status"] == 404


def test_an_answer_costs_one_statement_and_is_for_nobody_to_keep(admin_client: Any) -> None:
    row = CredentialFactory()
    with CaptureQueriesContext(connection) as queries:
        answer = admin_client.get(ADDRESS.format(code=row.verification_code))
    assert len(queries) == 1
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert (answer.headers["Cache-Control"], answer.headers["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_it_is_counted_together_with_the_page(client: Any, settings: Any) -> None:
    settings.CREDENTIALS_CONFIG = {"verification": {"requests_per_minute": 1}}
    answers = [client.get("/credentials/verify/x"), client.get(ADDRESS.format(code="x"))]
    answers += [client.get(ADDRESS.format(code="x"))]
    assert answers[0].status_code == 404
    assert 429 in [answer.status_code for answer in answers[1:]]  # both, unless a minute ended between them
    assert int(answers[2].headers["Retry-After"]) >= 1 if answers[2].status_code == 429 else True
