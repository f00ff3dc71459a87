"""What an operator relies on when the database lacks a character: one dead letter, and the other events are decided."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DataError, connection

from badges import pipeline
from badges.checks import check_character_set
from badges.intake.events import Event, Unreadable, parse_event
from badges.intake.models import InboxMessage, InboxState
from badges.testing.events import passing_status
from tests.acceptance.bus_helpers import holders
from tests.factories import make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

STAR = "\N{GLOWING STAR}"


@pytest.fixture(autouse=True)
def _without_stars() -> Iterator[None]:
    """Let the inbox have the character set of old MariaDB installations; elsewhere a wrapper acts as if it had."""
    if connection.vendor != "mysql":
        with connection.execute_wrapper(_refuse_stars):
            yield
        return
    _convert("utf8mb3")
    yield
    InboxMessage.objects.all().delete()
    _convert("utf8mb4")


def _convert(characters: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE lms_badges_inboxmessage MODIFY payload longtext CHARACTER SET {characters} NULL")


def _refuse_stars(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
    if many:
        params = list(params)
    if sql.startswith("INSERT INTO") and "inboxmessage" in sql and STAR in str(params):
        raise DataError("a character of this text does not exist here")
    return execute(sql, params, many, context)


def passes(learner: int, name: str) -> Event:
    line = passing_status(lms_user_id=learner, username=f"u{learner}", course_name=name).line
    return parse_event(line, received_from="kafka:learning/0@7")


def dead_letter() -> InboxMessage:
    return InboxMessage.objects.get(state=InboxState.DEAD)


def test_an_event_from_the_bus_becomes_a_dead_letter_without_its_text_and_counts_when_it_comes_again() -> None:
    make_template()
    event = passes(2, f"Astronomy {STAR}")

    result = pipeline.handle([passes(1, "Astronomy"), event, passes(3, "Astronomy")])

    assert (result.awarded, result.dead) == (2, 1)
    assert dead_letter().payload is None
    assert "manage.py check --database default" in dead_letter().reason
    with _repaired():
        assert pipeline.handle([event]).awarded == 1
    assert holders() == [1, 2, 3]


def test_an_event_from_the_stock_consumer_becomes_a_dead_letter_and_its_process_goes_on() -> None:
    make_template()
    event = passing_status(course_name=f"Astronomy {STAR}")

    event.signal.send_event_with_custom_metadata(event.metadata, **event.data)

    assert dead_letter().payload is None
    assert dead_letter().received_from == "bus"


@contextlib.contextmanager
def _repaired() -> Iterator[None]:
    wrappers, connection.execute_wrappers = connection.execute_wrappers, []
    if connection.vendor == "mysql":
        _convert("utf8mb4")
    yield
    connection.execute_wrappers = wrappers


def test_an_unreadable_event_is_stored_without_its_text_and_others_with_their_text() -> None:
    bodies = ["houba", f"houba {STAR}", "houba houba"]

    result = pipeline.handle(
        [Unreadable(f"line {number}", "not JSON", "file:a", body=body) for number, body in enumerate(bodies)]
    )

    assert result.dead == 3
    kept = InboxMessage.objects.order_by("event_id").values_list("payload", flat=True)
    assert list(kept) == ["houba", None, "houba houba"]


def test_the_check_names_the_remedy_and_passes_after_it() -> None:
    problems = check_character_set(databases=["default"])

    if connection.vendor != "mysql":
        assert problems == []
        return
    (problem,) = problems
    assert "lms_badges_inboxmessage.payload is in the character set utf8mb3" in problem.msg
    with connection.cursor() as cursor:
        cursor.execute(problem.hint)
    assert check_character_set(databases=["default"]) == []


def test_the_check_looks_at_new_tables_and_at_the_connection_too() -> None:
    if connection.vendor != "mysql":
        assert check_character_set(databases=["default"]) == []
        return
    with connection.cursor() as cursor:
        cursor.execute("SET SESSION character_set_client = utf8mb3, SESSION character_set_database = utf8mb3")
    try:
        places = [problem.msg.partition(" in the")[0] for problem in check_character_set(databases=["default"])]
    finally:
        connection.close()
    assert places == ["The connection talks", "New tables are made", "lms_badges_inboxmessage.payload is"]


def test_an_ordinary_check_asks_no_database(django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert check_character_set() == []
