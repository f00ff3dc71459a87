"""Fill the double with a school, ask it everything, and print the answers as JSON."""

import datetime as dt
import json
import os
from dataclasses import asdict
from types import SimpleNamespace

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()

from common.djangoapps.student.models import CourseEnrollment, UserProfile  # noqa: E402
from completion_aggregator.models import Aggregator  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from learning_paths.models import LearningPath, LearningPathEnrollment, LearningPathKey  # noqa: E402
from lms.djangoapps.grades import api as grades  # noqa: E402
from opaque_keys.edx.keys import CourseKey, UsageKey  # noqa: E402
from openedx.core.djangoapps.content.course_overviews import api as overviews  # noqa: E402
from openedx.core.djangoapps.user_api.models import UserPreference  # noqa: E402
from xmodule.modulestore import django as store  # noqa: E402

from badges.exceptions import Permanent  # noqa: E402
from credentials_config import lms as client  # noqa: E402
from credentials_config.contracts import Person  # noqa: E402
from credentials_config.lms.platform import PlatformLms  # noqa: E402

ALGEBRA = "course-v1:Demo+Algebra+2026"
GEOMETRY = "course-v1:Demo+Geometry+2026"
PATHWAY = "path-v1:Demo+Maths+2026+A"
SHEET = "block-v1:Demo+Algebra+2026+type@sequential+block@sheet_1"
WEEK = "block-v1:Demo+Algebra+2026+type@chapter+block@week_1"
WHOLE = "block-v1:Demo+Algebra+2026+type@course+block@course"


def fill() -> None:
    """Ada and Bob take Algebra and the path; Eve left both; Kim takes Geometry only; the robot has no profile."""
    call_command("migrate", run_syncdb=True, verbosity=0)
    algebra, geometry = CourseKey.from_string(ALGEBRA), CourseKey.from_string(GEOMETRY)
    overviews.COURSES[algebra] = overviews.CourseOverview("Algebra", _day(2026, 2, 1), _day(2026, 6, 30))
    overviews.COURSES[geometry] = overviews.CourseOverview("Geometry", _day(2026, 1, 10), None)
    store.POLICIES[algebra] = [
        {"type": "Homework", "min_count": 3, "drop_count": 1, "weight": 0.25, "short_label": "HW"}
    ]
    store.BLOCKS[UsageKey.from_string(SHEET)] = SimpleNamespace(display_name="Sheet 1", children=[])
    store.BLOCKS[UsageKey.from_string(WEEK)] = SimpleNamespace(
        display_name="Week 1",
        children=[UsageKey.from_string(SHEET), UsageKey.from_string(SHEET.replace("sequential", "html"))],
    )
    path = LearningPath.objects.create(key=LearningPathKey("Demo", "Maths", "2026", "A"), display_name="Maths")
    path.steps.create(course_key=geometry, order=2)
    path.steps.create(course_key=algebra, order=1)
    for number, name in enumerate(["ada", "bob", "eve", "kim", "robot"], start=1):
        user = User.objects.create(id=number, username=name, email=f"{name}@example.com")
        if name != "robot":
            UserProfile.objects.create(user=user, name=f" {name.title()} ")
        course = geometry if name == "kim" else algebra
        CourseEnrollment.objects.create(user=user, course_id=course, is_active=name != "eve")
        if name in ("ada", "bob", "eve"):
            LearningPathEnrollment.objects.create(user=user, learning_path=path, is_active=name != "eve")
    UserPreference.objects.create(user_id=1, key="pref-lang", value="ar")
    UserPreference.objects.create(user_id=2, key="time_zone", value="Asia/Tokyo")
    for user_id, name, key, percent, possible in [
        (1, "course", WHOLE, 0.75, 4.0),
        (1, "sequential", SHEET, 1.0, 3.0),
        (2, "sequential", SHEET, 1.0, 0.0),
        (3, "course", WHOLE, 1.0, 4.0),
    ]:
        Aggregator.objects.create(
            user_id=user_id,
            course_key=algebra,
            aggregation_name=name,
            block_key=UsageKey.from_string(key),
            earned=percent * possible,
            possible=possible,
            percent=percent,
        )
    other = SHEET.replace("sheet_1", "sheet_2")
    grades.GRADES.update(
        ada=(0.8, [(SHEET, "Homework", 0.9, True, None), (other, "Homework", 0.4, False, "by hand")]),
        bob=ValueError("a broken block"),
        robot=(0.0, [(SHEET, "Homework", 0.0, False, None)]),
    )


def ask() -> dict:
    """Ask everything there is to ask."""
    lms = client.client()
    assert isinstance(lms, PlatformLms)
    everyone = [Person(number, "") for number in (1, 2, 3, 4, 5, 99)]
    return {
        "contexts": [_context(lms.context(key)) for key in (ALGEBRA, SHEET, PATHWAY)],
        "people": [asdict(person) for person in lms.people(ALGEBRA)],
        "people of the lesson": [person.username for person in lms.people(SHEET)],
        "people of the path": [person.username for person in lms.people(PATHWAY)],
        "found": [person.username for person in lms.find(["bob", "nobody"], [4, 98])],
        "languages": lms.languages(everyone),
        "enrolled": [sorted(lms.enrolled(key, everyone)) for key in (ALGEBRA, SHEET, PATHWAY)],
        "steps": lms.steps(PATHWAY),
        "completions": lms.completions(ALGEBRA, everyone),
        "completions of the lesson": lms.completions(SHEET, everyone),
        "grades": {key: asdict(value) for key, value in lms.grades(ALGEBRA, everyone).items()},
        "prefetched": grades.PREFETCHED,
        "policy": [asdict(entry) for entry in lms.policy(ALGEBRA)],
        "subsections": [sorted(lms.subsections(key)) for key in (WEEK, SHEET)],
        "unknown": [_refusal(lms.context, key) for key in (ALGEBRA + "7", SHEET + "7", PATHWAY + "7")]
        + [_refusal(lambda key: list(lms.people(key)), ALGEBRA + "7"), _refusal(lms.policy, ALGEBRA + "7")],
    }


def _refusal(question, key) -> str:
    try:
        return f"answered: {question(key)}"
    except Permanent as refusal:
        return str(refusal)


def _context(context) -> list:
    return [context.name, *(time.isoformat() if time else None for time in (context.start, context.end))]


def _day(*date: int) -> dt.datetime:
    return dt.datetime(*date, tzinfo=dt.UTC)


if __name__ == "__main__":
    fill()
    print(json.dumps(ask()))
