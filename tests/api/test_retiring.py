"""What a person who leaves relies on: their data is removed even while their events are being decided."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from badges import api, pipeline
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, Learner
from badges.testing.events import passing_status
from tests.factories import ALGEBRA, GEOMETRY, make_template, requirement
from tests.services import Service

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

TIMEOUT_SECONDS = 60


def passes(course: str) -> Any:
    line = passing_status(lms_user_id=17, username="marsupilami", course_key=course).line
    return parse_event(line, received_from="test")


def in_a_thread(work: Callable[[], object], pause: Callable[..., Any], errors: list[Exception]) -> threading.Thread:
    """Start work in a thread whose statements all go through ``pause``."""

    def run() -> None:
        try:
            with connection.execute_wrapper(pause):
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_a_consumer_and_a_retirement_of_its_learner_recover_from_their_deadlock(database_server: Service) -> None:
    make_template(requirements=[requirement("a", course=ALGEBRA), requirement("b", course=GEOMETRY)])
    pipeline.handle([passes(ALGEBRA)])
    api.receive(passes(GEOMETRY))
    event_is_held, learner_is_held = threading.Event(), threading.Event()
    deadlocks: list[str] = []
    errors: list[Exception] = []

    def consume(execute: Any, sql: str, *rest: Any) -> Any:
        """After writing the event, lock the learner only when the other thread has locked it."""
        if "FOR UPDATE" in sql and "learner" in sql:
            event_is_held.set()
            learner_is_held.wait(TIMEOUT_SECONDS)
        return noting(execute, sql, *rest)

    def retire(execute: Any, sql: str, *rest: Any) -> Any:
        """Having locked the learner, want the event."""
        if sql.startswith("UPDATE") and "inboxmessage" in sql:
            learner_is_held.set()
        return noting(execute, sql, *rest)

    def noting(execute: Any, sql: str, *rest: Any) -> Any:
        try:
            return execute(sql, *rest)
        except Exception as error:
            deadlocks.append(str(error))
            raise

    consumer = in_a_thread(pipeline.process_pending, consume, errors)
    assert event_is_held.wait(TIMEOUT_SECONDS)
    retirer = in_a_thread(lambda: api.retire("17"), retire, errors)
    consumer.join(TIMEOUT_SECONDS)
    retirer.join(TIMEOUT_SECONDS)

    assert "deadlock" in deadlocks[0].lower()
    assert not errors
    assert Learner.objects.get().lms_user_id is None
    rows = InboxMessage.objects.values_list("payload", "lms_user_id")
    assert list(rows) == [(None, None), (None, None)]
    assert set(InboxMessage.objects.values_list("state", flat=True)) <= {"processed", "dead"}


def test_a_consumer_that_is_just_creating_the_learner_and_a_retirement_leave_nothing(database_server: Service) -> None:
    make_template(requirements=[requirement("a", course=ALGEBRA)])
    learner_is_inserted, hash_is_inserted = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def consume(execute: Any, sql: str, *rest: Any) -> Any:
        """After inserting the learner, go on only when the other thread has written the hash."""
        if "FOR UPDATE" in sql and "learner" in sql:
            learner_is_inserted.set()
            hash_is_inserted.wait(TIMEOUT_SECONDS)
        return execute(sql, *rest)

    def retire(execute: Any, sql: str, *rest: Any) -> Any:
        """Having written the hash, want to insert the learner, which waits for the other thread."""
        if sql.startswith("INSERT") and "_learner" in sql:
            hash_is_inserted.set()
        return execute(sql, *rest)

    consumer = in_a_thread(lambda: pipeline.handle([passes(ALGEBRA)]), consume, errors)
    assert learner_is_inserted.wait(TIMEOUT_SECONDS)
    retirer = in_a_thread(lambda: api.retire("17"), retire, errors)
    consumer.join(TIMEOUT_SECONDS)
    retirer.join(TIMEOUT_SECONDS)

    assert hash_is_inserted.is_set()
    assert not errors
    assert not Learner.objects.exclude(lms_user_id=None, user=None).exists()
    assert not InboxMessage.objects.exclude(payload=None, lms_user_id=None).exists()
