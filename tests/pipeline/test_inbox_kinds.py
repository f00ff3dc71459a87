"""What a plug-in relies on that brings a kind of inbox rows: each row is handled once, or kept with a reason."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.exceptions import EventError, Retryable
from badges.intake import inbox, kinds
from badges.intake.models import InboxMessage
from badges.outbox.models import OutboxMessage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


class Postcards:
    """Handles rows of the kind ``postcard``: each becomes an outbox row."""

    def __init__(self) -> None:
        self.handed: list[list[str]] = []
        self.errors: dict[str, Exception] = {}

    def __call__(self, rows: Sequence[InboxMessage], *, now: dt.datetime) -> None:
        self.handed.append([row.event_id for row in rows])
        for row in rows:
            OutboxMessage.objects.create(
                channel="announce", key=row.event_id, type="postcard", payload="{}", due_at=now, created_at=now
            )
        for row in rows:
            if row.event_id in self.errors:
                raise self.errors[row.event_id]


@pytest.fixture
def postcards() -> Iterator[Postcards]:
    handler = Postcards()
    kinds.register("postcard", handler)
    yield handler
    kinds.unregister("postcard")


def receive(*ids: str, kind: str = "postcard") -> None:
    for id in ids:
        kinds.receive(kind, "greetings", source="postcard:brussels", id=id, received_from="rest", now=timezone.now())


def delivered() -> list[str]:
    return sorted(OutboxMessage.objects.values_list("key", flat=True))


def states() -> dict[str, str]:
    return dict(InboxMessage.objects.values_list("event_id", "state"))


def test_rows_of_a_kind_are_handed_to_its_handler_together_and_once(postcards):
    receive("a", "b", "a")

    first, again = pipeline.process_pending(), pipeline.process_pending()

    assert (first.seen, again.seen) == (2, 0)
    assert postcards.handed == [["a", "b"]]
    assert states() == {"a": "processed", "b": "processed"}
    assert delivered() == ["a", "b"]


def test_what_stands_before_the_colon_of_a_kind_finds_the_handler(postcards):
    receive("a", kind="postcard:brussels")
    receive("b", kind="postcard:charleroi")

    pipeline.process_pending()

    assert sorted(postcards.handed) == [["a"], ["b"]]


def test_events_and_rows_of_other_kinds_are_claimed_together_and_each_is_decided(template, passing, postcards):
    template("star", {"key": "pass"})
    pipeline.receive(passing())
    receive("a")

    result = pipeline.process_pending()

    assert (result.seen, result.awarded) == (2, 1)
    assert UserCredential.objects.count() == 1
    assert postcards.handed == [["a"]]


def test_a_row_that_cannot_be_used_is_a_dead_letter_and_the_others_are_handled(postcards):
    receive("a", "b", "c")
    postcards.errors["b"] = EventError("The stamp is missing. Send the postcard again.")

    result = pipeline.process_pending()

    assert result.dead == 1
    assert states() == {"a": "processed", "b": "dead", "c": "processed"}
    assert InboxMessage.objects.get(event_id="b").reason == "The stamp is missing. Send the postcard again."
    assert delivered() == ["a", "c"]


@pytest.mark.parametrize("error", [ValueError("Spirou"), Retryable("The post office is closed.")])
def test_a_row_that_fails_alone_is_tried_later_and_nothing_that_it_wrote_stays(postcards, error):
    receive("a")
    postcards.errors["a"] = error

    result = pipeline.process_pending()

    row = InboxMessage.objects.get()
    assert (result.rescheduled, row.state, row.attempts, row.claim) == (1, "pending", 1, None)
    assert row.due_at > timezone.now()
    assert "Spirou" not in row.reason
    assert not delivered()
    postcards.errors.clear()
    assert pipeline.process_pending(now=row.due_at).seen == 1
    assert delivered() == ["a"]


def test_a_transient_error_of_the_database_counts_no_attempt_of_any_row(postcards, settings):
    settings.LMS_BADGES_CONFIG = {"intake": {"give_up_seconds": 0}}
    receive("a")
    locked = {"sqlite": ("database is locked",), "mysql": (1205, "Lock wait timeout exceeded")}
    words = locked.get(connection.vendor, ("canceling statement due to lock timeout",))
    postcards.errors["a"] = OperationalError(*words)

    with pytest.raises(Retryable):
        pipeline.process_pending()

    assert InboxMessage.objects.values_list("state", "attempts", "claim").get() == ("pending", 0, None)


def test_a_row_whose_kind_nobody_handles_waits_and_is_handled_after_the_upgrade(postcards):
    kinds.unregister("postcard")
    receive("a")
    now = timezone.now()

    for minutes in range(0, 600, 10):
        pipeline.process_pending(now=now + dt.timedelta(minutes=minutes))

    row = InboxMessage.objects.get()
    assert (row.state, row.attempts) == ("pending", 0)
    assert "No kind of inbox row 'postcard' is installed" in row.reason
    kinds.register("postcard", postcards)
    pipeline.process_pending(now=now + dt.timedelta(days=1))
    assert delivered() == ["a"]


def test_a_handler_whose_claim_was_lost_writes_nothing(postcards):
    receive("a")
    now = timezone.now()
    (slow,) = inbox.claim(10, now, lease=0)
    pipeline.process_pending(now=now + dt.timedelta(seconds=1))

    assert pipeline.inbox_kinds.handle([slow], now=now).duplicates == 1
    assert delivered() == ["a"]


def test_an_id_that_is_too_long_is_refused_and_not_cut(postcards):
    with pytest.raises(EventError, match="id: expected at most 255 characters"):
        receive("x" * 256)
    assert not InboxMessage.objects.exists()
