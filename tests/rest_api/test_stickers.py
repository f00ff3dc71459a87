"""The sticker flows: who holds which sticker, assigning and removing one, and what each wrong request is answered."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone

from badges import api, pipeline
from badges.exceptions import Retryable
from badges.models import Learner, OutboxMessage, UserCredential
from tests.factories import (
    ALGEBRA,
    NOON,
    REVOKED,
    LearnerFactory,
    UserCredentialFactory,
    UserFactory,
    credly_issuer,
    make_passing,
    make_template,
)
from tests.flows.senders import claimed
from tests.rest_api.schema import assert_as_promised

STICKERS = "/api/award/v1/users/{userId}/stickers"
STICKER = "/api/award/v1/users/{userId}/stickers/{stickerId}"
USER = "/api/users/v1/users/{userId}"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def staff(staff_client: Callable[..., Any]) -> Any:
    return staff_client("award_usercredential", "revoke_usercredential", "view_usercredential")


def address(path: str, *names: Any) -> str:
    for name in names:
        begin, _, rest = path.partition("{")
        path = f"{begin}{quote(str(name), safe='')}{rest.partition('}')[2]}"
    return path


def stickers_of(client: Any, user: Any, query: str = "") -> Any:
    response = client.get(f"{address(STICKERS, user)}{query}")
    assert_as_promised(response, STICKERS)
    return response


def assign(client: Any, user: Any, body: Any, **headers: str) -> Any:
    response = client.post(address(STICKERS, user), body, content_type="application/json", headers=headers)
    assert_as_promised(response, STICKERS, "post")
    return response


def remove(client: Any, user: Any, sticker: Any, body: Any = None, **headers: str) -> Any:
    given = {} if body is None else {"data": body, "content_type": "application/json"}
    response = client.delete(address(STICKER, user, sticker), **given, headers=headers)
    assert_as_promised(response, STICKER, "delete")
    return response


def read_time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


# --- assigning --------------------------------------------------------------------------------------------------------


def test_an_assigned_sticker_is_a_credential_that_is_announced_and_explained(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template(slug="helper", requirements=[], is_active=False)
    before = timezone.now()
    response = assign(staff, learner.uuid, {"stickerId": "helper", "reason": "Helped everybody."})
    credential = UserCredential.objects.get()

    assert response.status_code == 201
    assert response.json() == {
        "userId": str(learner.uuid),
        "stickerId": "helper",
        "assignedAt": response.json()["assignedAt"],
    }
    assert before <= read_time(response.json()["assignedAt"]) == credential.awarded_at <= timezone.now()
    assert (credential.learner, credential.template) == (learner, template)
    assert (credential.cause_kind, credential.cause_reason) == ("person", "Helped everybody.")
    assert credential.cause_person.has_perm("lms_badges.award_lms_badges_usercredential")
    assert list(OutboxMessage.objects.values_list("channel", "type")) == [("announce", "badge.awarded")]
    assert api.explain(learner, "helper").credentials[0].cause_reason == "Helped everybody."


@pytest.mark.parametrize("named_by", ["username", "lms_user_id", "uuid", "UUID in capitals"])
def test_a_user_can_be_named_in_each_way_and_is_answered_by_the_uuid(staff: Any, named_by: str) -> None:
    learner, _other = LearnerFactory(), LearnerFactory()
    names = {
        "username": learner.user.username,
        "lms_user_id": learner.lms_user_id,
        "uuid": learner.uuid,
        "UUID in capitals": str(learner.uuid).upper(),
    }
    template = make_template()
    response = assign(staff, names[named_by], {"stickerId": template.slug})
    assert (response.status_code, response.json()["userId"]) == (201, str(learner.uuid))
    assert stickers_of(staff, names[named_by]).json()["stickers"][0]["stickerId"] == template.slug
    assert remove(staff, names[named_by], template.slug).json()["userId"] == str(learner.uuid)


def test_digits_are_an_lms_user_id_even_if_they_are_somebodys_username(staff: Any) -> None:
    learner = LearnerFactory(lms_user_id=4711)
    UserFactory(username="4711")
    assert assign(staff, "4711", {"stickerId": make_template().slug}).json()["userId"] == str(learner.uuid)
    UserFactory(username="4712")
    assert assign(staff, "4712", {"stickerId": make_template().slug}).status_code == 404


def test_a_learner_without_an_lms_user_id_is_found_by_the_one_that_the_host_stores(staff: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}  # some text column of the host
    learner = LearnerFactory(lms_user_id=None, user=UserFactory(last_name="4711"))
    held = UserCredentialFactory(learner=learner)
    assert [each["stickerId"] for each in stickers_of(staff, 4711).json()["stickers"]] == [held.template.slug]
    assert staff.get(address(USER, 4711)).json()["accountId"] == str(learner.uuid)
    assert remove(staff, 4711, held.template.slug).status_code == 200


def test_the_uuid_of_the_template_names_a_sticker_too_and_is_answered_by_its_slug(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template(slug="helper")
    assert assign(staff, learner.uuid, {"stickerId": str(template.uuid)}).json()["stickerId"] == "helper"
    assert remove(staff, learner.uuid, template.uuid).json()["stickerId"] == "helper"


def test_a_slug_that_looks_like_the_uuid_of_another_template_is_a_slug(staff: Any) -> None:
    learner, other = LearnerFactory(), make_template()
    make_template(slug=str(other.uuid))
    assert assign(staff, learner.uuid, {"stickerId": str(other.uuid)}).json()["stickerId"] == str(other.uuid)


def test_an_account_that_no_event_was_about_gets_a_learner_with_its_first_sticker(staff: Any) -> None:
    user = UserFactory(username="马苏比拉米")
    response = assign(staff, "马苏比拉米", {"stickerId": make_template().slug})
    assert response.status_code == 201
    assert response.json()["userId"] == str(Learner.objects.get(user=user).uuid)


def test_a_sticker_with_a_provider_is_queued_for_it_and_for_its_revocation(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template(issuers=[credly_issuer()])
    assign(staff, learner.uuid, {"stickerId": template.slug})
    remove(staff, learner.uuid, template.slug)
    queued = OutboxMessage.objects.filter(channel="credly").order_by("sequence")
    assert list(queued.values_list("type", flat=True)) == ["issue", "revoke"]


def test_a_sticker_that_is_assigned_already_is_409_and_nothing_is_written(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template()
    assign(staff, learner.uuid, {"stickerId": template.slug})
    response = assign(staff, learner.lms_user_id, {"stickerId": str(template.uuid)})
    assert response.status_code == 409
    assert response.json()["code"] == "already_held"
    assert response.json()["credential"] == str(UserCredential.objects.get().pk)
    assert OutboxMessage.objects.count() == 1


def test_a_sticker_that_was_earned_cannot_be_assigned_too_and_can_be_removed(staff: Any) -> None:
    template = make_template("earned", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([make_passing(course_key=ALGEBRA, lms_user_id=41, username="ada")])
    assert stickers_of(staff, 41).json()["stickers"][0]["stickerId"] == "earned"
    assert assign(staff, 41, {"stickerId": template.slug}).status_code == 409
    assert remove(staff, 41, template.slug).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "stickerId"),
        ({"stickerId": ""}, "stickerId"),
        ({"stickerId": None}, "stickerId"),
        ({"stickerId": 41}, "stickerId"),
        ({"stickerId": True}, "stickerId"),
        ({"stickerId": ["helper"]}, "stickerId"),
        ({"stickerId": {"id": "helper"}}, "stickerId"),
        ({"stickerId": "h" * 151}, "stickerId"),
        ({"stickerId": "hel\0per"}, "stickerId"),
        ({"stickerId": "hel\ud800per"}, "stickerId"),
        ({"stickerId": "helper", "reason": "h" * 501}, "reason"),
        ({"stickerId": "helper", "reason": None}, "reason"),
        ({"stickerId": "helper", "reason": 7}, "reason"),
        ({"stickerId": "helper", "reason": "hel\0per"}, "reason"),
        ({"stickerId": "helper", "sticker_id": "helper"}, "sticker_id"),
        ({"stickerId": "helper", "assignedAt": "2026-03-14T12:00:00Z"}, "assignedAt"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_assigned(staff: Any, body: Any, field: str) -> None:
    learner, _template = LearnerFactory(), make_template(slug="helper")
    response = assign(staff, learner.uuid, body)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert not UserCredential.objects.exists()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"helper"', b"null", b'{"stickerId": "a", "stickerId": "b"}', b"\xff"]
)
def test_a_body_that_is_no_json_object_is_400(staff: Any, body: bytes) -> None:
    response = staff.generic("POST", address(STICKERS, LearnerFactory().uuid), body, content_type="application/json")
    assert assert_as_promised(response, STICKERS, "post")["status"] == 400


def test_the_longest_reason_is_stored_and_a_reason_in_any_script(staff: Any) -> None:
    learner = LearnerFactory()
    for reason in ("h" * 500, "帮助了所有人 🦁"):
        assert assign(staff, learner.uuid, {"stickerId": make_template().slug, "reason": reason}).status_code == 201
    assert [each["reason"] for each in stickers_of(staff, learner.uuid).json()["stickers"]] == [
        "帮助了所有人 🦁",
        "h" * 500,
    ]


def test_a_body_of_ten_megabytes_is_refused(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template()
    assign(staff, learner.uuid, {"stickerId": template.slug})
    assert assign(staff, learner.uuid, {"stickerId": "h" * 10_000_000}).status_code == 413
    assert remove(staff, learner.uuid, template.slug, {"reason": "h" * 10_000_000}).status_code == 413
    assert UserCredential.objects.get().status == "awarded"


def test_a_body_in_another_format_is_415(staff: Any) -> None:
    path = address(STICKERS, LearnerFactory().uuid)
    response = staff.post(path, "stickerId=helper", content_type="application/x-www-form-urlencoded")
    assert assert_as_promised(response, STICKERS, "post")["status"] == 415


NOBODY = ["nobody", "0", "4799", "9" * 400, "h" * 3000, "no\0body", str(uuid.UUID(int=5)), "ÿ", "' OR 1=1 --"]


@pytest.mark.parametrize("user", NOBODY)
def test_an_unknown_user_is_404(staff: Any, user: str) -> None:
    template = make_template()
    assert assign(staff, user, {"stickerId": template.slug}).status_code == 404
    assert stickers_of(staff, user).status_code == 404
    assert remove(staff, user, template.slug).status_code == 404
    assert staff.get(address(USER, user)).status_code == 404
    assert not Learner.objects.exists()


def test_a_retired_learner_gets_no_more_stickers(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template()
    api.retire(learner)
    assert assign(staff, learner.uuid, {"stickerId": template.slug}).status_code == 404


def test_an_unknown_or_inactive_sticker_is_422_and_creates_no_learner(staff: Any) -> None:
    user = UserFactory()
    response = assign(staff, user.username, {"stickerId": "no-such-sticker"})
    assert (response.status_code, response.json()["code"]) == (422, "unknown_template")
    response = assign(staff, user.username, {"stickerId": make_template(is_active=False).slug})
    assert (response.status_code, response.json()["code"]) == (422, "template_not_active")
    assert assign(staff, user.username, {"stickerId": str(uuid.UUID(int=5))}).status_code == 422
    assert assign(staff, user.username, {"stickerId": make_template().slug.upper()}).status_code == 422
    assert not Learner.objects.exists()


# --- removing ---------------------------------------------------------------------------------------------------------


def test_a_removed_sticker_is_kept_as_history_with_the_reason_for_staff(staff: Any) -> None:
    held = UserCredentialFactory()
    response = remove(staff, held.learner.uuid, held.template.slug, {"reason": "Wrong Anna."})
    held.refresh_from_db()
    assert response.status_code == 200
    assert response.json() == {
        "userId": str(held.learner.uuid),
        "stickerId": held.template.slug,
        "removedAt": response.json()["removedAt"],
    }
    assert read_time(response.json()["removedAt"]) == held.revoked_at
    assert (held.status, held.internal_reason, held.public_reason) == ("revoked", "Wrong Anna.", "")
    assert held.revocation_kind == "person"
    assert list(OutboxMessage.objects.values_list("channel", "type")) == [("announce", "badge.revoked")]
    assert stickers_of(staff, held.learner.uuid).json()["stickers"] == []


def test_removing_needs_no_body_and_is_404_the_second_time(staff: Any) -> None:
    held = UserCredentialFactory()
    assert remove(staff, held.learner.uuid, held.template.slug).status_code == 200
    assert remove(staff, held.learner.uuid, held.template.slug).status_code == 404
    assert OutboxMessage.objects.count() == 1


@pytest.mark.parametrize("sticker", ["no-such-sticker", "h" * 3000, "hel\0per", "9" * 400, str(uuid.UUID(int=5)), "ÿ"])
def test_a_sticker_that_is_not_assigned_cannot_be_removed(staff: Any, sticker: str) -> None:
    assert remove(staff, UserCredentialFactory().learner.uuid, sticker).status_code == 404
    assert remove(staff, UserFactory().username, sticker).status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [({"reason": "h" * 501}, "reason"), ({"reason": None}, "reason"), ({"public_reason": "houba"}, "public_reason")],
)
def test_a_wrong_reason_is_named_and_nothing_is_removed(staff: Any, body: Any, field: str) -> None:
    held = UserCredentialFactory()
    response = remove(staff, held.learner.uuid, held.template.slug, body)
    assert (response.status_code, [error["field"] for error in response.json()["errors"]]) == (400, [field])
    held.refresh_from_db()
    assert held.status == "awarded"


def test_assign_remove_and_assign_again(staff: Any) -> None:
    learner, template = LearnerFactory(), make_template()
    first = assign(staff, learner.uuid, {"stickerId": template.slug})
    remove(staff, learner.uuid, template.slug)
    second = assign(staff, learner.uuid, {"stickerId": template.slug, "reason": "It was the right Anna."})
    assert (first.status_code, second.status_code) == (201, 201)
    assert [each["assignedAt"] for each in stickers_of(staff, learner.uuid).json()["stickers"]] == [
        second.json()["assignedAt"]
    ]
    old = UserCredential.objects.get(status="revoked")
    assert (old.blocked, old.block_lifted_reason) == (False, "It was the right Anna.")
    assert old.block_lifted_person is not None
    types = OutboxMessage.objects.order_by("sequence").values_list("type", flat=True)
    assert list(types) == ["badge.awarded", "badge.revoked", "badge.awarded"]


def test_a_removed_sticker_stays_away_whatever_the_rules_say(staff: Any) -> None:
    template = make_template("earned", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([make_passing(course_key=ALGEBRA, lms_user_id=41, username="ada")])
    remove(staff, 41, template.slug)
    pipeline.handle([make_passing(course_key=ALGEBRA, lms_user_id=41, username="ada")])
    assert stickers_of(staff, 41).json()["stickers"] == []
    assert assign(staff, 41, {"stickerId": template.slug}).status_code == 201


# --- reading ----------------------------------------------------------------------------------------------------------


def test_a_learner_reads_the_stickers_that_are_assigned_now_newest_first(learner: Any, learner_client: Any) -> None:
    old = UserCredentialFactory(learner=learner, awarded_at=NOON)
    new = UserCredentialFactory(learner=learner, awarded_at=NOON + dt.timedelta(hours=1, microseconds=7))
    UserCredentialFactory(learner=learner, **REVOKED)
    UserCredentialFactory()
    expected = {
        "userId": str(learner.uuid),
        "stickers": [
            {"stickerId": new.template.slug, "assignedAt": "2026-03-14T13:00:00.000007Z"},
            {"stickerId": old.template.slug, "assignedAt": "2026-03-14T12:00:00Z"},
        ],
        "next": None,
        "previous": None,
    }
    for name in (learner.uuid, learner.lms_user_id, learner.user.username):
        assert stickers_of(learner_client, name).json() == expected


def test_only_staff_read_the_reasons_that_staff_gave(staff: Any, learner: Any, learner_client: Any) -> None:
    UserCredentialFactory(learner=learner, cause_kind="person", cause_reason="Helped everybody.")
    UserCredentialFactory(learner=learner, awarded_at=NOON - dt.timedelta(days=400))
    seen = stickers_of(staff, learner.uuid).json()["stickers"]
    assert [each.get("reason") for each in seen] == ["Helped everybody.", None]
    assert "reason" not in seen[1]
    assert not any("reason" in each for each in stickers_of(learner_client, learner.uuid).json()["stickers"])


def test_the_list_is_paged(staff: Any) -> None:
    learner = LearnerFactory()
    for hours in range(5):
        UserCredentialFactory(learner=learner, awarded_at=NOON + dt.timedelta(hours=hours))
    seen, pages = [], 0
    page = stickers_of(staff, learner.uuid, "?pageSize=2").json()
    while True:
        pages += 1
        seen += [each["assignedAt"] for each in page["stickers"]]
        if page["next"] is None:
            break
        page = assert_as_promised(staff.get(page["next"]), STICKERS)
    assert (pages, len(set(seen))) == (3, 5)
    assert seen == sorted(seen, reverse=True)
    assert page["previous"] is not None


@pytest.mark.parametrize("query", ["?pageSize=0", "?pageSize=many", "?cursor=x", "?page_size=2", "?status=revoked"])
def test_a_wrong_parameter_is_named(staff: Any, query: str) -> None:
    response = stickers_of(staff, LearnerFactory().uuid, query)
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == query[1:].partition("=")[0]


def test_an_account_without_a_learner_holds_nothing_yet(client: Any) -> None:
    user = UserFactory()
    client.force_login(user)
    assert stickers_of(client, user.username).json() == {"userId": None, "stickers": [], "next": None, "previous": None}
    body = assert_as_promised(client.get(address(USER, user.username)), USER)
    assert body == {"accountId": None, "stickers": {"held": 0, "claimed": 0}}
    assert not Learner.objects.exists()


def test_a_user_is_shown_with_the_number_of_stickers(staff: Any, learner: Any, learner_client: Any) -> None:
    for more in ({}, {}, REVOKED):
        UserCredentialFactory(learner=learner, **more)
    UserCredentialFactory()
    pipeline.handle([claimed(learner, make_template().slug), claimed(LearnerFactory(), make_template().slug)])
    pipeline.process_pending()
    for client, name in ((staff, learner.uuid), (learner_client, learner.uuid), (learner_client, learner.lms_user_id)):
        body = assert_as_promised(client.get(address(USER, name)), USER)
        assert body == {"accountId": str(learner.uuid), "stickers": {"held": 2, "claimed": 1}}
    assert staff.get(f"{address(USER, learner.uuid)}?fields=all").status_code == 400


@pytest.mark.parametrize("path", [STICKERS, USER])
def test_a_slash_at_the_end_makes_no_difference(staff: Any, path: str) -> None:
    at = address(path, LearnerFactory().uuid)
    assert staff.get(f"{at}/").json() == staff.get(at).json()


# --- who may ----------------------------------------------------------------------------------------------------------


def test_a_learner_reads_nobody_else_and_is_not_told_who_exists(learner_client: Any) -> None:
    other = UserCredentialFactory().learner
    for name in (other.uuid, other.lms_user_id, other.user.username, UserFactory().username, *NOBODY):
        assert stickers_of(learner_client, name).status_code == 403
        assert assert_as_promised(learner_client.get(address(USER, name)), USER)["status"] == 403


def test_being_signed_in_is_not_enough_to_write_not_even_about_oneself(
    staff_client: Callable[..., Any], learner: Any, learner_client: Any
) -> None:
    held, template = UserCredentialFactory(learner=learner), make_template()
    viewer = staff_client("view_usercredential")
    for client in (learner_client, viewer, staff_client("revoke_usercredential")):
        for name in (learner.uuid, learner.user.username, "nobody"):
            assert assign(client, name, {"stickerId": template.slug}).status_code == 403
        assert assign(client, learner.uuid, {"houba": 1}).status_code == 403
    for client in (learner_client, viewer, staff_client("award_usercredential")):
        for sticker in (held.template.slug, "no-such-sticker"):
            assert remove(client, learner.uuid, sticker).status_code == 403
    assert UserCredential.objects.get() == held
    assert not OutboxMessage.objects.exists()


def test_nothing_is_answered_without_signing_in(client: Any, learner: Any) -> None:
    assert stickers_of(client, learner.uuid).status_code == 401
    assert assert_as_promised(client.get(address(USER, learner.uuid)), USER)["status"] == 401
    assert assign(client, learner.uuid, {"stickerId": make_template().slug}).status_code == 401
    assert remove(client, learner.uuid, "helper").status_code == 401


def test_a_session_that_has_expired_is_401(staff: Any, learner: Any) -> None:
    Session.objects.update(expire_date=timezone.now() - dt.timedelta(seconds=1))
    assert stickers_of(staff, learner.uuid).status_code == 401
    assert assign(staff, learner.uuid, {"stickerId": make_template().slug}).status_code == 401
    assert not UserCredential.objects.exists()


def test_a_session_needs_its_csrf_token_to_write(staff_client: Callable[..., Any], learner: Any) -> None:
    strict = staff_client("award_usercredential", enforce_csrf_checks=True)
    assert assign(strict, learner.uuid, {"stickerId": make_template().slug}).status_code == 403


def test_a_database_that_does_not_answer_is_503(staff: Any, learner: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **given: Any) -> None:
        raise Retryable("The database did not answer for 30 seconds; nothing was changed.")

    template = make_template()
    monkeypatch.setattr(api, "award", fail)
    monkeypatch.setattr(api, "revoke", fail)
    responses = [
        assign(staff, learner.uuid, {"stickerId": template.slug}),
        remove(staff, learner.uuid, template.slug),
    ]
    assert [response.status_code for response in responses] == [503, 503]
    assert all(response.headers["Retry-After"] for response in responses)
