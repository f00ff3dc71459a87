"""What services and staff rely on who award and revoke by REST: one badge, once, and an answer to count on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from badges import api
from badges.exceptions import Retryable
from badges.models import Learner, OutboxMessage, UserCredential
from tests.factories import (
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    UserCredentialFactory,
    UserFactory,
    make_template,
)
from tests.rest_api.schema import assert_as_promised

LIST = "/api/badges/v1/credentials/"
ONE = "/api/badges/v1/credentials/{id}/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def service(staff_client: Callable[..., Any]) -> Any:
    return staff_client("award_usercredential", "revoke_usercredential")


def send(client: Any, body: Any, *, to: str = LIST, id: Any = "") -> Any:
    response = client.post(to.format(id=id), body, content_type="application/json")
    assert_as_promised(response, to, "post")
    return response


def award(client: Any, **body: Any) -> Any:
    return send(client, body)


def revoke(client: Any, credential: Any, **body: Any) -> Any:
    return send(client, body, to=f"{ONE}revoke/", id=getattr(credential, "pk", credential))


def lift_block(client: Any, credential: Any, **body: Any) -> Any:
    return send(client, body, to=f"{ONE}lift-block/", id=getattr(credential, "pk", credential))


def blocked(**given: Any) -> UserCredential:
    return UserCredentialFactory(**{**REVOKED, "revocation_kind": "person", "blocked": True, **given})


def test_an_award_is_answered_with_the_credential_and_its_address(service: Any, staff_client: Any) -> None:
    learner, template = LearnerFactory(), make_template(slug="algebra-star")
    response = award(service, user_id=learner.user.username, template="algebra-star", reason="Won the race.")
    credential = UserCredential.objects.get()
    assert response.status_code == 201
    assert response.json()["id"] == str(credential.pk)
    assert (response.json()["status"], response.json()["cause"]["kind"]) == ("awarded", "person")
    assert staff_client("view_usercredential").get(response.headers["Location"]).json() == response.json()
    assert (credential.learner, credential.template, credential.cause_reason) == (learner, template, "Won the race.")
    assert list(OutboxMessage.objects.values_list("type", flat=True)) == ["badge.awarded"]


@pytest.mark.parametrize("named_by", ["username", "lms_user_id", "text of the lms_user_id", "uuid"])
def test_a_person_can_be_named_in_each_way(service: Any, named_by: str) -> None:
    learner, _other = LearnerFactory(), LearnerFactory()
    names = {
        "username": learner.user.username,
        "lms_user_id": learner.lms_user_id,
        "text of the lms_user_id": str(learner.lms_user_id),
        "uuid": str(learner.uuid),
    }
    assert award(service, user_id=names[named_by], template=make_template().slug).status_code == 201
    assert UserCredential.objects.get().learner == learner


def test_an_account_that_no_event_was_about_is_awarded(service: Any) -> None:
    user = UserFactory(username="马苏比拉米")
    response = award(service, user_id="马苏比拉米", template=make_template().slug)
    assert response.status_code == 201
    assert response.json()["learner"] == {
        "uuid": str(Learner.objects.get(user=user).uuid),
        "lms_user_id": None,
        "username": "马苏比拉米",
    }


def test_a_repeated_award_is_answered_with_the_credential_that_is_there(service: Any) -> None:
    learner, template = LearnerFactory(), make_template()
    body = {"user_id": learner.lms_user_id, "template": template.slug}
    first, again = award(service, **body), award(service, **body)
    assert (first.status_code, again.status_code) == (201, 409)
    assert (again.json()["code"], again.json()["credential"]) == ("already_held", first.json()["id"])
    assert UserCredential.objects.count() == OutboxMessage.objects.count() == 1


def test_a_block_and_an_inactive_template_are_told_apart_from_a_badge_that_is_held(service: Any) -> None:
    ended, inactive = blocked(), make_template(is_active=False)
    response = award(service, user_id=ended.learner.lms_user_id, template=ended.template.slug)
    assert response.status_code == 409
    assert (response.json()["code"], response.json()["credential"]) == ("blocked", str(ended.pk))
    response = award(service, user_id=ended.learner.lms_user_id, template=inactive.slug)
    assert response.status_code == 409
    assert response.json()["code"] == "template_not_active"
    assert "credential" not in response.json()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"user_id": True}, "user_id"),
        ({"user_id": 1.5}, "user_id"),
        ({"user_id": ["41"]}, "user_id"),
        ({"user_id": -41}, "user_id"),
        ({"user_id": 10**30}, "user_id"),
        ({"user_id": "nobody"}, "user_id"),
        ({"user_id": "no\0body"}, "user_id"),
        ({"user_id": "hou\ud800ba"}, "user_id"),
        ({"user_id": "h" * 256}, "user_id"),
        ({"user_id": str(uuid.UUID(int=5))}, "user_id"),
        ({"template": ""}, "template"),
        ({"template": "no-such-template"}, "template"),
        ({"template": "hou\0ba"}, "template"),
        ({"template": "h" * 151}, "template"),
        ({"template": 41}, "template"),
        ({"reason": "h" * 501}, "reason"),
        ({"reason": None}, "reason"),
        ({"username": "houba"}, "username"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_awarded(service: Any, body: dict[str, Any], field: str) -> None:
    learner, template = LearnerFactory(lms_user_id=41), make_template()
    given = {"user_id": learner.lms_user_id, "template": template.slug, **body} if body else {"template": template.slug}
    response = award(service, **given)
    assert response.status_code == 400
    assert field in [error["field"] for error in response.json()["errors"]]
    assert not UserCredential.objects.exists()


@pytest.mark.parametrize("body", [[], [41], "41", None])
def test_a_body_that_is_no_object_is_refused(service: Any, body: Any) -> None:
    assert send(service, body).status_code == 400
    assert revoke_with(service, body).status_code == 400
    assert UserCredential.objects.get().status == "awarded"


def revoke_with(client: Any, body: Any) -> Any:
    return send(client, body, to=f"{ONE}revoke/", id=UserCredentialFactory().pk)


def test_a_body_of_ten_megabytes_is_refused(service: Any) -> None:
    response = award(service, user_id=41, template=make_template().slug, reason="h" * 10_000_000)
    assert response.status_code == 413


def test_a_revocation_keeps_its_reasons_and_blocks_unless_told_otherwise(service: Any) -> None:
    first, second = UserCredentialFactory(), UserCredentialFactory()
    body = revoke(service, first, public_reason="Awarded by mistake.", internal_reason="See the minutes.").json()
    assert (body["status"], body["public_reason"], body["blocked"]) == ("revoked", "Awarded by mistake.", True)
    assert body["revocation"]["kind"] == "person"
    assert revoke(service, second, public_reason="Awarded too early.", block=False).json()["blocked"] is False
    first.refresh_from_db()
    assert first.internal_reason == "See the minutes."


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "public_reason"),
        ({"public_reason": ""}, "public_reason"),
        ({"public_reason": "h" * 256}, "public_reason"),
        ({"internal_reason": "h" * 501}, "internal_reason"),
        ({"internal_reason": "hou\ud800ba"}, "internal_reason"),
        ({"block": "perhaps"}, "block"),
        ({"blocked": True}, "blocked"),
    ],
)
def test_a_wrong_reason_is_named_and_nothing_is_revoked(service: Any, body: dict[str, Any], field: str) -> None:
    credential = UserCredentialFactory()
    response = revoke(service, credential, **({"public_reason": "Awarded by mistake.", **body} if body else {}))
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    credential.refresh_from_db()
    assert credential.status == "awarded"


def test_a_repeated_revocation_does_not_take_the_badge_that_came_later(service: Any) -> None:
    old = UserCredentialFactory()
    revoke(service, old, public_reason="Awarded too early.", block=False)
    new = api.award(old.learner, old.template.slug)
    response = revoke(service, old, public_reason="Awarded too early.", block=False)
    assert response.status_code == 409
    assert response.json()["code"] == "not_held"
    new.refresh_from_db()
    assert new.status == "awarded"


def test_lifting_a_block_answers_what_it_led_to(service: Any) -> None:
    credential = blocked()
    body = lift_block(service, credential, reason="It was another learner.").json()
    assert (body["credential"]["id"], body["credential"]["blocked"]) == (str(credential.pk), False)
    assert body["awarded"] is None
    credential.refresh_from_db()
    assert credential.block_lifted_reason == "It was another learner."
    again = lift_block(service, credential)
    assert (again.status_code, again.json()["code"]) == (409, "not_blocked")
    assert lift_block(service, blocked(), reason="h" * 501).status_code == 400


def test_lifting_a_block_awards_the_badge_to_who_has_everything(service: Any) -> None:
    progress = BadgeProgressFactory()
    FulfillmentFactory(progress=progress)
    credential = blocked(learner=progress.learner, template=progress.template)
    body = lift_block(service, credential).json()
    assert body["awarded"]["id"] == str(UserCredential.objects.get(active_key="active").pk)
    assert body["credential"]["id"] == str(credential.pk)


@pytest.mark.parametrize("id", ["x", "9" * 400, str(uuid.UUID(int=5))])
def test_what_is_not_there_is_404(service: Any, id: str) -> None:
    assert revoke(service, id, public_reason="houba").status_code == 404
    assert lift_block(service, id).status_code == 404


def test_every_decision_needs_its_permission(staff_client: Callable[..., Any], learner_client: Any) -> None:
    held, ended = UserCredentialFactory(), blocked()
    body = {"user_id": held.learner.lms_user_id, "template": make_template().slug}
    viewer = staff_client("view_usercredential")
    for client in (viewer, learner_client, staff_client("revoke_usercredential")):
        assert award(client, **body).status_code == 403
        assert award(client, user_id="nobody", template="no-such-template").status_code == 403
    for client in (viewer, learner_client, staff_client("award_usercredential")):
        assert revoke(client, held, public_reason="houba").status_code == 403
        assert lift_block(client, ended).status_code == 403
        assert revoke(client, uuid.UUID(int=5), public_reason="houba").status_code == 403
    assert UserCredential.objects.count() == 2
    assert UserCredential.objects.filter(active_key="active").get() == held
    assert UserCredential.objects.filter(blocked=True).get() == ended


def test_nobody_decides_without_signing_in(client: Any) -> None:
    assert award(client, user_id=41, template="houba").status_code == 401


def test_a_database_that_does_not_answer_is_503(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **given: Any) -> None:
        raise Retryable("The database did not answer for 30 seconds; nothing was changed.")

    credential = UserCredentialFactory()
    for name in ("award", "revoke", "lift_block"):
        monkeypatch.setattr(api, name, fail)
    responses = [
        award(service, user_id=41, template="houba"),
        revoke(service, credential, public_reason="houba"),
        lift_block(service, credential),
    ]
    assert [response.status_code for response in responses] == [503] * 3
    assert all(response.headers["Retry-After"] for response in responses)
