"""Templates, processes and checks for the tests about the event bus."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db import connection

from badges.testing.events import LearningEvent, passing_status
from tests.factories import credly_issuer, make_template, requirement
from tests.services import Service
from tests.services.processes import Process
from tests.support.event_bus import Bus

COURSES = ("course-v1:Demo+Algebra+2026", "course-v1:Demo+Geometry+2026", "course-v1:Demo+Topology+2026")


def template(slug: str = "mathematician", *, courses: int = 1) -> Any:
    """Save a template that demands ``courses`` passed courses and is issued at Credly."""
    requirements = [requirement(f"pass-{number}", course=COURSES[number]) for number in range(courses)]
    return make_template(slug=slug, requirements=requirements, issuers=[credly_issuer()])


def passes(learner: int, course: int = 0, **given: Any) -> LearningEvent:
    """Return the event that a learner passes a course."""
    return passing_status(lms_user_id=learner, username=f"houba{learner}", course_key=COURSES[course], **given)


def start_consumer(run_manage: Callable[..., Process], bus: Bus, *options: str, **config: Any) -> Process:
    """Start the consumer as a process; the keywords are its ``LMS_BADGES_CONFIG``."""
    env = {**bus.env, "LMS_BADGES_CONFIG": json.dumps(config), "LOG_LEVEL": "INFO"}
    return run_manage("consume_badge_events", "--bus", bus.name, "-t", bus.topic, "-g", bus.group, *options, env=env)


def take_down(server: Service) -> None:
    """Stop a database server; the test connects again afterwards."""
    server.stop()
    connection.close()


def query(sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    """Query the database directly, without the code under test."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return [tuple(row) for row in cursor.fetchall()]


def count(sql: str, *parameters: Any) -> int:
    return query(sql, *parameters)[0][0]


def holders() -> list[int]:
    """Return the LMS user id of the holder of each credential."""
    rows = query(
        "SELECT learner.lms_user_id FROM lms_badges_usercredential credential "
        "JOIN lms_badges_learner learner ON learner.id = credential.learner_id ORDER BY learner.lms_user_id"
    )
    return [row[0] for row in rows]


def assert_once_each(learners: int, *, events: int, courses: int = 1) -> None:
    """
    Check that ``learners`` learners hold one credential each, and that each is announced and issued once.

    Also check that ``events`` events were stored once each, and that each course counts once for each learner.
    """
    assert holders() == list(range(1, learners + 1))
    outbox = query(
        "SELECT aggregatetype, COUNT(*), COUNT(DISTINCT payload) FROM lms_badges_outboxmessage "
        "GROUP BY aggregatetype ORDER BY aggregatetype"
    )
    assert outbox == [("announce", learners, learners), ("credly", learners, learners)]
    inbox = query("SELECT state, COUNT(*), COUNT(DISTINCT event_id) FROM lms_badges_inboxmessage GROUP BY state")
    assert inbox == [("processed", events, events)]
    fulfilled = query("SELECT COUNT(*), COUNT(DISTINCT cause_event_id) FROM lms_badges_fulfillment")
    assert fulfilled == [(learners * courses, learners * courses)]


def dead_letters() -> list[tuple[str, str]]:
    """Return place and reason of each dead letter, in the order of their places."""
    rows = "SELECT received_from, reason FROM lms_badges_inboxmessage WHERE state = 'dead' ORDER BY received_from"
    return query(rows)  # type: ignore[return-value]
