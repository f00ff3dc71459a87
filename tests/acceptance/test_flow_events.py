"""
The events of the sticker flows, as other services see them: on a real Kafka or Redis, with nothing but its client.

The relay is a separate process that is killed with SIGKILL. Each test has topics of its own.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from badges import api
from badges.flows.models import CertificationMapping
from badges.intake.models import Learner
from tests.factories import LearnerFactory, make_template
from tests.services.processes import Process
from tests.support.json_topics import JsonMessage, JsonTopics, TopicsOnKafka, TopicsOnRedis, content

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

ASSIGNED = "stickers.stickerAssignedToUser.v1"
REMOVED = "stickers.stickerRemovedFromUser.v1"
CLAIMED = "users.stickerClaimed.v1"
COMPLETED = "certifications.certificationCompleted.v1"
REGISTERED = "users.userRegistered.v1"
CLOUD_EVENTS = {"publish": [ASSIGNED, REMOVED, REGISTERED]}
# Short enough for a test. The lease is how long the rows of a killed relay wait.
DELIVERY = {"base_delay": 0.2, "circuit_seconds": 1.0, "lease_seconds": 6, "bus_timeout": 3.0}


@pytest.fixture(params=[TopicsOnKafka, TopicsOnRedis], ids=["kafka", "redis"])
def topics(transactional_db: None, request: pytest.FixtureRequest, settings: Any) -> JsonTopics:
    settings.LMS_BADGES_CONFIG = {"cloud_events": CLOUD_EVENTS}
    made: JsonTopics = request.param(request.getfixturevalue(request.param.name))
    return made


@pytest.fixture
def run(run_manage: Callable[..., Process], topics: JsonTopics) -> Callable[..., Process]:
    """Start a command of the host."""

    def start(*arguments: str, **config: Any) -> Process:
        env = {
            "DJANGO_SETTINGS_MODULE": "tests.acceptance.flow_host",
            **topics.env,
            "LMS_BADGES_CONFIG": json.dumps({"cloud_events": CLOUD_EVENTS, "delivery": DELIVERY, **config}),
            "LOG_LEVEL": "INFO",
        }
        return run_manage(*arguments, env=env)

    return start


def pending_events() -> int:
    """Return how many events wait to be published."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM lms_badges_outboxmessage WHERE aggregatetype = 'cloud-events' AND state = 'pending'"
        )
        return int(cursor.fetchone()[0])


def toggle(learner: Learner, times: int, *, slug: str) -> None:
    """Give a badge and take it away, that many times in all."""
    for number in range(times):
        if number % 2:
            api.revoke(learner, slug)
        else:
            api.award(learner, slug)


def in_order_of_arrival(messages: Iterable[JsonMessage]) -> list[JsonMessage]:
    """Return messages of several partitions and topics by the time at which the broker got them."""
    return sorted(messages, key=lambda message: (message.timestamp()[1], message.topic(), message.offset()))


def test_a_sticker_that_is_assigned_and_removed_is_told_to_other_services(
    topics: JsonTopics, run: Callable[..., Process]
) -> None:
    topics.create(ASSIGNED, REMOVED, partitions=3)
    make_template(slug="ميدالية")
    learner = LearnerFactory()
    given = api.award(learner, "ميدالية")
    taken = api.revoke(learner, "ميدالية", reason="Awarded by mistake")
    assert run("badges_drain").wait() == 0
    (assigned,) = topics.read_number(1, ASSIGNED)
    (removed,) = topics.read_number(1, REMOVED)
    if topics.name == "kafka":
        assert assigned.key() == removed.key() == str(learner.uuid).encode()
    assert dict(assigned.headers()) == {"content-type": b"application/cloudevents+json; charset=UTF-8"}
    first, second = content(assigned), content(removed)
    assert (first["specversion"], first["type"], first["source"]) == ("1.0", ASSIGNED, "lms-badges")
    assert first["data"] == {"accountId": str(learner.uuid), "stickerId": "ميدالية", "assignedAt": first["time"]}
    assert second["data"] == {"accountId": str(learner.uuid), "stickerId": "ميدالية", "removedAt": second["time"]}
    assert first["time"] == given.awarded_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert taken.revoked_at is not None
    assert second["time"] == taken.revoked_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert first["id"] != second["id"]


def test_a_registration_is_told_to_other_services_and_our_own_welcome_comes_from_it(
    topics: JsonTopics, run: Callable[..., Process], settings: Any
) -> None:
    topics.create(REGISTERED)
    make_template(slug="welcome", requirements=[], is_active=False)
    settings.LMS_BADGES_CONFIG = {"cloud_events": CLOUD_EVENTS, "flows": {"registration": True}}
    body = {"email": "nadia@example.org", "password": "rubber-boat-42"}
    answer = Client().post("/api/users/v1/users", body, content_type="application/json")
    assert answer.status_code == 201
    account_id = answer.json()["accountId"]
    assert run("badges_drain").wait() == 0
    (message,) = topics.read_number(1, REGISTERED)
    event = content(message)
    assert (event["type"], event["subject"]) == (REGISTERED, account_id)
    assert event["data"] == {"accountId": account_id}
    assert "nadia" not in json.dumps(event)
    welcome = {"flows": {"welcome_badge": "welcome"}}
    consumer = run(
        "consume_badge_events", "--bus", topics.name, "-t", REGISTERED, "-g", "own", "--until-idle", **welcome
    )
    assert consumer.wait(seconds=120) == 0, consumer.output()
    assert run("badges_drain", **welcome).wait(seconds=120) == 0
    learner = Learner.objects.get(uuid=account_id)
    assert [row.template.slug for row in api.credentials_of(learner)] == ["welcome"]


def test_while_the_broker_is_away_awards_go_on_and_afterwards_all_are_published_in_order(
    topics: JsonTopics, run: Callable[..., Process]
) -> None:
    topics.create(ASSIGNED, REMOVED)
    make_template(slug="star")
    learners = LearnerFactory.create_batch(5)
    relay = run("badges_drain", "--forever")
    topics.server.stop()
    for learner in learners:
        toggle(learner, 4, slug="star")
    relay.wait_for("waits until")
    for learner in learners:
        toggle(learner, 3, slug="star")
    assert pending_events() == 5 * 7
    topics.server.start()
    relay.wait_until(lambda: not pending_events(), seconds=180, what="an empty outbox")
    assert relay.terminate() == 0
    messages = topics.read_number(5 * 7, ASSIGNED, REMOVED)
    assert_complete_and_in_order(messages, learners, each=7)


def test_relays_that_are_killed_lose_no_event_and_keep_the_order_of_each_account(
    topics: JsonTopics, run: Callable[..., Process]
) -> None:
    moments = random.Random(1815)  # the same kills in every run
    topics.create(ASSIGNED, REMOVED, partitions=2)
    make_template(slug="star")
    learners = LearnerFactory.create_batch(30)
    rounds = interrupted = 0
    # How far relays come before their end depends on the machine: only kills that leave events behind are counted.
    while interrupted < (6 if connection.vendor == "postgresql" and topics.name == "kafka" else 3):
        rounds += 1
        for learner in learners:
            toggle(learner, 2, slug="star")
        before = pending_events()
        relays = [run("badges_drain", "--forever") for _ in range(2)]
        wait_until(lambda before=before: pending_events() < before, what="an event that is published")
        time.sleep(moments.uniform(0, 0.2))
        for relay in relays:
            relay.kill()
        interrupted += bool(pending_events())
    relays = [run("badges_drain", "--forever") for _ in range(2)]
    wait_until(lambda: not pending_events(), what="an empty outbox", seconds=240)
    assert [relay.terminate() for relay in relays] == [0, 0]
    messages = topics.read_number(30 * 2 * rounds, ASSIGNED, REMOVED)
    assert_complete_and_in_order(messages, learners, each=2 * rounds)


def wait_until(found: Callable[[], bool], *, what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, f"after {seconds:g} s still without {what}"
        time.sleep(0.02)


def assert_complete_and_in_order(messages: list[JsonMessage], learners: list[Learner], *, each: int) -> None:
    """
    Check that every event is there, under one id, and that the events of an account come in their order.

    An event may come several times. After the next one of its account has come, it must not come any more.
    """
    ids = {str(learner.uuid): sequence_of_ids(learner) for learner in learners}
    assert {len(expected) for expected in ids.values()} == {each}
    arrived: dict[str, list[str]] = {account: [] for account in ids}
    for message in in_order_of_arrival(messages):
        event = content(message)
        assert event["data"]["accountId"] == event["subject"]
        seen = arrived[event["data"]["accountId"]]
        if not seen or seen[-1] != event["id"]:
            seen.append(event["id"])
    assert arrived == ids


def sequence_of_ids(learner: Learner) -> list[str]:
    """Return the ids of a learner's events in the order of the decisions."""
    rows = "SELECT id FROM lms_badges_outboxmessage WHERE aggregatetype = 'cloud-events' AND aggregateid = %s"
    with connection.cursor() as cursor:
        cursor.execute(f"{rows} ORDER BY sequence", [str(learner.pk)])
        found = [str(row[0]) for row in cursor.fetchall()]
    return [f"{id[:8]}-{id[8:12]}-{id[12:16]}-{id[16:20]}-{id[20:]}" if len(id) == 32 else id for id in found]


def consume(run: Callable[..., Process], topics: JsonTopics, topic: str) -> None:
    """Read a topic to its end, then let a worker handle what was read."""
    process = run("consume_badge_events", "--bus", topics.name, "-t", topic, "-g", "flows", "--until-idle")
    assert process.wait(seconds=120) == 0, process.output()
    # Dead letters, which some of these tests want, make the exit code 1.
    assert run("badges_drain").wait(seconds=120) in (0, 1)


def claims_of(learner: Learner) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM lms_badges_stickerclaim WHERE learner_id = %s", [learner.pk])
        return int(cursor.fetchone()[0])


def dead_letters() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reason FROM lms_badges_inboxmessage WHERE state = 'dead' ORDER BY received_from")
        return [row[0] for row in cursor.fetchall()]


def cloud_event(event_type: str, id: str, **data: Any) -> dict[str, Any]:
    return {"specversion": "1.0", "id": id, "source": "other-service", "type": event_type, "data": data}


def test_a_claim_counts_once_and_a_message_that_cannot_be_read_does_not_stop_its_partition(
    topics: JsonTopics, run: Callable[..., Process]
) -> None:
    topics.create(CLAIMED)
    make_template(slug="star")
    make_template(slug="comet")
    learner, other = LearnerFactory.create_batch(2)
    star = {"accountId": str(learner.uuid), "stickerId": "star"}
    topics.send(CLAIMED, star)
    topics.send(CLAIMED, star)
    topics.send(CLAIMED, b"\x00\xffhouba")
    topics.send(CLAIMED, cloud_event(CLAIMED, "c-1", **star))
    topics.send(CLAIMED, {"accountId": "0190e3c0-0000-7000-b000-00000000abcd", "stickerId": "star"})
    topics.send(CLAIMED, cloud_event(CLAIMED, "c-2", accountId=str(learner.uuid), stickerId="comet"))
    topics.send(CLAIMED, {"accountId": str(other.uuid), "stickerId": "comet"})
    consume(run, topics, CLAIMED)
    assert (claims_of(learner), claims_of(other)) == (2, 1)
    unreadable, unknown = dead_letters()
    assert "not UTF-8" in unreadable
    assert "Nobody here has the account id" in unknown
    # Everything is sent once more, as after a producer that did not get its answer.
    topics.send(CLAIMED, star)
    topics.send(CLAIMED, cloud_event(CLAIMED, "c-2", accountId=str(learner.uuid), stickerId="comet"))
    consume(run, topics, CLAIMED)
    assert (claims_of(learner), claims_of(other)) == (2, 1)
    assert api.credentials_of(learner).count() == 0


def test_a_completed_certification_gives_badges_which_are_told_to_other_services(
    topics: JsonTopics, run: Callable[..., Process]
) -> None:
    topics.create(COMPLETED, ASSIGNED, REMOVED)
    for slug in ("rust", "ferris"):
        template = make_template(slug=slug, requirements=[], is_active=False)
        CertificationMapping.objects.create(certification_id="Rust-101", template=template)
    learner = LearnerFactory()
    data = {"accountId": str(learner.uuid), "certificationId": "Rust-101", "completedAt": "2026-03-09T08:00:00Z"}
    topics.send(COMPLETED, cloud_event(COMPLETED, "done-1", **data))
    topics.send(COMPLETED, cloud_event(COMPLETED, "done-2", **data))
    topics.send(COMPLETED, cloud_event(COMPLETED, "done-3", **data | {"certificationId": "Knots"}))
    consume(run, topics, COMPLETED)
    messages = topics.read_number(2, ASSIGNED)
    told = [content(message)["data"] for message in messages]
    assert {event["accountId"] for event in told} == {str(learner.uuid)}
    assert sorted(event["stickerId"] for event in told) == ["ferris", "rust"]
    assert dead_letters() == []
