"""What a learner relies on: activities give XP, streaks and badges, once, whenever and however often they arrive."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any
from unittest import mock

import pytest
from django.core.management import call_command

from tests.factories import UserFactory
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

QUIZ, FLASHCARDS = "/api/v1/quiz/result", "/api/v1/flashcards/session-complete"


@pytest.fixture
def send(db: None) -> Callable[..., dict[str, Any]]:
    """Send an activity of one learner, at a moment of the clock here."""
    call_command("badges_pack", "apply", "engagement", verbosity=0)
    client = signed_in(UserFactory())

    def post(url: str, *, at: str = "2026-03-31T12:00:00Z", **body: Any) -> dict[str, Any]:
        with mock.patch("django.utils.timezone.now", return_value=dt.datetime.fromisoformat(at)):
            response = client.post(url, json.dumps(body), content_type="application/json")
        assert response.status_code == 200, response.content
        found: dict[str, Any] = response.json()
        return found

    return post


def streaks(answer: dict[str, Any]) -> tuple[int, int]:
    return answer["current_streak"], answer["longest_streak"]


def test_a_quiz_earns_three_badges_its_replay_none_and_flashcards_none(send):
    quiz = send(QUIZ, event_id="quiz-1", score=90)
    assert quiz == {
        "xp_gained": 90,
        "total_xp": 90,
        "current_streak": 1,
        "longest_streak": 1,
        "new_badges": ["50_xp", "first_xp", "getting_started"],
    }
    assert send(QUIZ, event_id="quiz-1", score=90) == {**quiz, "new_badges": []}
    assert send(FLASHCARDS, event_id="cards-1", cards=20) == {
        **quiz,
        "xp_gained": 20,
        "total_xp": 110,
        "new_badges": [],
    }


def test_a_week_counts_over_a_change_of_the_clock(send):
    """Each evening at 23:30 in Brussels, where the clock goes forward in the night to the 29th of March."""
    evenings = ["26T22:30", "27T22:30", "28T22:30", "29T21:30", "30T21:30", "31T21:30"]
    for number, evening in enumerate(evenings, start=1):
        at = f"2026-03-{evening}:00Z"
        found = send(QUIZ, at=at, event_id=evening, score=1, time_zone="Europe/Brussels")
        assert (streaks(found), "week_streak" in found["new_badges"]) == ((number, number), False)

    # Half an hour later it is the next day there.
    assert send(QUIZ, at="2026-03-31T22:00:00Z", event_id="after midnight", score=1)["new_badges"] == ["week_streak"]


def test_a_learner_who_moves_has_the_days_of_the_new_place(send):
    for day in (1, 2, 3):
        send(QUIZ, at=f"2026-03-0{day}T20:00:00Z", event_id=str(day), score=1, time_zone="Europe/Brussels")
    send(QUIZ, at="2026-03-05T03:00:00Z", event_id="late", score=1)
    assert streaks(send(QUIZ, at="2026-03-05T03:00:00Z", event_id="late", score=1)) == (1, 3)

    # In New York the activity at 03:00 UTC was on the day before.
    moved = send(QUIZ, at="2026-03-05T04:00:00Z", event_id="moved", score=1, time_zone="America/New_York")
    assert streaks(moved) == (4, 4)


def test_late_and_repeated_activities_give_what_they_had_given_in_time(send):
    days = [f"2026-03-{day:02}T12:00:00Z" for day in (4, 2, 7, 1, 6, 5, 2, 7)]
    for day in days:
        found = send(QUIZ, at="2026-03-08T09:00:00Z", event_id=day, score=2, time=day)
        assert "week_streak" not in found["new_badges"]
    assert streaks(found) == (4, 4)

    late = send(QUIZ, at="2026-03-08T09:00:00Z", event_id="3rd", score=2, time="2026-03-03T12:00:00Z")
    assert (streaks(late), late["total_xp"], late["new_badges"]) == ((7, 7), 14, ["week_streak"])

    gap = send(QUIZ, at="2026-03-09T09:00:00Z", event_id="after a gap", score=2)
    assert streaks(gap) == (1, 7)
