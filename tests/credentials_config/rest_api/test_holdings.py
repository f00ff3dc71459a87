"""What a learner holds: certificates and badges together, newest first, each once."""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from credentials_config.models import CredentialStatus
from tests.credentials_config.factories import CredentialFactory
from tests.factories import NOON, REVOKED, LearnerFactory, UserCredentialFactory, make_template
from tests.rest_api.schema import assert_as_promised

LIST = "/api/credentials/v1/credentials/"
HOUR = dt.timedelta(hours=1)
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def ask(client: Any, **query: Any) -> Any:
    return assert_as_promised(client.get(f"{LIST}?{urlencode(query)}"), LIST)


def ids(body: Any) -> list[str]:
    return [row["id"] for row in body["results"]]


def pages(client: Any, **query: Any) -> list[list[str]]:
    """Follow ``next`` to the end."""
    address, found = f"{LIST}?{urlencode(query)}", []
    while address:
        body = assert_as_promised(client.get(address), LIST)
        found.append(ids(body))
        address = body["next"]
    return found


def test_certificates_and_badges_are_listed_together_newest_first(learner: Any, learner_client: Any) -> None:
    badge = UserCredentialFactory(learner=learner, awarded_at=NOON)
    newer = CredentialFactory(learner=learner, issued_at=NOON + HOUR)
    older = CredentialFactory(learner=learner, issued_at=NOON - HOUR)
    UserCredentialFactory()
    CredentialFactory()
    body = ask(learner_client)
    assert ids(body) == [str(newer.pk), str(badge.pk), str(older.pk)]
    assert [row["kind"] for row in body["results"]] == ["certificate", "badge", "certificate"]
    assert (body["next"], body["previous"]) == (None, None)


def test_a_certificate_says_what_for_and_where_it_is(learner: Any, learner_client: Any) -> None:
    row = CredentialFactory(
        learner=learner,
        learner_name="王小明",
        expires_at=dt.datetime(2099, 1, 2, tzinfo=dt.UTC),
        configuration__credential_type__name="Diploma",
        internal_note="Zorglub",
    )
    (body,) = ask(learner_client)["results"]
    link = body["certificate"].pop("document_url")
    assert link.startswith("https://credentials.test/credentials/document/")
    assert body == {
        "kind": "certificate",
        "id": str(row.pk),
        "title": "Diploma",
        "description": "",
        "image_url": "",
        "status": "available",
        "held": True,
        "issued_at": "2026-03-14T12:00:00Z",
        "expires_at": "2099-01-02T00:00:00Z",
        "certificate": {
            "configuration": row.configuration.pk,
            "context_key": "course-v1:Demo+Algebra+2026",
            "context_name": "Algebra for squirrels",
            "name": "王小明",
            "verification_code": row.verification_code,
            "verify_url": f"https://credentials.test/credentials/verify/{row.verification_code}",
            "reason": "",
        },
        "badge": None,
    }


def test_a_badge_says_which_it_is(learner: Any, learner_client: Any) -> None:
    template = make_template(slug="star", name="Star", description="For stars.")
    row = UserCredentialFactory(learner=learner, template=template)
    assert ask(learner_client)["results"] == [
        {
            "kind": "badge",
            "id": str(row.pk),
            "title": "Star",
            "description": "For stars.",
            "image_url": "",
            "status": "awarded",
            "held": True,
            "issued_at": "2026-03-14T12:00:00Z",
            "expires_at": None,
            "certificate": None,
            "badge": {"uuid": str(template.uuid), "slug": "star", "reason": ""},
        }
    ]


def test_ended_credentials_are_listed_on_request_and_unfinished_ones_never(learner: Any, learner_client: Any) -> None:
    past = NOON - HOUR
    swept = CredentialFactory(learner=learner, status=CredentialStatus.EXPIRED, expires_at=past, issued_at=NOON)
    unswept = CredentialFactory(learner=learner, expires_at=past, issued_at=NOON - HOUR)
    taken = CredentialFactory(
        learner=learner,
        status=CredentialStatus.INVALIDATED,
        public_reason="Copied.",
        document="",
        issued_at=NOON - 2 * HOUR,
    )
    revoked = UserCredentialFactory(learner=learner, awarded_at=NOON - 3 * HOUR, **REVOKED)
    unmade = {"document": "", "document_number": 0}
    CredentialFactory(learner=learner, status=CredentialStatus.GENERATING, **unmade)
    CredentialFactory(learner=learner, status=CredentialStatus.ERROR, error="x", **unmade)
    assert ids(ask(learner_client)) == []
    body = ask(learner_client, ended="true")
    assert ids(body) == [str(row.pk) for row in (swept, unswept, taken, revoked)]
    assert [row["status"] for row in body["results"]] == ["expired", "expired", "invalidated", "revoked"]
    assert not any(row["held"] for row in body["results"])
    assert body["results"][2]["certificate"]["reason"] == "Copied."
    assert body["results"][2]["certificate"]["document_url"] == ""


def test_pages_hold_every_entry_once_however_many_share_one_time(learner: Any, learner_client: Any) -> None:
    for hour in (0, 0, 0, 1, 1, 3):
        CredentialFactory(learner=learner, issued_at=NOON - hour * HOUR)
        UserCredentialFactory(learner=learner, awarded_at=NOON - hour * HOUR)
    whole = ids(ask(learner_client, page_size=200))
    assert len(set(whole)) == 12
    for size in (1, 2, 3, 5, 11, 12):
        found = pages(learner_client, page_size=size)
        assert [entry for page in found for entry in page] == whole, size
        assert [len(page) for page in found[:-1]] == [size] * (len(found) - 1)


def test_pages_can_be_turned_back(learner: Any, learner_client: Any) -> None:
    for hour in (0, 0, 1, 1, 2):
        CredentialFactory(learner=learner, issued_at=NOON - hour * HOUR)
        UserCredentialFactory(learner=learner, awarded_at=NOON - hour * HOUR)
    there: list[list[str]] = []
    address = f"{LIST}?page_size=3"
    while address:
        body = learner_client.get(address).json()
        there.append(ids(body))
        last, address = body, body["next"]
    back = [ids(last)]
    while last["previous"]:
        last = assert_as_promised(learner_client.get(last["previous"]), LIST)
        back.insert(0, ids(last))
    assert back == there


def test_what_is_given_while_somebody_turns_pages_moves_nothing(learner: Any, learner_client: Any) -> None:
    old = [CredentialFactory(learner=learner, issued_at=NOON - hour * HOUR) for hour in range(4)]
    page = ask(learner_client, page_size=2)
    UserCredentialFactory(learner=learner, awarded_at=NOON + HOUR)
    CredentialFactory(learner=learner, issued_at=NOON)
    following = assert_as_promised(learner_client.get(page["next"]), LIST)
    assert ids(page) + ids(following) == [str(row.pk) for row in old]


def test_one_kind_alone_can_be_asked_for(learner: Any, learner_client: Any) -> None:
    certificate, badge = CredentialFactory(learner=learner), UserCredentialFactory(learner=learner)
    assert ids(ask(learner_client, kind="certificate")) == [str(certificate.pk)]
    assert ids(ask(learner_client, kind="badge")) == [str(badge.pk)]


def test_others_are_shown_to_whoever_may_view_both_kinds(staff_client: Callable[..., Any], learner: Any) -> None:
    certificate = CredentialFactory(learner=learner, issued_at=NOON + HOUR)
    badge = UserCredentialFactory(learner=learner)
    both = staff_client("view_credential", "view_usercredential")
    for query in ({"username": learner.user.username}, {"lms_user_id": learner.lms_user_id}):
        assert ids(ask(both, **query)) == [str(certificate.pk), str(badge.pk)]
        assert ask(staff_client("view_credential"), **query)["status"] == 403
        assert ask(staff_client("view_usercredential"), **query)["status"] == 403
        assert ids(ask(staff_client("view_credential"), kind="certificate", **query)) == [str(certificate.pk)]
        assert ids(ask(staff_client("view_usercredential"), kind="badge", **query)) == [str(badge.pk)]
    assert ids(ask(both)) == []  # their own
    assert ids(ask(both, username="nobody")) == []


def test_a_learner_may_name_themselves_and_nobody_else_whether_there_is_one_or_not(
    learner: Any, learner_client: Any
) -> None:
    mine = CredentialFactory(learner=learner)
    other = LearnerFactory()
    assert ids(ask(learner_client, username=learner.user.username)) == [str(mine.pk)]
    assert ids(ask(learner_client, lms_user_id=learner.lms_user_id)) == [str(mine.pk)]
    for query in (
        {"username": other.user.username},
        {"lms_user_id": other.lms_user_id},
        {"username": "nobody"},
        {"lms_user_id": 9},
    ):
        assert ask(learner_client, **query)["status"] == 403


def test_a_username_of_digits_is_a_username(staff_client: Callable[..., Any]) -> None:
    numbered = LearnerFactory(user__username="5001", lms_user_id=77)
    LearnerFactory(lms_user_id=5001)
    row = CredentialFactory(learner=numbered)
    client = staff_client("view_credential", "view_usercredential")
    assert ids(ask(client, username="5001")) == [str(row.pk)]
    assert ids(ask(client, lms_user_id="5001")) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "diploma"),
        ("ended", "yes"),
        ("page_size", "0"),
        ("page_size", "９"),
        ("page_size", "9" * 5000),
        ("lms_user_id", "x"),
        ("lms_user_id", "-1"),
        ("lms_user_id", str(2**63)),
        ("username", "a\0b"),
        ("username", ""),
        ("cursor", "x"),
        ("cursor", ""),
        ("cursor", "*" * 5000),
        ("cursor", "bnVsbA=="),
    ],
)
def test_an_invalid_value_is_refused_by_name(learner_client: Any, name: str, value: str) -> None:
    body = ask(learner_client, **{name: value})
    assert (body["status"], [error["field"] for error in body["errors"]]) == (400, [name])


@pytest.mark.parametrize(
    "position",
    [
        [],
        [0, "2026-03-14T12:00:00+00:00", "certificate"],
        [0, "yesterday", "certificate", str(uuid.UUID(int=7))],
        [0, "0001-01-01T00:00:00+01:00", "certificate", str(uuid.UUID(int=7))],
        [0, "2026-03-14T12:00:00+00:00", "certificate", "no id"],
        [0, "2026-03-14T12:00:00+00:00", "diploma", str(uuid.UUID(int=7))],
        [0, "2026-03-14T12:00:00+00:00", ["badge"], str(uuid.UUID(int=7))],
        {},
    ],
)
def test_a_cursor_of_another_origin_is_refused(learner_client: Any, position: Any) -> None:
    body = ask(learner_client, cursor=base64.urlsafe_b64encode(json.dumps(position).encode()).decode())
    assert (body["status"], body["errors"][0]["field"]) == (400, "cursor")


def test_a_misspelt_parameter_is_refused_with_what_was_meant(learner_client: Any) -> None:
    body = ask(learner_client, usernam="houba")
    assert body["errors"] == [{"field": "usernam", "detail": "There is no such parameter; write username."}]


def test_a_host_without_a_public_address_lists_credentials_all_the_same(
    learner: Any, learner_client: Any, settings: Any
) -> None:
    settings.CREDENTIALS_CONFIG = {}
    CredentialFactory(learner=learner)
    body = ask(learner_client)["results"][0]["certificate"]
    assert (body["verify_url"], body["document_url"]) == ("", "")


def test_a_page_costs_the_same_however_long_it_is(learner: Any, learner_client: Any) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            ask(learner_client)
        return len(queries)

    CredentialFactory(learner=learner)
    UserCredentialFactory(learner=learner)
    ask(learner_client)
    few = cost()
    for _ in range(4):
        CredentialFactory(learner=learner)
        UserCredentialFactory(learner=learner)
    assert cost() == few
    assert few <= 5  # session, user, learner, certificates, badges
