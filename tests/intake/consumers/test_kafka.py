"""The Kafka consumer with a real broker and registry: what is handled, and what is committed when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from badges.common.stopping import StopRequest
from badges.exceptions import Retryable
from badges.intake.consumers.kafka import KafkaBus
from badges.intake.consumers.loop import Consumer, ConsumerError
from badges.intake.events import Event, Unreadable
from badges.testing.events import course_keys, enrollment, passing_status
from tests.support.event_bus import Bus
from tests.support.kafka_doubles import headers_of


class Member:
    """One member of the bus's group, in a thread of its own, that keeps what it is handed."""

    def __init__(self, bus: Bus, **options: Any) -> None:
        self.batches: list[list[Event | Unreadable]] = []
        self.notices: list[str] = []
        self.stop = StopRequest()
        self.error: BaseException | None = None
        self._decide: Callable[[Any], None] = options.pop("decide", lambda batch: None)
        topics = options.pop("topics", [bus.topic])
        self.kafka = KafkaBus(
            topics, bus.group, **{key: options.pop(key) for key in ["topic_wait_seconds"] if key in options}
        )
        self.consumer = Consumer(self.kafka, handle=self._handle, stop=self.stop, notify=self.notices.append, **options)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def run(self) -> Member:
        """Run to the end, in this thread."""
        self.consumer.run()
        return self

    def start(self) -> Member:
        self._thread.start()
        return self

    def end(self) -> None:
        self.stop.request()
        self.join()
        if self.error:
            raise self.error

    def join(self, seconds: float = 120) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it does not end"

    @property
    def items(self) -> list[Event | Unreadable]:
        return [item for batch in self.batches for item in batch]

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.items]

    def notices_of_kafka(self) -> list[str]:
        """Leave out topics: a broker that just came back may not know them for a moment."""
        return [text for text in self.notices if text.startswith("Kafka")]

    @property
    def is_assigned(self) -> bool:
        return bool(self.kafka._assigned)

    def _handle(self, batch: Any) -> None:
        self._decide(batch)
        self.batches.append(list(batch))

    def _run(self) -> None:
        try:
            self.consumer.run()
        except BaseException as error:
            self.error = error


@pytest.fixture
def member(bus: Bus) -> Iterator[Callable[..., Member]]:
    members: list[Member] = []

    def make(**options: Any) -> Member:
        members.append(Member(bus, **options))
        return members[-1]

    yield make
    for one in members:
        one.stop.request()
    for one in members:
        if one._thread.ident:
            one.join()


def until(wanted: Callable[[], Any], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def passings(number: int, **given: Any) -> list[Any]:
    return [passing_status(lms_user_id=1 + n, username=f"houba{n}", **given) for n in range(number)]


def ids_of(events: list[Any]) -> list[str]:
    return [str(event.metadata.id) for event in events]


def test_a_new_group_starts_at_the_earliest_event(bus: Bus, member: Callable[..., Member]) -> None:
    events = passings(25)
    bus.create_topic().send(*events)
    reader = member(until_idle=True, batch_size=10).run()
    assert reader.ids == ids_of(events)
    assert max(len(batch) for batch in reader.batches) == 10
    assert reader.items[16].received_from == f"kafka:{bus.full_topic}/0@16"
    assert bus.committed() == {0: 25}


def test_a_group_goes_on_where_it_was(bus: Bus, member: Callable[..., Member]) -> None:
    events = passings(30)
    bus.create_topic().send(*events[:20])
    assert member(max_events=15).run().ids == ids_of(events[:15])
    assert bus.committed() == {0: 15}
    bus.send(*events[20:])
    assert member(until_idle=True).run().ids == ids_of(events[15:])


def test_all_partitions_are_read_to_their_ends(bus: Bus, member: Callable[..., Member]) -> None:
    events = [passing_status(lms_user_id=n, course_key=course_keys(8)[n % 8]) for n in range(1, 81)]
    bus.create_topic(partitions=4).send(*events)
    reader = member(until_idle=True).run()
    assert sorted(reader.ids) == sorted(ids_of(events))
    assert sum(bus.committed(partitions=4).values()) == 80


def test_nothing_is_committed_before_it_was_handled(bus: Bus, member: Callable[..., Member]) -> None:
    committed = []
    bus.create_topic().send(*passings(30))
    member(until_idle=True, batch_size=10, decide=lambda batch: committed.append(bus.committed().get(0, 0))).run()
    assert committed == [0, 10, 20]


def test_a_batch_that_could_not_be_decided_is_not_committed(bus: Bus, member: Callable[..., Member]) -> None:
    def decide(batch: Any) -> None:
        if any(event.id == str(events[10].metadata.id) for event in batch):
            raise Retryable("The database did not answer.")

    events = passings(30)
    bus.create_topic().send(*events)
    with pytest.raises(Retryable):
        member(until_idle=True, batch_size=10, decide=decide).run()
    assert bus.committed() == {0: 10}


@pytest.mark.django_db(transaction=True)  # the database is asked for a type that no package defines
def test_unreadable_messages_become_dead_letters_and_the_partition_goes_on(
    bus: Bus, member: Callable[..., Member]
) -> None:
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
    assert [item.received_from for item in dead] == [f"kafka:{bus.full_topic}/0@{offset}" for offset in range(1, 8)]
    assert [item.reason.split(" (message id")[0].split(":")[0] for item in dead] == [
        "the message has no ce_type header",
        "not Avro of schema 1 (EOFError)" if "EOF" in dead[1].reason else dead[1].reason.split(" (message id")[0],
        f"not Avro of schema {bus.schema_id(first.signal)} (EOFError)",
        "the schema registry knows no schema with id 999999",
        "The event type org.example.unheard.of.v1 is not configured here",
        "the message is empty",
        "the value does not begin with a zero byte and a schema id",
    ]
    assert [item.id for item in reader.items if isinstance(item, Event)] == ids_of([first, last])
    assert bus.committed() == {0: 9}


def test_types_that_are_not_configured_are_counted_and_committed(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic().send(*[enrollment(lms_user_id=n) for n in range(1, 6)], key="enrollment.course.course_key")
    reader = member(until_idle=True).run()
    assert reader.batches == []
    assert reader.consumer.counts.skipped == {(enrollment().signal.event_type, "not configured"): 5}
    assert bus.committed() == {0: 5}


def test_a_topic_that_is_not_there_yet_is_waited_for(bus: Bus, member: Callable[..., Member]) -> None:
    reader = member().start()
    until(lambda: reader.notices)
    time.sleep(3)
    assert reader.notices == [f"The topic {bus.full_topic} is not there yet; waiting for it."]
    bus.create_topic()
    events = passings(3)
    bus.send(*events)
    until(lambda: len(reader.items) == 3)
    reader.end()
    assert reader.ids == ids_of(events)
    assert reader.notices[1:] == [f"The topic {bus.full_topic} is there."]


def test_a_topic_that_stays_missing_ends_a_consumer_that_shall_end_when_idle(
    bus: Bus, member: Callable[..., Member]
) -> None:
    with pytest.raises(ConsumerError, match=r"is not there\. Create it, or correct -t"):
        member(until_idle=True, topic_wait_seconds=2).run()


def assert_each_outage_is_notified_once(notices: list[str]) -> None:
    """A broker that is slow to start may go once more before it stays; each time has its begin and its end."""
    assert notices
    assert notices == ["Kafka is not available; waiting for it.", "Kafka is back."] * (len(notices) // 2)


def test_a_broker_that_goes_and_comes_back_is_waited_for(bus: Bus, member: Callable[..., Member]) -> None:
    events = passings(10)
    bus.create_topic().send(*events[:5])
    reader = member().start()
    until(lambda: len(reader.items) == 5)
    bus.kafka.stop()
    until(lambda: reader.notices)
    time.sleep(5)
    bus.kafka.start()
    bus.send(*events[5:])
    until(lambda: len(set(reader.ids)) == 10)
    until(lambda: bus.committed() == {0: 10})
    until(lambda: reader.error or reader.notices_of_kafka()[-1:] == ["Kafka is back."])
    reader.end()
    assert_each_outage_is_notified_once(reader.notices_of_kafka())


def test_a_broker_that_comes_back_without_new_messages_is_noticed(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic()
    bus.kafka.stop()
    reader = member().start()
    until(lambda: reader.notices)
    bus.kafka.start()
    until(lambda: reader.error or reader.notices_of_kafka()[-1:] == ["Kafka is back."])
    reader.end()
    assert_each_outage_is_notified_once(reader.notices_of_kafka())


def test_a_registry_that_does_not_answer_is_waited_for_and_nothing_is_lost(
    bus: Bus, member: Callable[..., Member]
) -> None:
    events = passings(10)
    bus.create_topic(partitions=2).send(*events)
    bus.registry.stop()
    reader = member().start()
    try:
        until(lambda: reader.notices)
        time.sleep(4)
        assert reader.items == []
        assert bus.committed(partitions=2) == {}
    finally:
        bus.registry.start()
    until(lambda: len(reader.items) == 10)
    reader.end()
    assert sorted(reader.ids) == sorted(ids_of(events))
    assert len(reader.notices) == 2
    assert reader.notices[0].startswith("The schema registry is not available")
    assert reader.notices[1] == "The schema registry is back."


def test_asked_to_stop_while_the_registry_does_not_answer_it_ends_without_committing(
    bus: Bus, member: Callable[..., Member]
) -> None:
    bus.create_topic().send(*passings(3))
    bus.registry.stop()
    reader = member().start()
    try:
        until(lambda: reader.notices)
        reader.end()
    finally:
        bus.registry.start()
    assert (reader.items, bus.committed()) == ([], {})


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
    assert bus.committed() == {0: 10}


def test_two_members_share_the_partitions_and_each_event_is_handled(bus: Bus, member: Callable[..., Member]) -> None:
    events = [passing_status(lms_user_id=n, course_key=course_keys(12)[n % 12]) for n in range(1, 241)]
    bus.create_topic(partitions=6)
    bus.send(*events[:120])
    first = member(batch_size=10, decide=lambda batch: time.sleep(0.05)).start()
    until(lambda: first.items)
    second = member(batch_size=10, decide=lambda batch: time.sleep(0.05)).start()
    until(lambda: second.is_assigned)
    bus.send(*events[120:])
    until(lambda: len(set(first.ids) | set(second.ids)) == 240)
    until(lambda: sum(bus.committed(partitions=6).values()) == 240)
    first.end()
    second.end()
    assert second.items


def test_the_client_can_be_configured(bus: Bus, member: Callable[..., Member], settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": {"session.timeout.ms": 7000, "group.instance.id": "badges-1"}}
    events = passings(3)
    bus.create_topic().send(*events)
    assert member(until_idle=True).run().ids == ids_of(events)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"enable.auto.commit": True}, "may not set enable.auto.commit; remove it"),
        ({"no.such.setting": 1}, 'No such configuration property: "no.such.setting"'),
        ([], "must be a dict"),
    ],
)
def test_a_wrong_configuration_of_the_client_is_an_error_with_the_reason(
    bus: Bus, member: Callable[..., Member], settings: Any, given: Any, remedy: str
) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": given}
    with pytest.raises(ConsumerError, match=remedy):
        member().run()


def test_a_batch_that_takes_too_long_comes_again_and_the_consumer_goes_on(
    bus: Bus, member: Callable[..., Member], settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}}
    slow = iter([9.0])
    events = passings(5)
    bus.create_topic().send(*events)
    reader = member(decide=lambda batch: time.sleep(next(slow, 0))).start()
    until(lambda: bus.committed() == {0: 5})
    reader.end()
    assert reader.ids == ids_of(events) * 2  # the partition was assigned again meanwhile, here to the same member


def test_large_events_make_small_batches(bus: Bus, member: Callable[..., Member]) -> None:
    bus.create_topic().send(*[passing_status(lms_user_id=n, name="x" * 700_000) for n in range(1, 31)])
    reader = member(until_idle=True).run()
    assert len(reader.items) == 30
    assert max(len(batch) for batch in reader.batches) == 5  # a sixth would make it more than 4 MiB
