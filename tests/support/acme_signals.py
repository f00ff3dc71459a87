"""Public signals of another package."""

from __future__ import annotations

import datetime as dt
from typing import Any, Optional

import attrs
from openedx_events.learning.data import UserData
from openedx_events.tooling import OpenEdxPublicSignal


@attrs.frozen
class DuelData:
    """Data with two users, either of whom may be the learner."""

    winner: UserData
    loser: UserData
    points: int
    ratio: float
    fought_at: dt.datetime
    place: str | None
    referee: Optional[str]  # noqa: UP045 -- as older packages write it
    tags: list[str]
    scores: dict[str, int]
    notes: Any = None


@attrs.frozen
class LessonData:
    """A finished lesson, which may be a part of another one."""

    learner: UserData
    title: str
    part_of: LessonData | None = None


@attrs.frozen
class QuizData:
    """Data that names its learner by an LMS user id, or by text."""

    player: int
    student: str
    points: int


@attrs.frozen
class Weather:
    """Data without a user."""

    sunny: bool


LESSON_FINISHED = OpenEdxPublicSignal("com.acme.lesson.finished.v1", {"lesson": LessonData})
DUEL_FOUGHT = OpenEdxPublicSignal("com.acme.duel.fought.v1", {"duel": DuelData})
QUIZ_SOLVED = OpenEdxPublicSignal("com.acme.quiz.solved.v1", {"quiz": QuizData})
MENTION_MADE = OpenEdxPublicSignal("com.acme.mention.made.v1", {"user": UserData, "weather": Weather})
WEATHER_CHANGED = OpenEdxPublicSignal("com.acme.weather.changed.v1", {"weather": Weather})
