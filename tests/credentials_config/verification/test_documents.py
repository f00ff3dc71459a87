"""The link to a document works until the credential is invalidated, and cannot be forged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config import api
from credentials_config.issuing.codes import new_code
from credentials_config.models import Credential, CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON

HOST = "https://credentials.test"
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _folder(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    settings.CREDENTIALS_CONFIG = {"public_url": HOST}


def stored(content: bytes = b"%PDF-1.7 Spip", **given: Any) -> Credential:
    credential = CredentialFactory(**given)
    assert storages["default"].save(credential.document, ContentFile(content)) == credential.document
    return credential


def admin_url(credential: Credential) -> str:
    """Return the path of the link that a learner keeps."""
    link = api.link_to(credential)
    assert link is not None
    return link.removeprefix(HOST)


def test_the_link_serves_the_document_with_one_statement(client: Any) -> None:
    address = admin_url(stored())
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(address)
        assert b"".join(answer.streaming_content) == b"%PDF-1.7 Spip"
    assert len(queries) == 1
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == 'inline; filename="certificate.pdf"'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]


def test_an_expired_certificate_is_still_its_learners(client: Any) -> None:
    answer = client.get(admin_url(stored(status=CredentialStatus.EXPIRED, expires_at=NOON)))
    assert b"".join(answer.streaming_content) == b"%PDF-1.7 Spip"


def test_the_link_of_a_certificate_that_was_taken_back_leads_to_the_page_that_says_so(client: Any) -> None:
    credential = stored()
    address = admin_url(credential)
    api.invalidate([credential], public_reason="Copied.")
    answer = client.get(address)
    assert answer.headers["Location"] == f"/credentials/verify/{credential.verification_code}"
    assert b"Copied." in client.get(address, follow=True).content


@pytest.mark.parametrize("change", ["code", "signature", "none", "bytes"])
def test_a_forged_link_leads_nowhere(client: Any, change: str) -> None:
    mine, other = stored(), stored()
    token = admin_url(mine).rpartition("/")[2]
    code, _, signature = token.partition(".")
    made_up = {
        "code": f"{other.verification_code}.{signature}",
        "signature": f"{code}.{signature[::-1]}",
        "none": code,
        "bytes": "%00%ff",
    }[change]
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/credentials/document/{made_up}")
    assert answer.status_code == 404
    assert not queries.captured_queries
    assert b"This document is not here" in answer.content


def test_a_file_that_is_gone_is_not_an_error_of_the_host(client: Any) -> None:
    credential = stored()
    storages["default"].delete(credential.document)
    assert client.get(admin_url(credential)).status_code == 404


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_only_reading_is_answered(client: Any, method: str) -> None:
    assert getattr(client, method)(admin_url(stored())).status_code == 405


def test_knowing_a_code_is_not_enough_for_the_document(client: Any) -> None:
    credential = stored()
    assert client.get(f"/credentials/document/{credential.verification_code}").status_code == 404
    assert client.get(f"/credentials/document/{new_code()}.x").status_code == 404
