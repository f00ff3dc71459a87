"""What an operator relies on: payloads are deleted in time, and nothing else is."""

from __future__ import annotations

import datetime as dt

import pytest

from badges.intake import inbox
from badges.intake.events import Unreadable
from badges.intake.models import InboxMessage, InboxState

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def row(number: int, *, state: str = InboxState.PROCESSED, days_ago: int = 20) -> InboxMessage:
    waits = state == InboxState.PENDING
    return InboxMessage(
        event_id=f"event-{number}",
        payload="{}",
        state=state,
        received_at=NOW,
        due_at=NOW if waits else None,
        processed_at=NOW - dt.timedelta(days=days_ago),
    )


def test_payloads_of_old_events_are_deleted_in_steps_and_their_ids_are_not():
    old = [row(number) for number in range(7)]
    kept = [row(7, days_ago=1), row(8, state=InboxState.PENDING)]
    InboxMessage.objects.bulk_create([*old, *kept])

    gone = inbox.clear_payloads(before=NOW - dt.timedelta(days=14), step=3)

    assert gone == 7
    with_payload = InboxMessage.objects.filter(payload__isnull=False).order_by("event_id")
    assert list(with_payload.values_list("event_id", flat=True)) == ["event-7", "event-8"]
    assert InboxMessage.objects.count() == 9


def test_payloads_that_were_deleted_are_not_found_again():
    InboxMessage.objects.bulk_create(row(number) for number in range(4))
    inbox.clear_payloads(before=NOW, step=2)

    assert inbox.clear_payloads(before=NOW, step=2) == 0


def test_a_worker_whose_lease_has_ended_cannot_finish_rows_of_the_next_worker():
    InboxMessage.objects.bulk_create([row(1, state=InboxState.PENDING)])
    slow = inbox.claim(1, NOW, lease=30)
    later = NOW + dt.timedelta(seconds=30)
    other = inbox.claim(1, later, lease=30)

    assert inbox.finish(slow, state=InboxState.DEAD, now=later) == 0
    assert inbox.finish(other, state=InboxState.PROCESSED, now=later) == 1


def test_dead_letters_with_long_names_are_told_apart_and_none_is_cut_off() -> None:
    place = "kafka:" + "x" * 300
    letters = [Unreadable(id=f"{place} {number}", reason="not JSON", received_from=place) for number in range(2)]

    new = inbox.write([inbox.dead_row_of(letter, now=NOW) for letter in letters])
    again = inbox.write([inbox.dead_row_of(letters[1], now=NOW)])

    assert (len(new), len(again)) == (2, 0)


@pytest.mark.parametrize("letters", [10, 200, 4000])
def test_the_line_of_a_file_stays_however_long_the_name_of_the_file_is(letters: int) -> None:
    place = f"file:/srv/events/{'é' * letters}/march.jsonl:1843"
    inbox.write([inbox.dead_row_of(Unreadable(id="x", reason="not JSON", received_from=place), now=NOW)])

    stored = InboxMessage.objects.get().received_from
    assert stored.startswith("file:/srv/events/")
    assert stored.endswith("/march.jsonl:1843")
    assert (stored == place) is (letters < 200 or len(place) <= 300)
    assert len(stored) <= 300
