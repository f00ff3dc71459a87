"""What only Kafka has: partitions, a schema registry, a client with settings, and rebalancing of the group."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from badges.intake.consumers.loop import ConsumerError
from badges.testing.events import course_keys, passing_status
from tests.support.bus_members import Member, ids_of, passings, until
from tests.support.event_bus import BusOnKafka


def test_all_partitions_are_read_to_their_ends(kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]) -> None:
    events = [passing_status(lms_user_id=n, course_key=course_keys(8)[n % 8]) for n in range(1, 81)]
    kafka_bus.create_topic(partitions=4).send(*events)
    reader = kafka_member(until_idle=True).run()
    assert sorted(reader.ids) == sorted(ids_of(events))
    assert sum(kafka_bus.committed().values()) == 80


def assert_each_outage_is_notified_once(notices: list[str]) -> None:
    """A broker that is slow to start may go once more before it stays; each time has its begin and its end."""
    assert notices
    assert notices == ["Kafka is not available; waiting for it.", "Kafka is back."] * (len(notices) // 2)


def test_a_broker_that_goes_and_comes_back_is_waited_for(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]
) -> None:
    events = passings(10)
    kafka_bus.create_topic().send(*events[:5])
    reader = kafka_member().start()
    until(lambda: len(reader.items) == 5)
    kafka_bus.kafka.stop()
    until(lambda: reader.notices)
    time.sleep(5)
    kafka_bus.kafka.start()
    kafka_bus.send(*events[5:])
    until(lambda: len(set(reader.ids)) == 10)
    until(lambda: kafka_bus.committed() == {0: 10})
    until(lambda: reader.error or reader.notices_of("Kafka")[-1:] == ["Kafka is back."])
    reader.end()
    assert_each_outage_is_notified_once(reader.notices_of("Kafka"))


def test_a_broker_that_comes_back_without_new_messages_is_noticed(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]
) -> None:
    kafka_bus.create_topic()
    kafka_bus.kafka.stop()
    reader = kafka_member().start()
    until(lambda: reader.notices)
    kafka_bus.kafka.start()
    until(lambda: reader.error or reader.notices_of("Kafka")[-1:] == ["Kafka is back."])
    reader.end()
    assert_each_outage_is_notified_once(reader.notices_of("Kafka"))


def test_a_registry_that_does_not_answer_is_waited_for_and_nothing_is_lost(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]
) -> None:
    events = passings(10)
    kafka_bus.create_topic(partitions=2).send(*events)
    kafka_bus.registry.stop()
    reader = kafka_member().start()
    try:
        until(lambda: reader.notices)
        time.sleep(4)
        assert reader.items == []
        assert kafka_bus.committed() == {}
    finally:
        kafka_bus.registry.start()
    until(lambda: len(reader.items) == 10)
    reader.end()
    assert sorted(reader.ids) == sorted(ids_of(events))
    assert len(reader.notices) == 2
    assert reader.notices[0].startswith("The schema registry is not available")
    assert reader.notices[1] == "The schema registry is back."


def test_asked_to_stop_while_the_registry_does_not_answer_it_ends_without_committing(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]
) -> None:
    kafka_bus.create_topic().send(*passings(3))
    kafka_bus.registry.stop()
    reader = kafka_member().start()
    try:
        until(lambda: reader.notices)
        reader.end()
    finally:
        kafka_bus.registry.start()
    assert (reader.items, kafka_bus.committed()) == ([], {})


def test_two_members_share_the_partitions_and_each_event_is_handled(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member]
) -> None:
    events = [passing_status(lms_user_id=n, course_key=course_keys(12)[n % 12]) for n in range(1, 241)]
    kafka_bus.create_topic(partitions=6)
    kafka_bus.send(*events[:120])
    first = kafka_member(batch_size=10, decide=lambda batch: time.sleep(0.05)).start()
    until(lambda: first.items)
    second = kafka_member(batch_size=10, decide=lambda batch: time.sleep(0.05)).start()
    until(lambda: second.bus._assigned)
    kafka_bus.send(*events[120:])
    until(lambda: len(set(first.ids) | set(second.ids)) == 240)
    until(lambda: sum(kafka_bus.committed().values()) == 240)
    first.end()
    second.end()
    assert second.items


def test_the_client_can_be_configured(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member], settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": {"session.timeout.ms": 7000, "group.instance.id": "badges-1"}}
    events = passings(3)
    kafka_bus.create_topic().send(*events)
    assert kafka_member(until_idle=True).run().ids == ids_of(events)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ({"enable.auto.commit": True}, "may not set enable.auto.commit; remove it"),
        ({"no.such.setting": 1}, 'No such configuration property: "no.such.setting"'),
        ([], "must be a dict"),
    ],
)
def test_a_wrong_configuration_of_the_client_is_an_error_with_the_reason(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member], settings: Any, given: Any, remedy: str
) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": given}
    with pytest.raises(ConsumerError, match=remedy):
        kafka_member().run()


def test_a_batch_that_takes_too_long_comes_again_and_the_consumer_goes_on(
    kafka_bus: BusOnKafka, kafka_member: Callable[..., Member], settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"kafka_client": {"session.timeout.ms": 6000, "max.poll.interval.ms": 6000}}
    slow = iter([9.0])
    events = passings(5)
    kafka_bus.create_topic().send(*events)
    reader = kafka_member(decide=lambda batch: time.sleep(next(slow, 0))).start()
    until(lambda: kafka_bus.committed() == {0: 5})
    reader.end()
    assert reader.ids == ids_of(events) * 2  # the partition was assigned again meanwhile, here to the same member
