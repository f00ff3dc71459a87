"""What a foreign host on SQLite relies on, where transactions begin without a lock: consumers wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import OperationalError, connection, connections

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.intake.models import InboxMessage

pytestmark = pytest.mark.django_db(transaction=True)

TIMEOUT_SECONDS = 60


@pytest.fixture(params=["DELETE", "WAL"])
def _foreign_sqlite(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let new connections begin deferred transactions, and wait only a short time for a lock."""
    options = connections.settings["default"]["OPTIONS"]
    before = dict(options)
    if connection.vendor == "sqlite":
        connection.close()
        options.clear()
        options.update({"timeout": 0.1, "init_command": f"PRAGMA journal_mode={request.param};"})
    yield
    connection.close()
    options.clear()
    options.update(before)


@pytest.mark.usefixtures("_foreign_sqlite")
def test_consumers_that_find_the_database_locked_wait_and_lose_nothing(template: Any, passing: Any) -> None:
    template("star", {"key": "pass"})
    pipeline.receive(passing(lms_user_id=1, username="u1"))
    first_writes, second_was_refused = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def linger(execute: Any, sql: str, *rest: Any) -> Any:
        """Stay in the middle of the transaction until the other one found the database locked."""
        if sql.startswith("INSERT INTO") and "usercredential" in sql:
            first_writes.set()
            second_was_refused.wait(TIMEOUT_SECONDS if connection.vendor == "sqlite" else 1)
        return execute(sql, *rest)

    def begin_too(execute: Any, sql: str, *rest: Any) -> Any:
        try:
            return execute(sql, *rest)
        except OperationalError:
            second_was_refused.set()
            raise

    def run(work: Callable[[], object], wrapper: Any) -> None:
        try:
            with connection.execute_wrapper(wrapper):
                work()
        except Exception as error:
            errors.append(error)
        finally:
            connections.close_all()

    event = passing(lms_user_id=2, username="u2")
    first = threading.Thread(target=run, args=(lambda: pipeline.handle([event]), linger))
    first.start()
    assert first_writes.wait(TIMEOUT_SECONDS)
    second = threading.Thread(target=run, args=(pipeline.process_pending, begin_too))
    second.start()
    first.join(TIMEOUT_SECONDS)
    second.join(TIMEOUT_SECONDS)

    assert not errors
    assert second_was_refused.is_set() == (connection.vendor == "sqlite")
    assert UserCredential.objects.count() == 2
    assert set(InboxMessage.objects.values_list("state", "attempts")) == {("processed", 0), ("processed", 1)}
