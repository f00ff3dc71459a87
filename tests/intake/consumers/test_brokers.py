"""The consumer with a real broker: what is handled, and what is acknowledged when. The same on Kafka and on Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from badges.exceptions import Retryable
from badges.intake.consumers.loop import ConsumerError
from badges.intake.events import Event, Unreadable
from badges.testing.events import enrollment, passing_status
from tests.support.bus_members import Member, ids_of, passings, until
from tests.support.event_bus import Bus
from tests.support.kafka_doubles import headers_of


def test_a_new_group_starts_at_the_earliest_event(bus: Bus, member: Callable[..., Member]) -> None:
    events = passings(25)
    bus.create_topic().send(*events)
    reader = member(until_idle=True, batch_size=10).run()
    assert reader.ids == ids_of(events)
    assert max(len(batch) for batch in reader.batches) == 10
    assert reader.items[16].received_from == bus.places()[16]
    assert bus.acknowledged() == 25


def test_a_group_goes_on_where_it_was(bus: Bus, member: Callable[..., Member]) -> None:
    events = passings(30)
    bus.create_topic().send(*events[:20])
    assert member(max_events=15).run().ids == ids_of(events[:15])
    assert bus.acknowledged() == 15
    bus.send(*events[20:])
    assert member(until_idle=True).run().ids == ids_of(events[15:])


def test_nothing_is_committed_before_it_was_handled(bus: Bus, member: Callable[..., Member]) -> None:
    acknowledged: list[int] = []
    bus.create_topic().send(*passings(30))
    member(until_idle=True, batch_size=10, decide=lambda batch: acknowledged.append(bus.acknowledged())).run()
    assert acknowledged == [0, 10, 20]


def test_a_batch_that_could_not_be_decided_is_not_committed(bus: Bus, member: Callable[..., Member]) -> None:
    def decide(batch: Any) -> None:
        if any(event.id == str(events[10].metadata.id) for event in batch):
            raise Retryable("The database did not answer.")

    events = passings(30)
    bus.create_topic().send(*events)
    with pytest.raises(Retryable):
        member(until_idle=True, batch_size=10, decide=decide).run()
    assert bus.acknowledged() == 10


NOT_AVRO = "not Avro of org.openedx.learning.course.passing.status.updated.v1 as installed here"
UNREADABLE = {
    "kafka": [
        "the message has no ce_type header",
        *["not Avro of schema "] * 2,
        "the schema registry knows no schema with id 999999",
        "The event type org.example.unheard.of.v1 is not configured here",
        "the message is empty",
        "the value does not begin with a zero byte and a schema id",
    ],
    "redis": [
        "the message has no type field",
        *[NOT_AVRO] * 3,
        "The event type org.example.unheard.of.v1 is not configured here",
        "the message has no event_data field",
        NOT_AVRO,
    ],
}


@pytest.mark.django_db(transaction=True)  # the database is asked for a type that no package defines
def test_unreadable_messages_become_dead_letters_and_the_others_go_on(bus: Bus, member: Callable[..., Member]) -> None:
    first, last = passings(2)
    bus.create_topic().send(first)
    good = bus.wire(first)
    bus.send_raw(good)  # no headers
    bus.send_raw(b"\0\0\0\0\1nonsense", headers_of(first))
    bus.send_raw(good[:-3], headers_of(first))
    bus.send_raw(b"\0" + (999_999).to_bytes(4, "big") + good[5:], headers_of(first))
    bus.send_raw(good, headers_of(first, ce_type=b"org.example.unheard.of.v1"))
    bus.send_raw(None, headers_of(first))
    bus.send_raw(b"x" * 990_000, headers_of(first))
    bus.send(last)
    reader = member(until_idle=True).run()
    dead = [item for item in reader.items if isinstance(item, Unreadable)]
    assert [item.received_from for item in dead] == bus.places()[1:8]
    reasons = [(begin, item.reason) for begin, item in zip(UNREADABLE[bus.name], dead, strict=True)]
    assert [(begin, reason) for begin, reason in reasons if not reason.startswith(begin)] == []
    assert [item.id for item in reader.items if isinstance(item, Event)] == ids_of([first, last])
    assert bus.acknowledged() == 9


def test_types_that_are_not_configured_are_counted_and_committed(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic().send(*[enrollment(lms_user_id=n) for n in range(1, 6)], key="enrollment.course.course_key")
    reader = member(until_idle=True).run()
    assert reader.batches == []
    assert reader.consumer.counts.skipped == {(enrollment().signal.event_type, "not configured"): 5}
    assert bus.acknowledged() == 5


def test_a_topic_that_is_not_there_yet_is_waited_for(bus: Bus, member: Callable[..., Member]) -> None:
    reader = member().start()
    until(lambda: reader.notices)
    time.sleep(3)
    (notice,) = reader.notices
    assert f" {bus.full_topic} is not there yet; waiting for it." in notice
    bus.create_topic()
    events = passings(3)
    bus.send(*events)
    until(lambda: len(reader.items) == 3)
    reader.end()
    assert reader.ids == ids_of(events)
    assert reader.notices[1:] == [notice.replace("not there yet; waiting for it", "there")]


def test_a_topic_that_stays_missing_ends_a_consumer_that_shall_end_when_idle(
    bus: Bus, member: Callable[..., Member]
) -> None:
    with pytest.raises(ConsumerError, match=r"is not there\. .+, or correct -t"):
        member(until_idle=True, topic_wait_seconds=2).run()


def test_asked_to_stop_it_finishes_its_batch(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic().send(*passings(50))
    begun, go_on = threading.Event(), threading.Event()

    def decide(batch: Any) -> None:
        begun.set()
        assert go_on.wait(120)

    reader = member(batch_size=10, decide=decide).start()
    assert begun.wait(120)
    reader.stop.request()
    go_on.set()
    reader.join()
    assert len(reader.items) == 10
    assert bus.acknowledged() == 10


def test_large_events_make_small_batches(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic().send(*[passing_status(lms_user_id=n, name="x" * 700_000) for n in range(1, 31)])
    reader = member(until_idle=True).run()
    assert len(reader.items) == 30
    assert max(len(batch) for batch in reader.batches) == 5  # a sixth would make it more than 4 MiB
