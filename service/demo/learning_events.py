"""The learning events of the demo: the courses and learners of a small university."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from badges.testing.events import LearningEvent, enrollment, passing_status

PACK = Path(__file__).parent / "pack.json"
REFUSED_CRITERIA = Path(__file__).parent / "refused_criteria.json"
ORGANIZATION = "c0ffee00-0000-4000-8000-00000000c4ed"
COURSES = ("Algebra", "Geometry", "Logic", "Ethics", "Astronomy", "Music", "Calligraphy")
LEARNERS = 400
CURIOUS_LEARNERS = 40
NAMES = (
    *("Ada Lovelace", "أحمد بن علي", "王小明", "Zoë D'Arc", "Þóra Jónsdóttir", "Иван Петров", "Σοφία Παπαδάκη"),
    *("Fatoumata", "Nguyễn Thị Mai", "María José Núñez", "שרה לוי", "अनिता शर्मा", "さくら 田中"),
)
NOT_SO_CURIOUS = 5004  # leaves out a day
TERM_BEGINS = dt.datetime(2026, 9, 1, 8, 0, tzinfo=dt.UTC)
_IDS = uuid.UUID("de300000-0000-4000-8000-000000000000")


def events(learners: int = LEARNERS) -> Iterator[LearningEvent]:
    """
    Yield the events of a term, some thousand lines: enrollments, which no badge asks for, and passed or failed courses.

    ``learners`` is how many people take the courses. The events are the same at every call, ids included. So a second
    run of the demo recognises that everything is done.
    """
    yield from _curious_events()
    chance = random.Random(2026)  # noqa: S311 -- demo data, not a secret
    moment = TERM_BEGINS
    for course in COURSES:
        key = f"course-v1:Demo+{course}+2026"
        for number in range(1, learners + 1):
            if chance.random() < 0.35:
                continue
            moment += dt.timedelta(seconds=90)
            person: dict[str, Any] = {"lms_user_id": 5000 + number, "username": f"learner{number}"}
            person["name"] = _name(number)
            subject: dict[str, Any] = {"course_key": key, "course_name": course}
            yield enrollment(time=moment, event_id=_id("enrolled", key, number), **subject, **person)
            passed = chance.random() < 0.7
            yield passing_status(
                time=moment + dt.timedelta(days=60),
                event_id=_id("graded", key, number),
                is_passing=passed,
                **subject,
                **person,
            )


def _curious_events() -> Iterator[LearningEvent]:
    """Yield the taster courses of learners who pass one on each day of a week. Some of them leave out a day."""
    for number in range(1, CURIOUS_LEARNERS + 1):
        for day, course in enumerate(COURSES):
            if number % 4 == 0 and day == 3:
                continue
            key = f"course-v1:Taster+{course}+2026"
            yield passing_status(
                time=TERM_BEGINS - dt.timedelta(days=10 - day, minutes=number),
                event_id=_id("graded", key, number),
                is_passing=True,
                course_key=key,
                course_name=f"{course}, a taster",
                lms_user_id=5000 + number,
                username=f"learner{number}",
                name=_name(number),
            )


def write_events(path: Path, learners: int = LEARNERS) -> int:
    """Write the events to a file, one for each line, and return how many they are."""
    lines = [event.line for event in events(learners)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)


def _name(number: int) -> str:
    return NAMES[number % len(NAMES)]


def _id(what: str, course: str, number: int) -> uuid.UUID:
    return uuid.uuid5(_IDS, f"{what} {course} {number}")
