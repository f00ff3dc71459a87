"""``badge.awarded`` on a real Kafka, read as any other service would read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from redis import Redis as Client

from badges import delivery
from badges.awarding.models import UserCredential
from badges.outbox.models import Circuit, OutboxMessage
from tests.acceptance.delivery_helpers import pass_course
from tests.factories import make_template
from tests.services import Kafka, Redis, SchemaRegistry
from tests.services.processes import Process

pytestmark = pytest.mark.django_db(transaction=True)

TYPE = "org.openedx.learning.badge.awarded.v1"
_numbers = count(1)


@pytest.fixture
def topic(kafka: Kafka, schema_registry: SchemaRegistry, settings: Any) -> Iterator[str]:
    """Configure the event bus of the host, with a new topic."""
    name = f"lifecycle-{next(_numbers)}"
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = kafka.bootstrap_servers
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = schema_registry.url
    settings.EVENT_BUS_TOPIC_PREFIX = "test"
    settings.EVENT_BUS_PRODUCER = "edx_event_bus_kafka.create_producer"
    settings.EVENT_BUS_PRODUCER_CONFIG = {
        TYPE: {
            name: {"event_key_field": "badge.uuid", "enabled": True},
            "switched-off": {"event_key_field": "badge.uuid", "enabled": False},
        }
    }
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"bus_timeout": 3.0, "base_delay": 0.1}}
    kafka.create_topic(f"test-{name}")
    yield name
    _close_registry_client()
    kafka.start()
    schema_registry.start()


def _close_registry_client() -> None:
    """Close a client that the producer's package never closes; a warning about it would fail the test."""
    from edx_event_bus_kafka.internal.config import get_schema_registry_client  # noqa: PLC0415

    get_schema_registry_client().__exit__(None, None, None)


def read_all(kafka: Kafka, topic: str, *, seconds: float = 60) -> list[Any]:
    """Read everything on a topic, with a consumer that shares no code with the product."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": f"reader-{topic}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([f"test-{topic}"])
    found: list[Any] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        message = consumer.poll(0.5)
        if message is None and found:
            break
        if message is not None and not message.error():
            found.append(message)
    consumer.close()
    return found


def content(message: Any, registry: SchemaRegistry) -> Any:
    with SchemaRegistryClient({"url": registry.url}) as client:
        deserialize = AvroDeserializer(client)
        return deserialize(message.value(), SerializationContext(message.topic(), MessageField.VALUE))


def announcement() -> OutboxMessage:
    return OutboxMessage.objects.get(channel="announce")


def test_an_award_is_on_the_bus_once_with_the_rows_id_and_the_awards_time(
    kafka: Kafka, schema_registry: SchemaRegistry, topic: str
) -> None:
    make_template(name="الجبر 代数")
    pass_course(77)
    assert delivery.drain().delivered == 1
    (message,) = read_all(kafka, topic)
    headers = {name: value.decode() for name, value in message.headers()}
    credential = UserCredential.objects.get()
    assert headers["ce_id"] == str(announcement().id)
    assert headers["ce_type"] == TYPE
    assert headers["ce_time"] == credential.awarded_at.isoformat()
    badge = content(message, schema_registry)["badge"]
    assert badge["uuid"] == str(credential.pk)
    assert badge["template"]["name"] == "الجبر 代数"
    assert badge["user"]["id"] == 77
    assert badge["user"]["pii"]["username"] == "learner77"


def test_while_the_broker_is_down_announcements_wait_and_then_each_is_there_once(
    kafka: Kafka, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_template()
    pass_course(1)
    kafka.stop()
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "Are the broker and the topic there?" in announcement().last_error
    assert "learner1" not in caplog.text  # the producer's package would log the whole event
    kafka.start()
    drain_until_delivered()
    assert [headers_id(message) for message in read_all(kafka, topic)] == [str(announcement().id)]


def test_while_the_schema_registry_is_down_announcements_wait(
    kafka: Kafka, schema_registry: SchemaRegistry, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    make_template()
    pass_course(1)
    schema_registry.stop()
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "is the schema registry up? (ConnectError)" in announcement().last_error
    assert "learner1" not in caplog.text
    schema_registry.start()
    drain_until_delivered()
    assert len(read_all(kafka, topic)) == 1


def test_a_topic_that_is_not_there_keeps_the_announcement(kafka: Kafka, topic: str, settings: Any) -> None:
    settings.EVENT_BUS_PRODUCER_CONFIG = {TYPE: {"nowhere": {"event_key_field": "badge.uuid", "enabled": True}}}
    make_template()
    pass_course(1)
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "nowhere" in announcement().last_error


def test_one_bus_that_is_down_is_asked_five_times_and_not_once_for_each_row(
    kafka: Kafka, topic: str, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"bus_timeout": 1.0}}
    make_template()
    pass_course(*range(1, 13))
    kafka.stop()
    assert delivery.drain().rescheduled == 5
    assert OutboxMessage.objects.filter(channel="announce", last_error="").count() == 7
    assert Circuit.objects.get(name="event-bus").failures == 5


def test_a_drain_in_another_process_publishes_before_it_ends(
    kafka: Kafka, schema_registry: SchemaRegistry, topic: str, run_manage: Callable[..., Process]
) -> None:
    kafka.create_topic("own-learning-badges-lifecycle")
    make_template()
    pass_course(*range(1, 6))
    process = run_manage(
        "badges_drain",
        env={
            "KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "SCHEMA_REGISTRY_URL": schema_registry.url,
            "EVENT_BUS_TOPIC_PREFIX": "own",
        },
    )
    assert process.wait() == 0
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "own", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["own-learning-badges-lifecycle"])
    ids = {headers_id(message) for message in consumer.consume(5, timeout=60)}
    consumer.close()
    assert ids == {str(row.id) for row in OutboxMessage.objects.filter(channel="announce")}


def test_a_redis_bus_is_watched_in_the_same_way(redis: Redis, settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.EVENT_BUS_PRODUCER = "edx_event_bus_redis.create_producer"
    settings.EVENT_BUS_REDIS_CONNECTION_URL = redis.url
    settings.EVENT_BUS_PRODUCER_CONFIG = {TYPE: {"stream": {"event_key_field": "badge.uuid", "enabled": True}}}
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"base_delay": 0.1}}
    make_template()
    pass_course(1)
    redis.stop()
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "is Redis up? (ConnectionError)" in announcement().last_error
    assert "learner1" not in caplog.text
    redis.start()
    drain_until_delivered()
    with Client.from_url(redis.url) as client:
        ((_, entry),) = client.xrange("stream")
        client.delete("stream")
    assert entry[b"id"].decode() == str(announcement().id)


def headers_id(message: Any) -> str:
    return next(value.decode() for name, value in message.headers() if name == "ce_id")


def drain_until_delivered(*, seconds: float = 120) -> None:
    """Drain like a worker that is notified now and then."""
    deadline = time.monotonic() + seconds
    while not delivery.drain().delivered:
        assert time.monotonic() < deadline, announcement().last_error
        time.sleep(0.3)
