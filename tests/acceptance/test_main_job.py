"""
The main job from end to end: an LMS puts events on Kafka, and badges are at Credly, in the API and on the bus.

Everything is a separate process: the broker, the schema registry, Redis, the consumer, the Celery worker and the
stand-in for Credly. The events are put on the bus by the producer of openedx-events.
"""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from badges.testing.credly import CredlyProcess
from tests.acceptance.bus_helpers import passes
from tests.acceptance.delivery_helpers import issued_template
from tests.services import Redis
from tests.services.processes import Process
from tests.support.event_bus import BusOnKafka

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_put_on_the_bus_become_badges_at_credly_in_the_api_and_on_the_bus(
    kafka_bus: BusOnKafka,
    credly: CredlyProcess,
    redis: Redis,
    run_manage: Callable[..., Process],
    run_celery: Callable[..., Process],
    client: Client,
) -> None:
    bus = kafka_bus
    issued_template(credly)
    bus.create_topic(partitions=2)
    bus.kafka.create_topic("test-learning-badges-lifecycle")
    organization = {"CREDLY_API_BASE_URL": credly.url, "ORGANIZATIONS": {credly.organization: credly.token}}
    env = {
        **bus.env,
        "CELERY_BROKER_URL": redis.url,
        "LMS_BADGES_CONFIG": json.dumps({"credly": organization}),
    }
    run_celery("worker", "-c", "1", "-l", "INFO", env=env).wait_for("ready.")
    consumer = run_manage("consume_badge_events", "--bus", "kafka", "-t", bus.topic, "-g", bus.group, env=env)

    bus.send(passes(1, name="Ada Lovelace"), passes(2, name="王 小明"), passes(2))

    consumer.wait_until(lambda: len(credly.badges) == 2, what="two badges at Credly")
    assert sorted((badge.first_name, badge.last_name) for badge in credly.badges) == [
        ("Ada", "Lovelace"),
        ("王", "小明"),
    ]
    consumer.wait_until(lambda: len(announced(bus)) == 2, what="two announcements")
    assert set(announced(bus)) == {"org.openedx.learning.badge.awarded.v1"}

    client.force_login(get_user_model().objects.get(username="houba1"))
    (mine,) = client.get("/api/badges/v1/credentials/").json()["results"]
    ada = next(badge for badge in credly.badges if badge.first_name == "Ada")
    assert ada.id in json.dumps(mine)
    client.force_login(get_user_model().objects.create_superuser("boss", "boss@example.com", "x"))
    assert len(client.get("/api/badges/v1/credentials/").json()["results"]) == 2


def announced(bus: BusOnKafka) -> list[str]:
    """Read the event types on the topic of announcements, from its beginning."""
    from confluent_kafka import Consumer, TopicPartition  # noqa: PLC0415 -- only this test reads the bus

    topic = "test-learning-badges-lifecycle"
    reader = Consumer({"bootstrap.servers": bus.kafka.bootstrap_servers, "group.id": "reader", "log_level": 0})
    reader.assign([TopicPartition(topic, 0, 0)])
    found = []
    while message := reader.poll(2):
        if message.error() is None:
            found.append(dict(message.headers())["ce_type"].decode())
    reader.close()
    return found
