"""What the verification page shows to somebody who has a code, and what it never shows."""

from __future__ import annotations

import datetime as dt
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from credentials_config.issuing.codes import ALPHABET, new_code
from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON

ASK = "/credentials/verify/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def text_of(answer: Any) -> str:
    """Return the words of a page, as somebody reads them."""
    parser = _Text()
    parser.feed(answer.content.decode())
    return " ".join(" ".join(parser.texts).split())


def look_up(client: Any, credential: Any) -> Any:
    return client.get(f"{ASK}{credential.verification_code}")


def test_a_valid_certificate_says_whose_it_is_what_for_and_since_when(client: Any) -> None:
    answer = look_up(client, CredentialFactory(learner_name="Spip", configuration__credential_type__name="Diploma"))
    assert answer.status_code == 200
    text = text_of(answer)
    for phrase in ("This certificate is valid", "Spip", "Diploma", "Algebra for squirrels", "March 14, 2026"):
        assert phrase in text
    assert "Valid until" not in text


def test_a_revoked_certificate_says_so_with_the_public_reason_only(client: Any) -> None:
    credential = CredentialFactory(
        status=CredentialStatus.INVALIDATED,
        invalidated_at=NOON + dt.timedelta(days=3),
        public_reason="It was somebody else's work.",
        internal_note="Caught by Zorglub.",
    )
    answer = look_up(client, credential)
    text = text_of(answer)
    assert answer.status_code == 200
    assert "This certificate was revoked" in text
    assert "It was somebody else's work." in text
    assert "March 17, 2026" in text
    assert "Zorglub" not in text
    assert "is valid" not in text


def test_a_certificate_expires_at_its_time_whether_the_sweep_came_by_or_not(client: Any) -> None:
    past = timezone.now() - dt.timedelta(seconds=1)
    unswept = CredentialFactory(expires_at=past)
    swept = CredentialFactory(expires_at=past, status=CredentialStatus.EXPIRED)
    for credential in (unswept, swept):
        answer = look_up(client, credential)
        assert answer.status_code == 200
        assert "This certificate has expired" in text_of(answer)


def test_a_certificate_that_will_expire_says_when(client: Any) -> None:
    text = text_of(look_up(client, CredentialFactory(expires_at=dt.datetime(2099, 5, 6, 12, tzinfo=dt.UTC))))
    assert "This certificate is valid" in text
    assert "Valid until May 6, 2099" in text


@pytest.mark.parametrize(
    "given",
    [
        {"status": CredentialStatus.GENERATING, "document": "", "document_number": 0},
        {"status": CredentialStatus.ERROR, "document": "", "document_number": 0, "error": "no font"},
        # Taken back before there ever was a document.
        {"status": CredentialStatus.INVALIDATED, "document": "", "document_number": 0, "public_reason": "Oops."},
    ],
)
def test_what_was_never_given_to_anybody_looks_like_what_never_was(client: Any, given: dict[str, Any]) -> None:
    answer = look_up(client, CredentialFactory(**given))
    nothing = client.get(f"{ASK}{new_code()}")
    assert answer.status_code == nothing.status_code == 404
    assert answer.content == nothing.content
    assert "There is no such certificate" in text_of(answer)


@pytest.mark.parametrize("typed", ["x", "x" * 5000, "%00", "%ff", "{}", "%0a", "<script>", "é" * 16, "a%2Fb", "0" * 15])
def test_an_impossible_code_is_not_found_without_a_statement(client: Any, typed: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"{ASK}{typed}")
    assert answer.status_code == 404
    assert not queries.captured_queries
    assert b"<script>" not in answer.content


def test_one_letter_off_is_another_code(client: Any) -> None:
    code = CredentialFactory().verification_code
    other = code[:-1] + ALPHABET[ALPHABET.index(code[-1]) - 1]
    assert client.get(f"{ASK}{other}").status_code == 404


def test_a_code_typed_with_small_letters_gaps_or_lookalikes_leads_to_its_page(client: Any) -> None:
    code = CredentialFactory(verification_code="01ABCDEF23456789").verification_code
    for typed in ("01abcdef23456789", "01AB-CDEF-2345-6789", " 01AB CDEF 2345 6789 ", "OIABCDEF23456789"):
        assert client.get(f"{ASK}{typed}").headers["Location"] == f"{ASK}{code}"
        assert client.get(ASK, {"code": typed}).headers["Location"] == f"{ASK}{code}"
    assert client.get(f"{ASK}{code}/").status_code == 200


def test_the_form_asks_for_a_code_and_says_when_it_is_none(client: Any) -> None:
    assert "Verify a certificate" in text_of(client.get(ASK))
    for typed in ("a/b", "../../x", "\0", "ä" * 16):
        answer = client.get(ASK, {"code": typed})
        assert answer.status_code == 404
        assert "There is no such certificate" in text_of(answer)


def test_names_are_text_and_nothing_else(client: Any) -> None:
    answer = look_up(client, CredentialFactory(learner_name="<script>alert(1)</script>", context_name="a\n<b>b</b>"))
    assert b"<script" not in answer.content
    assert b"a<br>&lt;b&gt;b&lt;/b&gt;" in answer.content


def test_a_learner_whose_data_was_removed_has_no_name_here(client: Any) -> None:
    assert "The name was removed." in text_of(look_up(client, CredentialFactory(learner_name="")))


def test_the_page_tells_nothing_that_the_certificate_does_not(client: Any) -> None:
    credential = CredentialFactory(internal_note="Zorglub", error="Zorglub")
    user = credential.learner.user
    page = look_up(client, credential).content.decode()
    for private in (user.username, user.email, str(credential.pk), str(credential.learner.uuid), "Zorglub", "/xx/"):
        assert private not in page
    assert str(credential.learner.lms_user_id) not in page


@pytest.mark.parametrize("address", [ASK, f"{ASK}0123456789ABCDEF", "known", "/credentials/document/x"])
def test_no_page_is_indexed_kept_or_told_to_other_sites(client: Any, address: str) -> None:
    if address == "known":
        address = f"{ASK}{CredentialFactory().verification_code}"
    answer = client.get(address)
    assert "noindex" in answer.headers["X-Robots-Tag"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "no-store" in answer.headers["Cache-Control"]
    assert not answer.cookies
    assert b"http://" not in answer.content
    assert b"https://" not in answer.content
    assert b"<script" not in answer.content


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_only_reading_is_answered(client: Any, method: str) -> None:
    credential = CredentialFactory()
    assert getattr(client, method)(f"{ASK}{credential.verification_code}").status_code == 405


def test_an_answer_costs_one_statement_even_for_somebody_who_is_signed_in(admin_client: Any) -> None:
    credential = CredentialFactory(status=CredentialStatus.INVALIDATED, public_reason="x")
    with CaptureQueriesContext(connection) as queries:
        assert look_up(admin_client, credential).status_code == 200
    assert len(queries) == 1


def test_readers_of_arabic_get_a_page_from_right_to_left(client: Any) -> None:
    credential = CredentialFactory(learner_name="سبيب")
    page = client.get(f"{ASK}{credential.verification_code}", headers={"Accept-Language": "ar"}).content.decode()
    assert '<html lang="ar" dir="rtl">' in page
    assert f'<code dir="ltr">{credential.verification_code}</code>' in page
