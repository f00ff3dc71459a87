"""What another package brings: public signals of its own, written in the manners of today."""

from __future__ import annotations

import datetime as dt
from typing import Any, Optional

import attrs
from openedx_events.learning.data import UserData
from openedx_events.tooling import OpenEdxPublicSignal


@attrs.frozen
class DuelData:
    """Two people against each other; which one is the learner, nobody can tell."""

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
    """A lesson somebody finished; it may be part of another one."""

    learner: UserData
    title: str
    part_of: LessonData | None = None


@attrs.frozen
class Weather:
    """Nobody's."""

    sunny: bool


LESSON_FINISHED = OpenEdxPublicSignal("com.acme.lesson.finished.v1", {"lesson": LessonData})
DUEL_FOUGHT = OpenEdxPublicSignal("com.acme.duel.fought.v1", {"duel": DuelData})
MENTION_MADE = OpenEdxPublicSignal("com.acme.mention.made.v1", {"user": UserData, "weather": Weather})
WEATHER_CHANGED = OpenEdxPublicSignal("com.acme.weather.changed.v1", {"weather": Weather})
