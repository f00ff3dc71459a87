"""
Fill a database for the benchmark of backfills: an event log, and a template that was saved after it.

A process of its own, for one database. Nine of ten learners complete the template: they passed both of its courses.
Half of the learners are known here, and the log alone knows the other half.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os

import django

COURSES = ("course-v1:Bench+Algebra+1", "course-v1:Bench+Botany+2", "course-v1:Bench+Cello+3")
BEGIN = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
CHUNK = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learners", type=int, required=True)
    parser.add_argument("--events", type=int, required=True, help="of each learner")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    from django.core.management import call_command  # noqa: PLC0415 -- Django is ready only now

    call_command("migrate", verbosity=0)
    log_events(options.learners, options.events)
    make_template()


def log_events(learners: int, events: int) -> None:
    """Log the events of learners: which course they passed or failed, in turn."""
    from badges.catalog import event_types  # noqa: PLC0415
    from badges.conf import PASSING_STATUS  # noqa: PLC0415
    from badges.history.event_log import row_of  # noqa: PLC0415
    from badges.inserts import insert  # noqa: PLC0415
    from badges.intake.events import parse_event  # noqa: PLC0415
    from badges.intake.models import Learner  # noqa: PLC0415
    from badges.testing.events import passing_status  # noqa: PLC0415

    Learner.objects.bulk_create(Learner(lms_user_id=person) for person in range(1, learners // 2 + 1))
    definition = event_types.get(PASSING_STATUS)
    data = {}
    for course in COURSES:
        for passes in (True, False):
            line = passing_status(course_key=course, is_passing=passes, lms_user_id=1).line
            data[course, passes] = parse_event(line, received_from="bench").data
    rows = []
    for person in range(1, learners + 1):
        for number in range(events):
            course = COURSES[number % (1 if person % 10 == 0 else 2)] if number < events - 3 else COURSES[2]
            rows.append(
                row_of(
                    definition,
                    person=person,
                    source="bench",
                    id=f"{person}-{number}",
                    time=BEGIN + dt.timedelta(minutes=number),
                    data=data[course, number >= 2],
                    now=BEGIN,
                )
            )
        if len(rows) >= CHUNK:
            insert(rows)
            rows.clear()
    insert(rows)


def make_template() -> None:
    """Save a template that demands two courses, with a penalty, issued at Credly."""
    from badges.catalog.api import save_template  # noqa: PLC0415
    from badges.conf import PASSING_STATUS  # noqa: PLC0415

    def rules(course: str, *, passes: bool) -> list[dict[str, object]]:
        return [
            {"path": "is_passing", "operator": "eq", "value": passes},
            {"path": "course.course_key", "operator": "eq", "value": course},
        ]

    document = {
        "slug": "backfilled",
        "name": "Backfilled",
        "is_active": True,
        "requirements": [
            {"key": f"part-{number}", "event_type": PASSING_STATUS, "rules": rules(course, passes=True)}
            for number, course in enumerate(COURSES[:2])
        ],
        "penalties": [
            {"event_type": PASSING_STATUS, "requirements": ["part-0"], "rules": rules(COURSES[0], passes=False)}
        ],
        "issuers": [
            {
                "provider": "credly",
                "organization": "0e0e0e0e-0000-4000-8000-00000000000a",
                "template": "7e7e7e7e-0000-4000-8000-00000000000b",
            }
        ],
    }
    save_template(document, author=None, now=BEGIN)


if __name__ == "__main__":
    main()
