"""Staff see, find and change credentials in the admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config.issuing import generation
from credentials_config.models import Credential, CredentialStatus
from tests.credentials_config.admin.pages import CREDENTIALS, RUNS, button, page_of
from tests.credentials_config.factories import CredentialFactory, CredentialRunFactory
from tests.factories import NOON
from tests.support.certificates import configure_certificate

FAILED = {"status": CredentialStatus.ERROR, "error": "It did not fit.", "document": "", "document_number": 0}
pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(staff: Callable[..., Any]) -> Any:
    return staff(*(f"{verb}_credential" for verb in ("view", "reissue", "invalidate", "retry")), "view_credentialrun")


def click(client: Any, credential: Any, name: str, **sent: Any) -> str:
    return client.post(button(credential, name), sent, follow=True).content.decode()


def test_a_credential_is_shown_with_all_that_is_known_of_it(operator: Any) -> None:
    configuration = configure_certificate()
    row = CredentialFactory(
        configuration=configuration,
        run=CredentialRunFactory(configuration=configuration),
        learner_name="<b>Spip</b>",
        made_from={"generator": "text_generator 1"},
        internal_note="Zorglub",
    )
    page = operator.get(page_of(row)).content.decode()
    for phrase in (
        *(row.verification_code, f"/credentials/verify/{row.verification_code}", "&lt;b&gt;Spip&lt;/b&gt;", "Zorglub"),
        *(
            page_of(row.run),
            page_of(configuration),
            "text_generator 1",
            "https://credentials.test/credentials/document/",
        ),
    ):
        assert phrase in page, phrase
    assert "<b>Spip</b>" not in page


@pytest.mark.parametrize("by", ["code", "small", "number", "name"])
def test_a_credential_is_found_by_code_and_by_its_learner(operator: Any, by: str) -> None:
    row, other = CredentialFactory(), CredentialFactory()
    code, learner = row.verification_code, row.learner
    term = {"code": code, "small": code.lower(), "number": learner.lms_user_id, "name": learner.user.username}[by]
    page = operator.get(CREDENTIALS, {"q": term}).content.decode()
    assert code in page
    assert other.verification_code not in page


@pytest.mark.parametrize("term", ["nobody", "9" * 5, "9" * 30, "9" * 5000, "'", "ä" * 16])
def test_a_search_term_without_a_match_finds_nothing(operator: Any, term: str) -> None:
    CredentialFactory()
    assert "0 credentials" in operator.get(CREDENTIALS, {"q": term}).content.decode()


def test_reissuing_makes_a_new_document_and_mails_when_asked_to(operator: Any, course: Any) -> None:
    row = CredentialFactory(configuration=configure_certificate(), learner__lms_user_id=1001, learner_name="Old Name")
    assert "1 new document will be made." in click(operator, row, "reissue")
    row.refresh_from_db()
    assert row.reissue["mail"] is False
    click(operator, row, "reissue", mail="on")
    row.refresh_from_db()
    assert row.reissue["mail"] is True
    generation.make_due()
    after = Credential.objects.get()
    assert (after.verification_code, after.issued_at, after.document_number) == (row.verification_code, NOON, 2)
    assert after.learner_name != "Old Name"
    assert LogEntry.objects.first().get_change_message() == "Reissued."


def test_reissuing_while_the_lms_is_down_changes_nothing_and_says_so(operator: Any, course: Any) -> None:
    row = CredentialFactory(configuration=configure_certificate(), learner__lms_user_id=1001)
    course.break_down()
    assert 'class="error"' in click(operator, row, "reissue")
    row.refresh_from_db()
    assert (row.due_at, row.reissue) == (None, {})


def test_invalidating_needs_a_public_reason_and_keeps_the_note_to_staff(operator: Any, client: Any) -> None:
    row = CredentialFactory()
    assert "Give a public reason" in click(operator, row, "invalidate", internal_note="Zorglub")
    assert "longer than 255" in click(operator, row, "invalidate", public_reason="x" * 256)
    row.refresh_from_db()
    assert row.status == CredentialStatus.AVAILABLE
    sent = {"public_reason": " It was <b>copied</b>. ", "internal_note": "Zorglub\0"}
    assert "The credential was invalidated." in click(operator, row, "invalidate", **sent)
    page = client.get(f"/credentials/verify/{row.verification_code}").content.decode()
    assert "It was &lt;b&gt;copied&lt;/b&gt;." in page
    assert "Zorglub" not in page
    assert "It was invalidated before." in click(operator, row, "invalidate", public_reason="Else.")
    row.refresh_from_db()
    assert (row.public_reason, row.internal_note) == ("It was <b>copied</b>.", "Zorglub")


def test_buttons_are_offered_where_they_can_be_pressed(operator: Any) -> None:
    def offered(**given: Any) -> set[str]:
        page = operator.get(page_of(CredentialFactory(**given))).content.decode()
        return {name for name in ("reissue", "invalidate", "retry") if f"/{name}/" in page}

    assert offered() == {"reissue", "invalidate"}
    assert offered(**FAILED) == {"retry", "invalidate"}
    assert offered(status=CredentialStatus.EXPIRED) == {"invalidate"}
    assert offered(status=CredentialStatus.INVALIDATED) == set()


def test_a_failed_credential_is_tried_again(operator: Any) -> None:
    row = CredentialFactory(**FAILED, attempts=8)
    assert "1 credential is tried again." in click(operator, row, "retry")
    row.refresh_from_db()
    assert (row.attempts, row.due_at is not None) == (0, True)


def test_many_are_reissued_or_tried_again_from_the_list(operator: Any, course: Any) -> None:
    configuration = configure_certificate()
    rows = [CredentialFactory(configuration=configuration, learner__lms_user_id=number) for number in (1001, 1002)]
    chosen = {"action": "reissue_chosen", "_selected_action": [str(row.pk) for row in rows]}
    assert "2 new documents will be made." in operator.post(CREDENTIALS, chosen, follow=True).content.decode()
    failed = CredentialFactory(**FAILED)
    chosen = {"action": "retry_chosen", "_selected_action": [str(failed.pk)]}
    assert "1 credential is tried again." in operator.post(CREDENTIALS, chosen, follow=True).content.decode()


def test_a_permission_to_view_has_no_actions(staff: Callable[..., Any], course: Any) -> None:
    row = CredentialFactory(configuration=configure_certificate())
    client = staff("view_credential")
    assert 'name="action"' not in client.get(CREDENTIALS).content.decode()
    client.post(CREDENTIALS, {"action": "reissue_chosen", "_selected_action": [str(row.pk)]})
    row.refresh_from_db()
    assert row.due_at is None
    assert not course.calls


def test_nothing_is_added_changed_or_deleted_by_hand(admin_client: Any) -> None:
    row = CredentialFactory()
    assert admin_client.get(f"{CREDENTIALS}add/").status_code == 403
    assert admin_client.post(page_of(row), {"learner_name": "x"}).status_code == 403
    assert admin_client.post(f"{CREDENTIALS}{row.pk}/delete/", {"post": "yes"}).status_code == 403
    run = CredentialRunFactory()
    assert admin_client.post(page_of(run), {"note": "x"}).status_code == 403
    assert Credential.objects.get().learner_name == row.learner_name


def test_runs_are_shown_with_their_credentials(operator: Any) -> None:
    run = CredentialRunFactory(run__note="Skipped.", run__state="skipped")
    assert "Skipped." in operator.get(RUNS).content.decode()
    assert f"{CREDENTIALS}?run__pk__exact={run.pk}" in operator.get(page_of(run)).content.decode()
    CredentialFactory(run=run, configuration=run.configuration)
    CredentialFactory()
    assert "1 credential" in operator.get(f"{CREDENTIALS}?run__pk__exact={run.pk}").content.decode()


@pytest.mark.parametrize("address", [CREDENTIALS, RUNS])
def test_lists_cost_the_same_however_long_they_are(operator: Any, address: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert operator.get(address).status_code == 200
        return len(queries)

    configuration = configure_certificate()
    CredentialFactory(run=CredentialRunFactory(configuration=configuration), configuration=configuration)
    cost()
    one = cost()
    for _ in range(4):
        other = configure_certificate()
        CredentialFactory(run=CredentialRunFactory(configuration=other), configuration=other)
    assert cost() == one
