"""The Open edX bus for tests: a real broker and registry, written to by openedx-events' own producer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import count
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer

from badges.testing.events import LearningEvent
from tests.services import Kafka, SchemaRegistry
from tests.support.signal_samples import on_the_wire

_numbers = count(1)


class Bus:
    """One topic of its own for a test, and a group to read it."""

    def __init__(self, kafka: Kafka, registry: SchemaRegistry) -> None:
        self.kafka = kafka
        self.registry = registry
        number = next(_numbers)
        self.topic = f"learning-{number}"
        self.group = f"badges-{number}"
        self._schema_ids: dict[str, int] = {}
        self._producer: Producer | None = None

    @property
    def settings(self) -> dict[str, str]:
        """What a host's settings say to use this bus."""
        return {
            "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": self.registry.url,
            "EVENT_BUS_TOPIC_PREFIX": "test",
        }

    @property
    def env(self) -> dict[str, str]:
        """What the environment of a process says to use this bus."""
        return {
            "DJANGO_SETTINGS_MODULE": "tests.support.host_settings",
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry.url,
            "EVENT_BUS_TOPIC_PREFIX": "test",
        }

    @property
    def full_topic(self) -> str:
        return f"test-{self.topic}"

    def create_topic(self, *, partitions: int = 1) -> Bus:
        self.kafka.create_topic(self.full_topic, partitions=partitions)
        return self

    def send(self, *events: LearningEvent, key: str = "course_passing_status.course.course_key") -> None:
        """Put events on the bus as an LMS does. Django's settings must be those of this bus."""
        from edx_event_bus_kafka import create_producer  # noqa: PLC0415 -- reads settings when imported

        producer = create_producer()
        for signal, metadata, data in events:
            producer.send(
                signal=signal, topic=self.topic, event_key_field=key, event_data=data, event_metadata=metadata
            )
        assert producer.producer.flush(30) == 0

    def send_raw(self, value: bytes | None, headers: Any = None, *, partition: int = 0, flush: bool = True) -> None:
        """Put anything on the bus."""
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
        """Return the value of a message as the bus's producer would write it."""
        return on_the_wire(event.signal, event.data, schema_id=self.schema_id(event.signal))

    def close(self) -> None:
        """Close what the bus's producer keeps open for the life of a process."""
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

    def send_lines(self, lines: Iterable[str], headers_of: Any, make: Any, *, partitions: int = 1) -> None:
        """Put many events on the bus quickly, round the partitions."""
        for number, line in enumerate(lines):
            envelope = json.loads(line)
            self.send_raw(make(envelope), headers_of(envelope), partition=number % partitions, flush=False)
            if number % 10_000 == 9_999:
                self.flush()
        self.flush()

    def begin_at_earliest(self, *, partitions: int = 1) -> None:
        """Let the group begin with the first event; the bus's own consumer would skip what is there already."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": self.group, "log_level": 0})
        positions = [TopicPartition(self.full_topic, partition, 0) for partition in range(partitions)]
        consumer.commit(offsets=positions, asynchronous=False)
        consumer.close()

    def committed(self, *, partitions: int = 1) -> dict[int, int]:
        """Return the positions that the group has committed, by partition."""
        consumer = Consumer({"bootstrap.servers": self.kafka.bootstrap_servers, "group.id": self.group, "log_level": 0})
        positions = [TopicPartition(self.full_topic, partition) for partition in range(partitions)]
        committed = consumer.committed(positions, timeout=20)
        consumer.close()
        return {position.partition: position.offset for position in committed if position.offset >= 0}
