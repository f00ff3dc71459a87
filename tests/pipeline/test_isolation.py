"""What a host relies on at any isolation level: after waiting for a lock, a consumer sees what the other one wrote."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection, connections

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.progress.models import Fulfillment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY, CHESS = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2", "course-v1:Uni+Chess+3"
TIMEOUT_SECONDS = 60


@pytest.fixture
def repeatable_reads() -> Iterator[None]:
    """Let connections that are opened from now on keep one view of the tables for a whole transaction."""
    options = connections.settings["default"]["OPTIONS"]
    before = dict(options)
    if connection.vendor == "mysql":
        options["isolation_level"] = "repeatable read"
    elif connection.vendor == "postgresql":
        from psycopg import IsolationLevel  # noqa: PLC0415 -- only where that database is used

        options["isolation_level"] = IsolationLevel.REPEATABLE_READ
    yield
    options.clear()
    options.update(before)


def test_a_consumer_that_waited_for_a_learner_sees_what_the_other_one_wrote(template, passing, repeatable_reads):
    template("three", {"key": "a", "course": ALGEBRA}, {"key": "b", "course": BOTANY}, {"key": "c", "course": CHESS})
    pipeline.handle([passing(course_key=CHESS, lms_user_id=3, username="spip")])
    first_holds_the_learner, second_has_looked = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def linger(execute, sql, params, many, context):
        """The first consumer writes its fulfilment once the second one has begun its transaction."""
        if sql.startswith("INSERT INTO") and "fulfillment" in sql:
            first_holds_the_learner.set()
            second_has_looked.wait(1 if connection.vendor == "sqlite" else TIMEOUT_SECONDS)
        return execute(sql, params, many, context)

    def look(execute, sql, params, many, context):
        if "FOR UPDATE" in sql:
            second_has_looked.set()
        return execute(sql, params, many, context)

    def consume(event, wrapper, gate) -> None:
        try:
            gate.wait(TIMEOUT_SECONDS)
            with connection.execute_wrapper(wrapper):
                pipeline.handle([event])
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    open_gate = threading.Event()
    open_gate.set()
    algebra, botany = (passing(course_key=course, lms_user_id=3, username="spip") for course in (ALGEBRA, BOTANY))
    works = [(algebra, linger, open_gate), (botany, look, first_holds_the_learner)]
    threads = [threading.Thread(target=consume, args=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert not errors
    assert Fulfillment.objects.count() == 3
    assert UserCredential.objects.count() == 1
