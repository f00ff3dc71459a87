"""For every invalid request the response names what is wrong, and the status is never 500."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.factories import UserCredentialFactory
from tests.rest_api.schema import assert_as_promised

LIST = "/api/badges/v1/credentials/"
pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def cursor(*position: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


ANY_ID = str(uuid.UUID(int=7))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "ÿ",
        "\0",
        "*" * 5000,
        base64.urlsafe_b64encode(b"[" * 3000).decode(),  # deeper than JSON is read
        base64.urlsafe_b64encode(b"[0," + b"9" * 5000 + b",1]").decode(),  # more digits than Python reads
        base64.urlsafe_b64encode(b"\xff\xff").decode(),
        cursor(),
        cursor(0, "2026-03-14T12:00:00+00:00"),
        cursor(0, "yesterday", ANY_ID),
        cursor(0, 7, ANY_ID),
        cursor(0, "0001-01-01T00:00:00+01:00", ANY_ID),  # before the first moment there is in UTC
        cursor(0, "2026-03-14T12:00:00+00:00", "no-id"),
        cursor(0, "2026-03-14T12:00:00+00:00", None),
        "bnVsbA==",  # null
        "e30=",  # {}
    ],
)
def test_a_cursor_that_is_none_of_ours_is_refused(learner_client: Any, text: str) -> None:
    body = assert_as_promised(learner_client.get(f"{LIST}?{urlencode({'cursor': text})}"), LIST)
    assert (body["status"], body["errors"][0]["field"]) == (400, "cursor")


def test_a_cursor_to_where_nothing_is_shows_an_empty_page(learner: Any, learner_client: Any) -> None:
    UserCredentialFactory(learner=learner)
    query = urlencode({"cursor": cursor(0, "0001-01-01T00:00:00+00:00", ANY_ID)})
    body = assert_as_promised(learner_client.get(f"{LIST}?{query}"), LIST)
    assert body["results"] == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("page_size", "0"),
        ("page_size", "-1"),
        ("page_size", "201"),
        ("page_size", "many"),
        ("page_size", "５"),
        ("page_size", ""),
        ("page_size", "9" * 5000),
        ("lms_user_id", "houba"),
        ("lms_user_id", "-1"),
        ("lms_user_id", "1.5"),
        ("lms_user_id", str(2**63)),
        ("lms_user_id", "9" * 5000),
        ("lms_user_id", "1\0"),
        ("username", "hou\0ba"),
        ("template", "\0"),
        ("status", "lost"),
        ("status", "\0"),
        ("awarded_after", "yesterday"),
        ("awarded_after", "2026-03-14"),
        ("awarded_after", "2026-03-14T12:00:00"),  # nobody knows in which zone
        ("awarded_after", "2026-02-31T12:00:00Z"),
        ("awarded_before", "0001-01-01T00:00:00+01:00"),
        ("awarded_before", "9999-12-31T23:59:59-01:00"),
        ("awarded_before", "2026-03-14T12:00:00Z\0"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(learner_client: Any, name: str, value: str) -> None:
    body = assert_as_promised(learner_client.get(f"{LIST}?{urlencode({name: value})}"), LIST)
    assert (body["status"], [error["field"] for error in body["errors"]]) == (400, [name])
    assert body["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lms_user_id", str(2**63 - 1)),
        ("username", "x" * 5000),
        ("username", "' OR 1=1 --"),
        ("username", "🦁"),
        ("template", "%_"),
        ("awarded_after", "9999-12-31T23:59:59Z"),
    ],
)
def test_a_strange_value_finds_nothing(staff_client: Callable[..., Any], name: str, value: str) -> None:
    UserCredentialFactory()
    client = staff_client("view_usercredential")
    body = assert_as_promised(client.get(f"{LIST}?{urlencode({name: value})}"), LIST)
    assert body["results"] == []


def test_bytes_that_are_no_text_find_nothing(staff_client: Callable[..., Any]) -> None:
    UserCredentialFactory()
    assert staff_client("view_usercredential").get(f"{LIST}?username=%ff%fe").json()["results"] == []


def test_a_misspelt_filter_is_refused_because_its_answer_would_be_everything(learner_client: Any) -> None:
    body = assert_as_promised(learner_client.get(f"{LIST}?usernam=houba"), LIST)
    assert body["errors"] == [{"field": "usernam", "detail": "There is no such parameter; write username."}]


def test_every_wrong_parameter_is_named_at_once(learner_client: Any) -> None:
    body = assert_as_promised(learner_client.get(f"{LIST}?status=lost&lms_user_id=houba"), LIST)
    assert {error["field"] for error in body["errors"]} == {"status", "lms_user_id"}


@pytest.mark.parametrize("name", ["x", "%00", "9" * 300, str(uuid.UUID(int=3)), "%ff", "{}"])
def test_no_such_credential_is_a_404(learner_client: Any, name: str) -> None:
    body = assert_as_promised(learner_client.get(f"{LIST}{name}/"), "/api/badges/v1/credentials/{id}/")
    assert (body["status"], body["title"]) == (404, "Not Found")


def test_who_is_not_signed_in_is_told_how(client: Any) -> None:
    answer = client.get(LIST)
    assert assert_as_promised(answer, LIST)["status"] == 401
    assert answer.headers["WWW-Authenticate"]


def test_an_account_that_was_switched_off_sees_nothing(learner: Any, learner_client: Any) -> None:
    learner.user.is_active = False
    learner.user.save()
    assert learner_client.get(LIST).status_code == 401


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options"])
def test_only_reading_and_awarding_are_answered(learner_client: Any, method: str) -> None:
    answer = getattr(learner_client, method)(LIST)
    assert (answer.status_code, answer.headers["Content-Type"]) == (405, "application/problem+json")
    assert answer.json()["title"] == "Method Not Allowed"
    assert "GET" in answer.headers["Allow"]


def test_a_format_that_we_do_not_speak_is_refused(learner_client: Any) -> None:
    answer = learner_client.get(LIST, headers={"Accept": "application/xml"})
    assert assert_as_promised(answer, LIST)["status"] == 406


def test_a_browser_gets_json(learner_client: Any) -> None:
    answer = learner_client.get(LIST, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["Content-Type"] == "application/json"


def test_who_asks_too_often_is_told_when_to_come_back(learner_client: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"rest_api": {"requests_per_minute": 2}}
    assert [learner_client.get(LIST).status_code for _ in range(2)] == [200, 200]
    answer = learner_client.get(LIST)
    assert assert_as_promised(answer, LIST)["status"] == 429
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_the_limit_can_be_switched_off(learner_client: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"rest_api": {"requests_per_minute": None}}
    assert {learner_client.get(LIST).status_code for _ in range(5)} == {200}


def test_settings_name_other_ways_to_authenticate(learner: Any, client: Any, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"rest_api": {"authentication": ["rest_framework.authentication.BasicAuthentication"]}}
    learner.user.set_password("marsupial")
    learner.user.save()
    word = base64.b64encode(f"{learner.user.username}:marsupial".encode()).decode()
    assert client.get(LIST, headers={"Authorization": f"Basic {word}"}).status_code == 200
    refused = client.get(LIST, headers={"Authorization": "Basic !"})
    assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="api"')


def test_of_very_many_unknown_fields_and_parameters_the_first_are_named(learner_client: Any) -> None:
    unknown = {f"key{number}": 1 for number in range(500)}
    address = "/api/v1/quiz/result"
    answer = learner_client.post(address, unknown, content_type="application/json")
    refused = assert_as_promised(answer, address, "post")
    assert [error["field"] for error in refused["errors"]] == [f"key{number}" for number in range(20)]
    refused = assert_as_promised(learner_client.get(LIST, unknown), LIST)
    assert len(refused["errors"]) == 20
