"""``badge.awarded`` on a real Kafka and a real Redis, read as any other service would read it."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, ClassVar, NamedTuple

import attrs
import pytest
from confluent_kafka import Consumer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from openedx_events.event_bus.avro.deserializer import deserialize_bytes_to_event_data
from openedx_events.learning.signals import BADGE_AWARDED
from redis import Redis as Client

from badges import delivery
from badges.awarding.models import UserCredential
from badges.outbox.models import Circuit, OutboxMessage
from tests.acceptance.delivery_helpers import pass_course
from tests.factories import make_template
from tests.services import Kafka, Redis, SchemaRegistry, Service
from tests.services.processes import Process

pytestmark = [pytest.mark.live, pytest.mark.django_db(transaction=True)]

TYPE = "org.openedx.learning.badge.awarded.v1"
_numbers = count(1)


class Announced(NamedTuple):
    """An event on the bus."""

    id: str
    type: str
    time: str
    badge: dict[str, Any]


class Lifecycle(ABC):
    """A new topic for announcements, on one of the buses."""

    package: ClassVar[str]
    is_away: ClassVar[str]
    """What the row says while the broker is away."""

    server: Service

    def __init__(self) -> None:
        self.topic = f"lifecycle-{next(_numbers)}"

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Where the broker is, as a host's settings say it."""

    @property
    @abstractmethod
    def env(self) -> dict[str, str]:
        """Where the broker is, as the environment of a process says it."""

    @abstractmethod
    def create(self, topic: str) -> None:
        """Create a topic, named with its prefix."""

    @abstractmethod
    def read(self, topic: str | None = None, *, number: int = 1) -> list[Announced]:
        """Read everything on a topic, at least ``number`` events, with code that is not the product's."""

    def close(self) -> None:
        self.server.start()


class OnKafka(Lifecycle):
    package = "edx_event_bus_kafka"
    is_away = "Are the broker and the topic there?"

    def __init__(self, kafka: Kafka, registry: SchemaRegistry) -> None:
        super().__init__()
        self.server = self.kafka = kafka
        self.registry = registry

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": self.registry.url,
        }

    @property
    def env(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers, "SCHEMA_REGISTRY_URL": self.registry.url}

    def create(self, topic: str) -> None:
        self.kafka.create_topic(topic)

    def read(self, topic: str | None = None, *, number: int = 1) -> list[Announced]:
        topic = topic or f"test-{self.topic}"
        group = f"reader-{next(_numbers)}"
        consumer = Consumer(
            {"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": group, "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        found: list[Any] = []
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            message = consumer.poll(0.5)
            if message is None and len(found) >= number:
                break
            if message is not None and not message.error():
                found.append(message)
        consumer.close()
        return [self._announced(message) for message in found]

    def close(self) -> None:
        """Close a client that the producer's package never closes; a warning about it would fail the test."""
        from edx_event_bus_kafka.internal.config import get_schema_registry_client  # noqa: PLC0415

        get_schema_registry_client().__exit__(None, None, None)
        super().close()
        self.registry.start()

    def _announced(self, message: Any) -> Announced:
        headers = {name: value.decode() for name, value in message.headers()}
        with SchemaRegistryClient({"url": self.registry.url}) as client:
            context = SerializationContext(message.topic(), MessageField.VALUE)
            data: Any = AvroDeserializer(client)(message.value(), context)
        return Announced(headers["ce_id"], headers["ce_type"], headers["ce_time"], data["badge"])


class OnRedis(Lifecycle):
    package = "edx_event_bus_redis"
    is_away = "is Redis up? (ConnectionError)"

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.server = redis
        self._client = Client.from_url(redis.url)

    @property
    def settings(self) -> dict[str, Any]:
        return {"EVENT_BUS_REDIS_CONNECTION_URL": self.server.url}

    @property
    def env(self) -> dict[str, str]:
        return {"EVENT_BUS": "redis", **self.settings}

    def create(self, topic: str) -> None:
        """Do nothing: a stream is there when it has its first entry."""

    def read(self, topic: str | None = None, *, number: int = 1) -> list[Announced]:
        from edx_event_bus_redis.internal.message import RedisMessage  # noqa: PLC0415 -- reads settings

        topic = topic or f"test-{self.topic}"
        messages = [RedisMessage.parse(entry, topic) for entry in self._client.xrange(topic)]
        return [
            Announced(
                str(message.event_metadata.id),
                message.event_metadata.event_type,
                message.event_metadata.time.isoformat(),
                attrs.asdict(deserialize_bytes_to_event_data(message.event_data, BADGE_AWARDED)["badge"]),
            )
            for message in messages
        ]

    def close(self) -> None:
        super().close()
        self._client.delete(f"test-{self.topic}")
        self._client.close()


@pytest.fixture(params=[OnKafka, OnRedis], ids=["kafka", "redis"])
def lifecycle(request: pytest.FixtureRequest, settings: Any) -> Iterator[Lifecycle]:
    """Configure the event bus of the host, with a new topic."""
    servers = ("kafka", "schema_registry") if request.param is OnKafka else ("redis",)
    made: Lifecycle = request.param(*map(request.getfixturevalue, servers))
    for name, value in made.settings.items():
        setattr(settings, name, value)
    settings.EVENT_BUS_TOPIC_PREFIX = "test"
    settings.EVENT_BUS_PRODUCER = f"{made.package}.create_producer"
    settings.EVENT_BUS_PRODUCER_CONFIG = {
        TYPE: {
            made.topic: {"event_key_field": "badge.uuid", "enabled": True},
            "switched-off": {"event_key_field": "badge.uuid", "enabled": False},
        }
    }
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"bus_timeout": 3.0, "base_delay": 0.1}}
    made.create(f"test-{made.topic}")
    yield made
    made.close()


@pytest.fixture
def on_kafka(lifecycle: Lifecycle) -> OnKafka:
    assert isinstance(lifecycle, OnKafka)
    return lifecycle


only_kafka = pytest.mark.parametrize("lifecycle", [OnKafka], ids=["kafka"], indirect=True)


def announcement() -> OutboxMessage:
    return OutboxMessage.objects.get(channel="announce")


def test_an_award_is_on_the_bus_once_with_the_rows_id_and_the_awards_time(lifecycle: Lifecycle) -> None:
    make_template(name="الجبر 代数")
    pass_course(77)
    assert delivery.drain().delivered == 1
    (announced,) = lifecycle.read()
    credential = UserCredential.objects.get()
    assert announced[:3] == (str(announcement().id), TYPE, credential.awarded_at.isoformat())
    assert announced.badge["uuid"] == str(credential.pk)
    assert announced.badge["template"]["name"] == "الجبر 代数"
    assert announced.badge["user"]["id"] == 77
    assert announced.badge["user"]["pii"]["username"] == "learner77"


def test_while_the_broker_is_down_announcements_wait_and_then_each_is_there_once(
    lifecycle: Lifecycle, caplog: pytest.LogCaptureFixture
) -> None:
    make_template()
    pass_course(1)
    lifecycle.server.stop()
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert lifecycle.is_away in announcement().last_error
    assert "learner1" not in caplog.text  # the producer's package would log the whole event
    lifecycle.server.start()
    drain_until_delivered()
    assert [announced.id for announced in lifecycle.read()] == [str(announcement().id)]


@only_kafka
def test_while_the_schema_registry_is_down_announcements_wait(
    on_kafka: OnKafka, caplog: pytest.LogCaptureFixture
) -> None:
    make_template()
    pass_course(1)
    on_kafka.registry.stop()
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "is the schema registry up? (ConnectError)" in announcement().last_error
    assert "learner1" not in caplog.text
    on_kafka.registry.start()
    drain_until_delivered()
    assert len(on_kafka.read()) == 1


@only_kafka
def test_a_topic_that_is_not_there_keeps_the_announcement(on_kafka: OnKafka, settings: Any) -> None:
    settings.EVENT_BUS_PRODUCER_CONFIG = {TYPE: {"nowhere": {"event_key_field": "badge.uuid", "enabled": True}}}
    make_template()
    pass_course(1)
    assert delivery.drain().rescheduled >= 1  # more than once when this machine is slower than the first wait
    assert "nowhere" in announcement().last_error


def test_one_bus_that_is_down_is_asked_five_times_and_not_once_for_each_row(
    lifecycle: Lifecycle, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"bus_timeout": 1.0}}
    make_template()
    pass_course(*range(1, 13))
    lifecycle.server.stop()
    assert delivery.drain().rescheduled == 5
    assert OutboxMessage.objects.filter(channel="announce", last_error="").count() == 7
    assert Circuit.objects.get(name="event-bus").failures == 5


def test_a_drain_in_another_process_publishes_before_it_ends(
    lifecycle: Lifecycle, run_manage: Callable[..., Process]
) -> None:
    topic = "own-learning-badges-lifecycle"
    lifecycle.create(topic)
    make_template()
    pass_course(*range(1, 6))
    assert run_manage("badges_drain", env={**lifecycle.env, "EVENT_BUS_TOPIC_PREFIX": "own"}).wait() == 0
    ids = {announced.id for announced in lifecycle.read(topic, number=5)}
    assert ids >= {str(row.id) for row in OutboxMessage.objects.filter(channel="announce")}


@pytest.mark.parametrize("lifecycle", [OnRedis], ids=["redis"], indirect=True)
def test_a_redis_that_became_a_replica_keeps_the_announcement_and_the_stock_consumer_gets_it_later(
    lifecycle: OnRedis, run_manage: Callable[..., Process]
) -> None:
    make_template()
    pass_course(1)
    lifecycle._client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert delivery.drain().rescheduled >= 1
    assert "(ReadOnlyError)" in announcement().last_error
    assert Circuit.objects.get(name="event-bus").failures
    lifecycle._client.execute_command("REPLICAOF", "NO", "ONE")
    drain_until_delivered()
    extra = json.dumps({"consumer_name": "other-service", "check_backlog": True})
    arguments = ("consume_events", "-t", lifecycle.topic, "-g", "other-service", "--extra", extra)
    env = {**lifecycle.env, "EVENT_BUS_TOPIC_PREFIX": "test", "LOG_LEVEL": "INFO"}
    run_manage(*arguments, env=env).wait_for(f"message_id={announcement().id}")


def drain_until_delivered(*, seconds: float = 120) -> None:
    """Drain like a worker that is notified now and then."""
    deadline = time.monotonic() + seconds
    while not delivery.drain().delivered:
        assert time.monotonic() < deadline, announcement().last_error
        time.sleep(0.3)
