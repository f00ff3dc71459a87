"""Activities by REST: each counts once, and the answer names the badges that it has earned."""

from __future__ import annotations

import datetime as dt
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from badges import api
from badges.awarding.models import UserCredential
from badges.catalog.causes import CauseKind
from badges.engagement.models import Activity
from badges.intake.models import InboxMessage, Learner
from badges.outbox.models import OutboxMessage
from badges.rules import EngagementStats, badge_condition, badge_conditions
from tests.factories import UserFactory, make_template
from tests.rest_api.schema import assert_as_promised
from tests.support.learner_factories import signed_in, somebody
from tests.support.threads import outcomes_at_once

QUIZ, FLASHCARDS = "/api/v1/quiz/result", "/api/v1/flashcards/session-complete"
DAY = dt.timedelta(days=1)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user(db: None) -> Any:
    return UserFactory(username="fantasio")


@pytest.fixture
def send(user: Any) -> Callable[..., Any]:
    client = signed_in(user)

    def post(url: str, body: Any = None, *, headers: dict[str, str] | None = None, **fields: Any) -> Any:
        text = body if isinstance(body, (str, bytes)) else json.dumps(fields if body is None else body)
        return client.post(url, text, content_type="application/json", headers=headers)

    return post


@pytest.fixture
def pack(db: None) -> None:
    call_command("badges_pack", "apply", "engagement", verbosity=0)


def answer(response: Any, url: str = QUIZ) -> Any:
    assert response.status_code == 200, response.content
    return assert_as_promised(response, url, "post")


def errors(response: Any, url: str = QUIZ) -> dict[str, str]:
    assert response.status_code == 400, response.content
    assert_as_promised(response, url, "post")
    return {error["field"]: error["detail"] for error in response.json()["errors"]}


def test_a_good_quiz_earns_three_badges_its_replay_none_and_flashcards_none(pack, send):
    first = {"xp_gained": 80, "total_xp": 80, "current_streak": 1, "longest_streak": 1}
    found = answer(send(QUIZ, event_id="q-1", score=80))
    assert found == {**first, "new_badges": ["50_xp", "first_xp", "getting_started"]}

    assert answer(send(QUIZ, event_id="q-1", score=80)) == {**first, "new_badges": []}
    assert answer(send(FLASHCARDS, event_id="f-1", cards=12), FLASHCARDS) == {
        **first,
        "xp_gained": 12,
        "total_xp": 92,
        "new_badges": [],
    }
    assert UserCredential.objects.count() == 3


def test_a_quiz_without_points_earns_getting_started_only(pack, send):
    assert answer(send(QUIZ, event_id="q-1", score=0))["new_badges"] == ["getting_started"]
    assert answer(send(QUIZ, event_id="q-2", score=1.5))["new_badges"] == ["first_xp"]


def test_the_first_activity_of_an_id_counts_and_the_same_id_of_another_kind_is_another_activity(send):
    send(QUIZ, event_id="same", score=10)
    found = answer(send(QUIZ, event_id="same", score=90))
    assert (found["xp_gained"], found["total_xp"]) == (10, 10)
    assert answer(send(FLASHCARDS, event_id="same", cards=3), FLASHCARDS)["total_xp"] == 13


def test_an_activity_is_not_taken_for_an_event_of_an_account_with_the_name_of_its_kind(pack):
    send_events = signed_in(somebody("send_eventtype", username="quiz"))
    signed_in(UserFactory()).post(QUIZ, {"event_id": "same", "score": 10}, content_type="application/json")
    event = {"id": "same", "type": "users.userRegistered.v1", "data": {"accountId": "nobody"}}
    assert send_events.post("/api/badges/v1/events/", event, content_type="application/json").status_code == 202
    assert not Activity.objects.filter(source=InboxMessage.objects.get().source).exists()


def test_the_header_is_the_id_when_the_body_has_none(send):
    for _ in range(2):
        assert answer(send(QUIZ, score=30, headers={"Idempotency-Key": "k-1"}))["total_xp"] == 30
    assert Activity.objects.get().event_id == "k-1"
    assert list(errors(send(QUIZ, score=30))) == ["event_id"]
    assert list(errors(send(QUIZ, score=30, headers={"Idempotency-Key": "x" * 256}))) == ["event_id"]


def test_two_learners_may_use_the_same_id(pack, send):
    send(QUIZ, event_id="q-1", score=80)
    other = signed_in(UserFactory())
    body = json.dumps({"event_id": "q-1", "score": 60})
    found = answer(other.post(QUIZ, body, content_type="application/json"))
    assert (found["total_xp"], len(found["new_badges"])) == (60, 3)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"event_id": "a"}, "score"),
        ({"event_id": "a", "score": None}, "score"),
        ({"event_id": "a", "score": -1}, "score"),
        ({"event_id": "a", "score": 1_000_001}, "score"),
        ({"event_id": "a", "score": 10**400}, "score"),
        ({"event_id": "a", "score": "80"}, "score"),
        ({"event_id": "a", "score": True}, "score"),
        ({"event_id": "a", "score": [80]}, "score"),
        ({"event_id": "", "score": 8}, "event_id"),
        ({"event_id": 7, "score": 8}, "event_id"),
        ({"event_id": "x" * 256, "score": 8}, "event_id"),
        ({"event_id": "a\u0000", "score": 8}, "event_id"),
        ({"event_id": "a\nb", "score": 8}, "event_id"),
        ({"event_id": "\ud800", "score": 8}, "event_id"),
        ({"event_id": "a", "score": 8, "points": 3}, "points"),
        ({"event_id": "a", "score": 8, "cards": 3}, "cards"),
        ({"event_id": "a", "score": 8, "time": "yesterday"}, "time"),
        ({"event_id": "a", "score": 8, "time": "2026-03-14T12:00:00"}, "time"),
        ({"event_id": "a", "score": 8, "time": 17}, "time"),
        ({"event_id": "a", "score": 8, "time": "2999-01-01T00:00:00Z"}, "time"),
        ({"event_id": "a", "score": 8, "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"event_id": "a", "score": 8, "time_zone": "../etc/passwd"}, "time_zone"),
        ({"event_id": "a", "score": 8, "time_zone": "x" * 65}, "time_zone"),
        ([], ""),
        ("text", ""),
    ],
)
def test_a_wrong_body_is_refused_with_the_name_of_the_field(send, body, field):
    assert field in errors(send(QUIZ, json.dumps(body)))
    assert not Activity.objects.exists()
    assert not Learner.objects.exists()


@pytest.mark.parametrize("cards", [-1, 1.5, "3", None, 1_000_001])
def test_cards_are_a_whole_number(send, cards):
    assert list(errors(send(FLASHCARDS, event_id="a", cards=cards), FLASHCARDS)) == ["cards"]


@pytest.mark.parametrize("text", ["", "{", '{"event_id": "a", "score": NaN}', '{"event_id": "a", "score": 1e400}'])
def test_a_body_that_is_not_json_is_refused(send, text):
    assert send(QUIZ, text).status_code == 400


def test_a_body_of_ten_megabytes_is_refused(send):
    assert send(QUIZ, b'{"event_id": "' + b"x" * 10_000_000 + b'"}').status_code == 413


def test_nobody_else_can_send_activities(user):
    body = json.dumps({"event_id": "a", "score": 8})
    assert Client().post(QUIZ, body, content_type="application/json").status_code == 401
    forged = signed_in(user, enforce_csrf_checks=True).post(QUIZ, body, content_type="application/json")
    assert forged.status_code == 403
    assert signed_in(user).get(QUIZ).status_code == 405


def test_a_time_may_be_a_little_ahead_and_as_late_as_it_is(send):
    soon, long_ago = timezone.now() + dt.timedelta(minutes=4), timezone.now() - 400 * DAY
    assert answer(send(QUIZ, event_id="soon", score=1, time=soon.isoformat()))["total_xp"] == 1
    assert answer(send(QUIZ, event_id="late", score=1, time=long_ago.isoformat()))["total_xp"] == 2


def test_late_activities_complete_a_week(pack, send):
    noon = timezone.now().replace(hour=12) - DAY
    for day in (6, 4, 2, 0, 1, 5):
        found = answer(send(QUIZ, event_id=f"day-{day}", score=1, time=(noon - day * DAY).isoformat()))
        assert "week_streak" not in found["new_badges"]
    found = answer(send(QUIZ, event_id="day-3", score=1, time=(noon - 3 * DAY).isoformat()))
    assert found["new_badges"] == ["week_streak"]
    assert (found["current_streak"], found["longest_streak"]) == (7, 7)


def test_a_badge_that_a_person_revoked_does_not_come_back(pack, send, user):
    send(QUIZ, event_id="q-1", score=80)
    staff = somebody()
    api.revoke(user, "50_xp", by=staff)
    assert answer(send(QUIZ, event_id="q-2", score=80))["new_badges"] == []
    assert api.credentials_of(user, template="50_xp").get().status == "revoked"

    assert api.lift_block(user, "50_xp", by=staff) is not None
    assert api.credentials_of(user, template="50_xp").count() == 2


def test_the_credential_names_the_activity_and_it_is_announced_like_every_other(pack, send, caplog):
    with caplog.at_level(logging.INFO):
        send(QUIZ, event_id="fantasio@example.org", score=80)
    credential = UserCredential.objects.get(template__slug="50_xp")
    assert credential.cause_kind == CauseKind.CONDITION
    assert (credential.cause_event_type, credential.cause_event_id) == ("quiz", "fantasio@example.org")
    assert OutboxMessage.objects.filter(type="badge.awarded").count() == 3
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("badges")]
    assert f"Awarded 50_xp to learner {credential.learner_id} by condition" in logged
    assert "fantasio" not in "".join(logged)


def test_requests_at_the_same_time_award_each_badge_once(pack, user):
    def works() -> list[Callable[[], Any]]:
        bodies = [json.dumps({"event_id": f"q-{number % 4}", "score": 80}) for number in range(8)]
        clients = [signed_in(user) for _ in bodies]
        return [
            lambda client=client, body=body: client.post(QUIZ, body, content_type="application/json")
            for client, body in zip(clients, bodies, strict=True)
        ]

    responses = outcomes_at_once(works())
    assert [response.status_code for response in responses] == [200] * 8
    new = [slug for response in responses for slug in response.json()["new_badges"]]
    assert sorted(new) == ["50_xp", "first_xp", "getting_started"]
    assert Learner.objects.count() == 1
    assert api.engagement_of(user).total_xp == 4 * 80
    assert UserCredential.objects.count() == 3


def test_a_retired_person_is_refused(send, user):
    send(QUIZ, event_id="q-1", score=80)
    api.retire(user)
    assert not Activity.objects.exists()
    response = send(QUIZ, event_id="q-2", score=80)
    assert response.status_code == 409
    assert response.json()["code"] == "unknown_person"


@pytest.fixture
def conditions() -> Any:
    yield badge_condition
    for slug in ("three-quizzes", "broken"):
        badge_conditions.functions.unregister(slug)


def test_a_new_badge_is_a_template_and_a_condition(send, conditions, caplog):
    @conditions("three-quizzes")
    def three_quizzes(stats: EngagementStats) -> bool:
        return stats.activities.get("quiz", 0) >= 3

    @conditions("broken")
    def broken(stats: EngagementStats) -> bool:
        raise ValueError("secret")

    for slug in ("three-quizzes", "broken"):
        make_template(slug=slug, requirements=[])
    found = [answer(send(QUIZ, event_id=f"q-{number}", score=1))["new_badges"] for number in range(4)]
    assert found == [[], [], ["three-quizzes"], []]
    assert "The badge condition broken failed: ValueError" in caplog.text
    assert "secret" not in caplog.text


def test_the_slug_of_a_shipped_condition_is_taken():
    with pytest.raises(ValueError, match="ships with this plugin"):
        badge_condition("50_xp")


def test_the_addresses_are_answered_with_a_slash_too(send):
    for address, figures in ((QUIZ, {"score": 7}), (FLASHCARDS, {"cards": 3})):
        first, second = (send(url, event_id="e-1", **figures) for url in (address, f"{address}/"))
        assert (first.status_code, second.status_code) == (200, 200)
        assert first.json()["total_xp"] == second.json()["total_xp"]
