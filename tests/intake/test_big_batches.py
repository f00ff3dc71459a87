"""What an operator relies on when a server accepts only short statements: a long one is not tried again for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.database import statement_bytes
from badges.intake.events import Event, Unreadable, parse_event
from badges.intake.models import InboxMessage, InboxState
from badges.testing.events import passing_status
from tests.factories import make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

PACKET = 2 * 1024 * 1024


@pytest.fixture(autouse=True)
def _small_packets(settings: Any) -> Iterator[None]:
    """Let the server, where it has such a limit, take statements of no more than two megabytes."""
    settings.LMS_BADGES_CONFIG = {"intake": {"give_up_seconds": 0}}  # taking it for a transient error fails at once
    if connection.vendor != "mysql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        (before,) = cursor.fetchone()
    _allow(PACKET)
    yield
    _allow(before)


def _allow(packet: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET GLOBAL max_allowed_packet = %s", [packet])
    connection.close()  # the limit is that of the moment in which a connection was opened
    statement_bytes.cache_clear()


def big(learner: int, characters: int) -> Event:
    """An event full of what is escaped in JSON, and once more in SQL."""
    line = passing_status(lms_user_id=learner, username=f"u{learner}", course_name='"' * characters).line
    return parse_event(line, received_from="kafka:learning/0@7")


def test_a_batch_of_big_events_is_written_in_statements_that_the_server_accepts() -> None:
    make_template()
    # Together more than MariaDB accepts. The others have no such limit, and psycopg escapes slowly.
    learners = 40 if connection.vendor == "mysql" else 6

    result = pipeline.handle([big(learner, 100_000) for learner in range(1, learners + 1)])

    assert (result.awarded, result.dead, result.rescheduled) == (learners, 0, 0)
    assert UserCredential.objects.count() == learners
    assert {len(payload) > 200_000 for payload in InboxMessage.objects.values_list("payload", flat=True)} == {True}


def test_an_event_that_no_statement_can_hold_is_a_dead_letter_and_the_others_count() -> None:
    make_template()

    result = pipeline.handle([big(1, 10), big(2, 600_000), big(3, 10)])

    if connection.vendor != "mysql":
        assert result.awarded == 3
        return
    assert (result.awarded, result.dead) == (2, 1)
    dead = InboxMessage.objects.get(state=InboxState.DEAD)
    assert (dead.lms_user_id, dead.payload) == (2, None)
    assert "max_allowed_packet" in dead.reason


def test_an_unreadable_event_that_is_too_long_is_stored_without_its_text() -> None:
    result = pipeline.handle([Unreadable("here", "not JSON", received_from="file:a:1", body="'" * 1_200_000)])

    assert result.dead == 1
    assert (InboxMessage.objects.get().payload is None) == (connection.vendor == "mysql")
