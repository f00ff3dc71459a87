"""Staff issue, reissue and invalidate by REST, with the permissions for it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from credentials_config.issuing import generation
from credentials_config.models import Credential, CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.rest_api.schema import assert_as_promised
from tests.support.certificates import configure_certificate

LIST = "/api/credentials/v1/credentials/"
REISSUE, INVALIDATE = f"{LIST}{{id}}/reissue/", f"{LIST}{{id}}/invalidate/"
pytestmark = pytest.mark.django_db


def send(client: Any, address: str, body: Any, *, id: Any = None, kind: str = "application/json") -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    answer = client.post(address.format(id=id), text, content_type=kind)
    return answer.status_code, assert_as_promised(answer, address, "post")


@pytest.fixture
def issuer(staff_client: Callable[..., Any]) -> Any:
    return staff_client("issue_credential")


@pytest.fixture
def changer(staff_client: Callable[..., Any]) -> Any:
    return staff_client("reissue_credential", "invalidate_credential")


def test_staff_issue_a_certificate_whose_document_follows(issuer: Any, course: Any) -> None:
    configuration = configure_certificate(availability="course_end")
    status, body = send(issuer, LIST, {"configuration": configuration.pk, "username": "done-1"})
    assert (status, body["kind"], body["status"], body["held"]) == (201, "certificate", "generating", False)
    row = Credential.objects.get(pk=body["id"])
    assert (row.learner.lms_user_id, row.configuration) == (1001, configuration)
    generation.make_due()
    row.refresh_from_db()
    assert row.status == CredentialStatus.AVAILABLE


def test_who_has_not_earned_it_gets_it_only_when_that_is_overridden(issuer: Any, course: Any) -> None:
    sent = {"configuration": configure_certificate().pk, "lms_user_id": 1004}
    status, body = send(issuer, LIST, sent)
    assert status == 409
    assert "Completed 50 % of the required 90 %." in body["detail"]
    assert send(issuer, LIST, {**sent, "override_eligibility": True})[0] == 201


def test_nobody_gets_two(issuer: Any, course: Any) -> None:
    sent = {"configuration": configure_certificate().pk, "lms_user_id": 1001}
    assert send(issuer, LIST, sent)[0] == 201
    status, body = send(issuer, LIST, sent)
    assert status == 409
    assert "has an active credential" in body["detail"]
    assert Credential.objects.count() == 1


def test_whom_the_lms_does_not_know_gets_none(issuer: Any, course: Any) -> None:
    status, body = send(issuer, LIST, {"configuration": configure_certificate().pk, "username": "nobody"})
    assert status == 409
    assert "The LMS does not know: nobody." in body["detail"]


def test_an_lms_that_does_not_answer_is_a_503(issuer: Any, course: Any) -> None:
    course.break_down()
    assert send(issuer, LIST, {"configuration": configure_certificate().pk, "username": "done-1"})[0] == 503


def test_staff_reissue_and_code_and_date_stay(changer: Any, course: Any) -> None:
    row = CredentialFactory(configuration=configure_certificate(), learner__lms_user_id=1001, learner_name="Old Name")
    status, body = send(changer, REISSUE, {"mail": False}, id=row.pk)
    assert (status, body["status"], body["id"]) == (202, "available", str(row.pk))
    generation.make_due()
    after = Credential.objects.get()
    assert (after.verification_code, after.issued_at) == (row.verification_code, row.issued_at)
    assert after.learner_name != "Old Name"
    assert after.document_number == 2


def test_what_is_over_cannot_be_reissued(changer: Any, course: Any) -> None:
    row = CredentialFactory(status=CredentialStatus.EXPIRED)
    status, body = send(changer, REISSUE, {}, id=row.pk)
    assert (status, "cannot be reissued" in body["detail"]) == (409, True)


def test_staff_invalidate_with_a_public_reason_once(changer: Any, client: Any) -> None:
    row = CredentialFactory()
    status, body = send(changer, INVALIDATE, {"public_reason": "Copied.", "internal_note": "Zorglub"}, id=row.pk)
    assert (status, body["status"], body["certificate"]["reason"]) == (200, "invalidated", "Copied.")
    assert "Zorglub" not in json.dumps(body)
    assert b"Copied." in client.get(f"/credentials/verify/{row.verification_code}").content
    assert send(changer, INVALIDATE, {"public_reason": "Else."}, id=row.pk)[0] == 409
    row.refresh_from_db()
    assert (row.public_reason, row.internal_note) == ("Copied.", "Zorglub")


@pytest.mark.parametrize(
    "permissions",
    [
        (),
        ("view_credential",),
        ("add_credentialconfiguration", "change_credentialconfiguration", "generate_credentialconfiguration"),
        ("retry_credential",),
        ("view_usercredential",),
    ],
)
def test_without_the_permission_nothing_happens(
    staff_client: Callable[..., Any], course: Any, permissions: tuple[str, ...]
) -> None:
    row = CredentialFactory(configuration=configure_certificate())
    before = list(Credential.objects.values())
    client = staff_client(*permissions)
    issue = {"configuration": row.configuration.pk, "username": "done-1"}
    assert send(client, LIST, issue)[0] == 403
    assert send(client, REISSUE, {}, id=row.pk)[0] == 403
    assert send(client, INVALIDATE, {"public_reason": "x"}, id=row.pk)[0] == 403
    assert list(Credential.objects.values()) == before
    assert not course.calls


def test_one_verbs_permission_is_not_anothers(issuer: Any, changer: Any, course: Any) -> None:
    row = CredentialFactory(configuration=configure_certificate())
    assert send(changer, LIST, {"configuration": row.configuration.pk, "username": "done-1"})[0] == 403
    assert send(issuer, REISSUE, {}, id=row.pk)[0] == 403
    assert send(issuer, INVALIDATE, {"public_reason": "x"}, id=row.pk)[0] == 403


def test_learners_do_nothing_to_their_own(learner: Any, learner_client: Any) -> None:
    row = CredentialFactory(learner=learner)
    assert send(learner_client, REISSUE, {}, id=row.pk)[0] == 403
    assert send(learner_client, INVALIDATE, {"public_reason": "x"}, id=row.pk)[0] == 403


def test_anonymous_users_and_other_sites_do_nothing(client: Any, staff_client: Callable[..., Any]) -> None:
    row = CredentialFactory()
    assert send(client, INVALIDATE, {"public_reason": "x"}, id=row.pk)[0] == 401
    lured = staff_client("issue_credential", "reissue_credential", "invalidate_credential", enforce_csrf_checks=True)
    assert send(lured, INVALIDATE, {"public_reason": "x"}, id=row.pk)[0] == 403
    assert Credential.objects.get().status == CredentialStatus.AVAILABLE


@pytest.mark.parametrize("address", [REISSUE, INVALIDATE])
@pytest.mark.parametrize("method", ["get", "put", "patch", "delete", "options"])
def test_anything_but_a_post_does_nothing(changer: Any, address: str, method: str) -> None:
    answer = getattr(changer, method)(address.format(id=CredentialFactory().pk))
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert answer.headers["Allow"] == "POST"
    assert Credential.objects.get().status == CredentialStatus.AVAILABLE


@pytest.mark.parametrize("name", ["x", "%00", str(uuid.UUID(int=3)), "{}"])
@pytest.mark.parametrize("address", [REISSUE, INVALIDATE])
def test_no_such_certificate_is_a_404(changer: Any, address: str, name: str) -> None:
    assert send(changer, address, {"public_reason": "x"} if address == INVALIDATE else {}, id=name)[0] == 404


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "configuration"),
        ({"configuration": "x", "username": "a"}, "configuration"),
        ({"configuration": 0, "username": "a"}, "configuration"),
        ({"configuration": 2**70, "username": "a"}, "configuration"),
        ({"configuration": 4711, "username": "a"}, "configuration"),
        ({"configuration": 1}, "lms_user_id"),
        ({"configuration": 1, "username": "a", "lms_user_id": 1}, "lms_user_id"),
        ({"configuration": 1, "lms_user_id": 2**63}, "lms_user_id"),
        ({"configuration": 1, "username": 7}, "username"),
        ({"configuration": 1, "username": "a\0b"}, "username"),
        ({"configuration": 1, "username": "\ud800"}, "username"),
        ({"configuration": 1, "username": ""}, "username"),
        ({"configuration": 1, "username": "a", "overide_eligibility": True}, "overide_eligibility"),
        ([], ""),
        ("null", ""),
        ("{", ""),
        ("[" * 100_000, ""),
    ],
)
def test_an_invalid_field_is_refused_by_name(issuer: Any, sent: Any, field: str) -> None:
    status, body = send(issuer, LIST, sent)
    assert status == 400
    assert field in [error["field"] for error in body.get("errors", [{"field": ""}])]
    assert body["detail"]
    assert not Credential.objects.exists()


@pytest.mark.parametrize("reason", ["", "  ", "x" * 256, 7, None, "a\0"])
def test_a_public_reason_that_cannot_be_said_is_refused(changer: Any, reason: Any) -> None:
    row = CredentialFactory()
    status, body = send(changer, INVALIDATE, {"public_reason": reason}, id=row.pk)
    assert (status, [error["field"] for error in body["errors"]]) == (400, ["public_reason"])


def test_a_body_that_is_no_json_is_refused(issuer: Any) -> None:
    assert send(issuer, LIST, "configuration=1", kind="application/x-www-form-urlencoded")[0] == 415


def test_a_body_that_is_too_large_is_refused_before_it_is_read(issuer: Any) -> None:
    status, body = send(issuer, LIST, '{"username": "' + "a" * 300_000 + '"}')
    assert (status, body["detail"]) == (413, "The body is larger than 262144 bytes. Send less at once.")
