"""
What an operator relies on when events come from Kafka or Redis: every event counts once, whatever goes down meanwhile.

The broker, the registry and the database are real, and the consumer is a separate process. The events are put on the
bus by the producers of openedx-events. The checks query the database with their own SQL.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from badges.testing.events import enrollment
from tests.acceptance.bus_helpers import (
    assert_once_each,
    count,
    dead_letters,
    holders,
    passes,
    query,
    start_consumer,
    take_down,
    template,
)
from tests.factories import make_template
from tests.services.processes import Process
from tests.support.event_bus import Bus, BusOnKafka, BusOnRedis
from tests.support.kafka_doubles import headers_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def consume(run_manage: Callable[..., Process], bus: Bus) -> Callable[..., Process]:
    return lambda *options, **config: start_consumer(run_manage, bus, *options, **config)


def until_holders(process: Process, learners: int, *, seconds: float = 120) -> None:
    process.wait_until(lambda: len(holders()) >= learners, seconds=seconds, what=f"{learners} holders")


def test_events_of_an_lms_become_badges(bus: Bus, consume: Callable[..., Process]) -> None:
    template(courses=2)
    names = {1: "فاطمة الفهري", 2: "祖冲之", 3: "Ada Lovelace"}
    bus.create_topic(partitions=3)
    for learner, name in names.items():
        bus.send(passes(learner, 0, name=name), passes(learner, 1, name=name))
    bus.send(passes(4, 0))  # one of two requirements is no badge
    process = consume("--until-idle")
    assert process.wait() == 0
    assert holders() == [1, 2, 3]
    first, last = query("SELECT first_name, last_name FROM auth_user WHERE username = 'houba2'")[0]
    assert f"{first} {last}".strip() == "祖冲之"
    assert "7 events in" in process.output()
    assert "7 matched, 3 awarded, 0 duplicates, 0 dead letters, 0 ignored." in process.output()


def test_what_is_ignored_is_counted_by_type_and_reason(bus: Bus, consume: Callable[..., Process]) -> None:
    template()
    bus.create_topic().send(passes(1), passes(2, 1), passes(3, 1))
    bus.send(enrollment(lms_user_id=4), key="enrollment.course.course_key")
    process = consume("--until-idle")
    assert process.wait() == 0
    assert "1 matched, 1 awarded, 0 duplicates, 0 dead letters, 3 ignored." in process.output()
    assert "ignored 1: org.openedx.learning.course.enrollment.created.v1: not configured" in process.output()
    assert "ignored 2: org.openedx.learning.course.passing.status.updated.v1: no match" in process.output()
    assert count("SELECT COUNT(*) FROM lms_badges_inboxmessage") == 1


def test_an_enrolment_made_by_staff_credits_the_learner(
    bus: Bus, consume: Callable[..., Process], settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"events": [enrollment().signal.event_type]}
    make_template(requirements=[{"key": "enrolled", "event_type": enrollment().signal.event_type, "rules": []}])
    staff = passes(99).data["course_passing_status"].user
    bus.create_topic()
    bus.send(enrollment(lms_user_id=1, username="houba1", created_by=staff), key="enrollment.course.course_key")
    assert consume("--until-idle", events=[enrollment().signal.event_type]).wait() == 0
    assert holders() == [1]


def test_the_same_event_twice_and_the_same_fact_under_two_ids_is_one_badge(
    bus: Bus, consume: Callable[..., Process]
) -> None:
    template()
    first = passes(1)
    bus.create_topic(partitions=2).send(first, first, passes(1), first)
    assert consume("--until-idle").wait() == 0
    assert holders() == [1]
    assert count("SELECT COUNT(*) FROM lms_badges_outboxmessage") == 2
    assert count("SELECT COUNT(*) FROM lms_badges_fulfillment") == 1


@pytest.mark.tables
def test_ids_that_differ_only_in_case_are_two_events(bus: Bus, consume: Callable[..., Process]) -> None:
    template(courses=2)
    algebra, geometry = passes(1, 0), passes(1, 1)
    bus.create_topic()
    bus.send_raw(bus.wire(algebra), headers_of(algebra, ce_id=b"Abc-1"))
    bus.send_raw(bus.wire(geometry), headers_of(geometry, ce_id=b"abc-1"))
    assert consume("--until-idle").wait() == 0
    assert holders() == [1]


def test_unreadable_messages_become_dead_letters_and_the_others_go_on(
    bus: Bus, consume: Callable[..., Process]
) -> None:
    template()
    unreadable = passes(1, name="Marsupilami")
    bus.create_topic().send(passes(1))
    good = bus.wire(unreadable)
    bus.send_raw(good)
    bus.send_raw(good[:-3], headers_of(unreadable))
    bus.send_raw(b"\0" + (999_999).to_bytes(4, "big") + good[5:], headers_of(unreadable))
    bus.send_raw(good, headers_of(unreadable, ce_type=b"org.example.unheard.of.v1"))
    bus.send(passes(2))
    process = consume("--until-idle")
    assert process.wait() == 0
    assert holders() == [1, 2]
    places, reasons = zip(*dead_letters(), strict=True)
    assert list(places) == bus.places()[1:5]
    expected = {
        "kafka": ("no ce_type header", "not Avro of schema", "no schema with id 999999", "org.example.unheard.of.v1"),
        "redis": ("no type field", "not Avro of org.openedx", "not Avro of org.openedx", "org.example.unheard.of.v1"),
    }
    assert [text for text, reason in zip(expected[bus.name], reasons, strict=True) if text not in reason] == []
    assert all(str(unreadable.metadata.id) in reason for reason in reasons[1:])
    assert "Marsupilami" not in process.output()
    assert bus.acknowledged() == 6


def test_a_topic_that_does_not_exist_yet_is_waited_for_and_reported_once(
    bus: Bus, consume: Callable[..., Process]
) -> None:
    template()
    process = consume()
    process.wait_for("is not there yet; waiting for it.")
    time.sleep(2)
    bus.create_topic().send(passes(1))
    until_holders(process, 1)
    assert process.output().count("is not there yet") == 1
    assert process.terminate() == 0


def test_broker_and_registry_down_are_waited_for_and_nothing_is_lost(
    kafka_bus: BusOnKafka, run_manage: Callable[..., Process]
) -> None:
    bus = kafka_bus
    template()
    bus.create_topic().send(passes(1))
    bus.kafka.stop()
    bus.registry.stop()
    process = start_consumer(run_manage, bus)
    process.wait_for("Kafka is not available; waiting for it.")
    bus.kafka.start()
    process.wait_for("The schema registry is not available")
    time.sleep(3)
    bus.registry.start()
    until_holders(process, 1)
    assert process.output().count("The schema registry is not available") == 1
    # A broker that is slow to start may disappear once more. Each time is reported once, and so is its end.
    process.wait_until(
        lambda: process.output().count("Kafka is not available") == process.output().count("Kafka is back."),
        what="the end of each time that Kafka was away",
    )
    assert process.terminate() == 0
    assert bus.acknowledged() == 1


def test_redis_down_is_waited_for_and_nothing_is_lost(
    redis_bus: BusOnRedis, run_manage: Callable[..., Process]
) -> None:
    template()
    redis_bus.create_topic().send(passes(1))
    redis_bus.server.stop()
    process = start_consumer(run_manage, redis_bus, "--batch-size", "5")
    process.wait_for("Redis is not available (")
    redis_bus.server.start()
    until_holders(process, 1)
    for learner in range(2, 302):
        redis_bus.send_raw(redis_bus.wire(passes(learner)), headers_of(passes(learner)), flush=False)
    redis_bus.flush()
    until_holders(process, 2)
    redis_bus.server.kill()
    redis_bus.server.start()
    until_holders(process, 301)
    process.wait_until(lambda: redis_bus.acknowledged() == 301, what="the acknowledgement of all")
    assert process.output().count("Redis is not available") == process.output().count("Redis is back.") == 2
    assert process.terminate() == 0
    assert_once_each(301, events=301)


@pytest.mark.tables
def test_a_database_that_goes_and_comes_back_is_waited_for(
    bus: Bus, consume: Callable[..., Process], database_server: Any
) -> None:
    template()
    bus.create_topic().send(passes(1))
    process = consume()
    until_holders(process, 1)
    take_down(database_server)
    bus.send(passes(2), passes(3))
    process.wait_for("waiting for it")
    # A whole minute in one of the runs.
    time.sleep(60 if connection.vendor == "postgresql" and bus.name == "kafka" else 5)
    assert process.running
    database_server.start()
    until_holders(process, 3)
    assert process.output().count("waiting for it") == 1
    assert process.terminate() == 0
    assert_once_each(3, events=3)


@pytest.mark.tables
def test_a_database_that_stays_away_ends_the_process_and_nothing_is_acknowledged(
    bus: Bus, consume: Callable[..., Process], database_server: Any
) -> None:
    template()
    bus.create_topic()
    process = consume(intake={"give_up_seconds": 3})
    process.wait_for(bus.is_ready)
    take_down(database_server)
    bus.send(passes(1))
    assert process.wait() == 75
    assert "was not acknowledged" in process.output()
    database_server.start()
    assert bus.acknowledged() == 0
    assert consume("--until-idle").wait() == 0
    assert_once_each(1, events=1)


def test_sigterm_lets_the_batch_finish(bus: Bus, consume: Callable[..., Process]) -> None:
    template()
    bus.create_topic()
    sent = done = 0
    while done == sent:  # once more when the consumer was faster than the signal
        before = done
        for learner in range(sent + 1, sent + 601):
            bus.send_raw(bus.wire(passes(learner)), headers_of(passes(learner)), flush=False)
        bus.flush()
        sent += 600
        process = consume("--batch-size", "20")
        until_holders(process, before + 1)
        assert process.terminate() == 0
        done = len(holders())
        assert done % 20 == 0
        assert bus.acknowledged() == done
        assert f"{done - before} awarded" in process.output()


@pytest.mark.tables
def test_two_consumers_racing_on_one_learner_award_one_badge(bus: Bus, consume: Callable[..., Process]) -> None:
    learners = 60
    template(courses=3)
    bus.create_topic(partitions=3)
    processes = [consume("--batch-size", "5") for _ in range(2)]
    for process in processes:
        process.wait_for(bus.is_ready)
    # Each course has its own partition, so the events of one learner reach both processes at about the same time.
    for learner in range(1, learners + 1):
        for course in range(3):
            event = passes(learner, course)
            bus.send_raw(bus.wire(event), headers_of(event), partition=course, flush=False)
    bus.flush()
    for process in processes:
        until_holders(process, learners)
    processes[0].wait_until(lambda: bus.acknowledged() == learners * 3, what="commits")
    assert [process.terminate() for process in processes] == [0, 0]
    assert all(" 0 awarded" not in process.output() or " 0 matched" not in process.output() for process in processes)
    assert_once_each(learners, events=learners * 3, courses=3)


@pytest.mark.tables
@pytest.mark.timeout(600)
def test_killed_at_random_moments_nothing_is_lost_and_nothing_doubled(
    bus: Bus, consume: Callable[..., Process]
) -> None:
    moments = random.Random(1789)
    learners = interrupted = 0
    template(courses=2)
    bus.create_topic(partitions=2)
    # How far a consumer comes before its end depends on the machine: only kills that leave work behind are counted.
    while interrupted < (10 if connection.vendor == "postgresql" and bus.name == "kafka" else 4):
        for learner in range(learners + 1, learners + 41):
            for course in range(2):
                event = passes(learner, course)
                bus.send_raw(bus.wire(event), headers_of(event), partition=(learner + course) % 2, flush=False)
        bus.flush()
        learners += 40
        before = stored()
        process = consume("--batch-size", "2", **bus.quick_takeover)
        process.wait_for(bus.is_ready)
        if interrupted % 2:  # the others may be killed before they have done anything
            process.wait_until(lambda before=before: stored() > before, what="an event that is stored")
        time.sleep(moments.uniform(0, 0.2))
        process.kill()
        interrupted += stored() < learners * 2
    assert consume("--until-idle", **bus.quick_takeover).wait(seconds=240) == 0
    assert bus.acknowledged() == learners * 2
    assert_once_each(learners, events=learners * 2, courses=2)


def stored() -> int:
    return count("SELECT COUNT(*) FROM lms_badges_inboxmessage")
