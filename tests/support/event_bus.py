"""The Open edX bus for tests: real Kafka or real Redis, written to by openedx-events' own producers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any, ClassVar, Self

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer, serialize_event_data_to_bytes
from redis import Redis as Client

from badges.intake.consumers import loop as consumers
from badges.intake.consumers.kafka import KafkaBus
from badges.intake.consumers.redis import RedisBus
from badges.testing.events import LearningEvent
from tests.services import Kafka, Redis, SchemaRegistry, Service
from tests.support.signal_samples import on_the_wire

_numbers = count(1)


class Bus(ABC):
    """One topic of its own for a test, and a group to read it."""

    name: ClassVar[str]
    """What ``--bus`` is given."""

    server: Service
    """The broker."""

    is_ready: ClassVar[str]
    """What a consumer logs when it can be given messages."""

    quick_takeover: ClassVar[dict[str, Any]]
    """What LMS_BADGES_CONFIG says so that messages of a killed consumer are given to another one soon."""

    def __init__(self) -> None:
        number = next(_numbers)
        self.topic = f"learning-{number}"
        self.group = f"badges-{number}"
        self.partitions = 1

    @property
    @abstractmethod
    def settings(self) -> dict[str, str]:
        """What a host's settings say to use this bus."""

    @property
    @abstractmethod
    def env(self) -> dict[str, str]:
        """What the environment of a process says to use this bus."""

    @property
    def full_topic(self) -> str:
        return f"test-{self.topic}"

    @abstractmethod
    def open_consumer(self, topics: Sequence[str], **options: Any) -> consumers.Bus[Any]:
        """Return the product's consumer of topics."""

    @property
    def stock_arguments(self) -> list[str]:
        """The arguments of the bus's own ``consume_events``, which shall begin with the first event."""
        return ["-t", self.topic, "-g", self.group]

    @abstractmethod
    def create_topic(self, *, partitions: int = 1) -> Self:
        """Create the topic. Only Kafka has partitions."""

    @abstractmethod
    def send(self, *events: LearningEvent, key: str = "course_passing_status.course.course_key") -> None:
        """Put events on the bus as an LMS does. Django's settings must be those of this bus."""

    @abstractmethod
    def send_raw(self, value: bytes | None, headers: Any = None, *, partition: int = 0, flush: bool = True) -> None:
        """Put anything on the bus. ``headers`` are named as on Kafka."""

    @abstractmethod
    def flush(self) -> None:
        """Wait until the broker has everything."""

    @abstractmethod
    def wire(self, event: LearningEvent) -> bytes:
        """Return the value of a message as the bus's producer would write it."""

    @abstractmethod
    def places(self) -> list[str]:
        """Return where each message of the (first) partition is, as the product names it."""

    @abstractmethod
    def acknowledged(self) -> int:
        """Return how many messages the group has acknowledged."""

    @abstractmethod
    def close(self) -> None:
        """Close what the bus's producer keeps open for the life of a process."""

    def send_lines(self, lines: Iterable[str], write: Callable[[dict[str, Any]], bytes]) -> None:
        """Put many events on the bus quickly, round the partitions. ``write`` encodes the data of an event."""
        for number, line in enumerate(lines):
            envelope = json.loads(line)
            headers = [(f"ce_{name}", envelope[name].encode()) for name in ("type", "id", "time")]
            self.send_raw(write(envelope["data"]), headers, partition=number % self.partitions, flush=False)
            if number % 10_000 == 9_999:
                self.flush()
        self.flush()


class BusOnKafka(Bus):
    """A topic of Kafka, with a schema registry."""

    name = "kafka"
    is_ready = "Assigned: [("
    # A static member gets its partitions back at once, and not only after the session of the killed process has ended.
    quick_takeover: ClassVar = {"kafka_client": {"group.instance.id": "badges-1", "session.timeout.ms": 6000}}

    def __init__(self, kafka: Kafka, registry: SchemaRegistry) -> None:
        super().__init__()
        self.server = self.kafka = kafka
        self.registry = registry
        self._schema_ids: dict[str, int] = {}
        self._producer: Producer | None = None

    @property
    def settings(self) -> dict[str, str]:
        return {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": self.registry.url,
            "EVENT_BUS_TOPIC_PREFIX": "test",
        }

    @property
    def env(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "tests.support.host_settings",
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry.url,
            "EVENT_BUS_TOPIC_PREFIX": "test",
        }

    def open_consumer(self, topics: Sequence[str], **options: Any) -> consumers.Bus[Any]:
        return KafkaBus(topics, self.group, **options)

    def create_topic(self, *, partitions: int = 1) -> Self:
        self.partitions = partitions
        self.kafka.create_topic(self.full_topic, partitions=partitions)
        return self

    def send(self, *events: LearningEvent, key: str = "course_passing_status.course.course_key") -> None:
        from edx_event_bus_kafka import create_producer  # noqa: PLC0415 -- reads settings when imported

        producer = create_producer()
        for signal, metadata, data in events:
            producer.send(
                signal=signal, topic=self.topic, event_key_field=key, event_data=data, event_metadata=metadata
            )
        assert producer.producer.flush(30) == 0

    def send_raw(self, value: bytes | None, headers: Any = None, *, partition: int = 0, flush: bool = True) -> None:
        if self._producer is None:
            self._producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        self._producer.poll(0)
        self._producer.produce(self.full_topic, value, headers=headers, partition=partition)
        if flush:
            self.flush()

    def flush(self) -> None:
        assert self._producer is not None
        assert self._producer.flush(60) == 0

    def wire(self, event: LearningEvent) -> bytes:
        return on_the_wire(event.signal, event.data, schema_id=self.schema_id(event.signal))

    def places(self) -> list[str]:
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": "places", "log_level": 0})
        low, high = consumer.get_watermark_offsets(TopicPartition(self.full_topic, 0), timeout=20)
        consumer.close()
        return [f"kafka:{self.full_topic}/0@{offset}" for offset in range(low, high)]

    def acknowledged(self) -> int:
        return sum(self.committed().values())

    def committed(self) -> dict[int, int]:
        """Return the positions that the group has committed, by partition."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": self.group, "log_level": 0})
        positions = [TopicPartition(self.full_topic, partition) for partition in range(self.partitions)]
        committed = consumer.committed(positions, timeout=20)
        consumer.close()
        return {position.partition: position.offset for position in committed if position.offset >= 0}

    @property
    def stock_arguments(self) -> list[str]:
        # The bus's own consumer has no option for it.
        if not self.committed():
            self._begin_at_earliest()
        return super().stock_arguments

    def _begin_at_earliest(self) -> None:
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": self.group, "log_level": 0})
        positions = [TopicPartition(self.full_topic, partition, 0) for partition in range(self.partitions)]
        consumer.commit(offsets=positions, asynchronous=False)
        consumer.close()

    def close(self) -> None:
        from edx_event_bus_kafka.internal.config import get_schema_registry_client  # noqa: PLC0415 -- reads settings

        get_schema_registry_client().close()

    def schema_id(self, signal: Any) -> int:
        """Register the schema of a signal, as the bus's producer does."""
        if signal.event_type not in self._schema_ids:
            schema = Schema(AvroSignalSerializer(signal).schema_string(), "AVRO")
            subject = f"{self.full_topic}-{signal.event_type}"
            with SchemaRegistryClient({"url": self.registry.url}) as client:
                self._schema_ids[signal.event_type] = client.register_schema(subject, schema)
        return self._schema_ids[signal.event_type]


class BusOnRedis(Bus):
    """A stream of Redis."""

    name = "redis"
    is_ready = "Reading the stream"
    quick_takeover: ClassVar = {"redis_claim_seconds": 1}

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.server = redis
        self.client = Client.from_url(redis.url)
        self._unsent: Any = None
        self._stock_consumers = 0

    @property
    def settings(self) -> dict[str, str]:
        return {"EVENT_BUS_REDIS_CONNECTION_URL": self.server.url, "EVENT_BUS_TOPIC_PREFIX": "test"}

    @property
    def env(self) -> dict[str, str]:
        return {
            "DJANGO_SETTINGS_MODULE": "tests.support.host_settings",
            "EVENT_BUS": "redis",
            "EVENT_BUS_REDIS_CONNECTION_URL": self.server.url,
            "EVENT_BUS_TOPIC_PREFIX": "test",
        }

    def open_consumer(self, topics: Sequence[str], **options: Any) -> consumers.Bus[Any]:
        return RedisBus(topics, self.group, **options)

    @property
    def stock_arguments(self) -> list[str]:
        self._stock_consumers += 1
        name = f"consumer-{self._stock_consumers}"
        extra = {"consumer_name": name, "check_backlog": True, "claim_msgs_older_than": 0}
        return [*super().stock_arguments, "--extra", json.dumps(extra)]

    def create_topic(self, *, partitions: int = 1) -> Self:
        # A stream stays when its last group is removed, also if it is empty.
        self.client.xgroup_create(self.full_topic, "nobody", mkstream=True)
        self.client.xgroup_destroy(self.full_topic, "nobody")
        return self

    def send(self, *events: LearningEvent, key: str = "course_passing_status.course.course_key") -> None:
        from edx_event_bus_redis import create_producer  # noqa: PLC0415 -- reads settings when imported

        producer = create_producer()
        for signal, metadata, data in events:
            producer.send(
                signal=signal, topic=self.topic, event_key_field=key, event_data=data, event_metadata=metadata
            )
        producer.client.close()

    def send_raw(self, value: bytes | None, headers: Any = None, *, partition: int = 0, flush: bool = True) -> None:
        fields = {name.removeprefix("ce_"): content for name, content in headers or ()}
        if value is not None:
            fields["event_data"] = value
        if self._unsent is None:
            self._unsent = self.client.pipeline(transaction=False)
        self._unsent.xadd(self.full_topic, fields)
        if flush:
            self.flush()

    def flush(self) -> None:
        self._unsent.execute()

    def wire(self, event: LearningEvent) -> bytes:
        return serialize_event_data_to_bytes(event.data, event.signal)

    def places(self) -> list[str]:
        return [f"redis:{self.full_topic}@{id.decode()}" for id, _ in self.client.xrange(self.full_topic)]

    def acknowledged(self) -> int:
        if not self.client.exists(self.full_topic):
            return 0
        for group in self.client.xinfo_groups(self.full_topic):
            if group["name"] == self.group.encode():
                given = self.client.xrange(self.full_topic, "-", group["last-delivered-id"])
                return len(given) - int(group["pending"])
        return 0

    def close(self) -> None:
        if self.server.running:
            self.client.delete(self.full_topic)
        self.client.close()
