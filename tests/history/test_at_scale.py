"""What an operator of a big site relies on: a long history needs no more memory than a short one and slows no batch."""

from __future__ import annotations

import datetime as dt
import tracemalloc
from collections.abc import Callable

import pytest

from badges import pipeline
from badges.catalog import event_types
from badges.conf import PASSING_STATUS
from badges.history import event_log
from badges.history.models import LoggedEvent
from tests.factories import make_passing as passing
from tests.factories import make_template as template
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"
LONG_AGO = dt.datetime(2020, 2, 29, 12, tzinfo=dt.UTC)
NOW = dt.datetime(2026, 3, 14, 12, tzinfo=dt.UTC)

SHORT, LONG = 200, 4_000
# A row in memory takes some thousand bytes, and its id alone some hundred.
MUCH = 100_000


def remember(events: int, *, person: int = 41) -> None:
    """Log events of a person."""
    event = passing(course_key=BOTANY, lms_user_id=person)
    definition = event_types.get(PASSING_STATUS)
    for first in range(0, events, SHORT):
        event_log.write(
            event_log.row_of(
                definition,
                person=person,
                source="houba",
                id=f"marsupilami-{number}",
                time=LONG_AGO + dt.timedelta(minutes=number),
                data=event.data,
                now=LONG_AGO,
            )
            for number in range(first, first + SHORT)
        )


def peak_of(action: Callable[[], object]) -> int:
    """Return the most bytes that an action holds at one time."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "action",
    [
        lambda: event_log.events_of(41, limit=20),
        lambda: event_log.delete_expired(now=NOW, step=SHORT),
        lambda: event_log.delete_events_of(41),
    ],
    ids=["reading the newest", "purging", "forgetting a person"],
)
def test_a_long_history_needs_no_more_memory_than_a_short_one(action: Callable[[], object]) -> None:
    peaks = {}
    for events in (SHORT, SHORT, LONG):  # the first one warms up
        LoggedEvent.objects.all().delete()
        remember(events)
        peaks[events] = peak_of(action)

    assert peaks[LONG] - peaks[SHORT] < MUCH


def test_a_batch_does_not_read_the_history_that_no_document_reads() -> None:
    template("star", {"key": "pass", "course": ALGEBRA}, {"key": "again", "course": BOTANY})
    costs, peaks = {}, {}
    for person, events in ((40, 0), (41, 0), (42, LONG)):  # the first one warms up
        remember(events, person=person)
        batch = [passing(course_key=ALGEBRA, lms_user_id=person, username=f"u{person}") for _ in range(20)]
        with counted_statements() as statements:
            peaks[person] = peak_of(lambda batch=batch: pipeline.handle(batch))
        costs[person] = statements

    assert costs[42] == costs[41]
    table = LoggedEvent._meta.db_table
    assert not [statement for statement in costs[42] if statement.startswith("SELECT") and table in statement]
    assert peaks[42] - peaks[41] < MUCH
