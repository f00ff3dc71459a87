"""Topics of JSON events for tests: written and read by the clients of the brokers, with no code of the product."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, ClassVar, NamedTuple, Protocol

from confluent_kafka import Consumer, Message, Producer
from redis import Redis as Client

from tests.services import Kafka, Redis, Service

_numbers = count(1)


class JsonMessage(Protocol):
    """What is used of a message: the part of confluent-kafka's that Redis can have too."""

    def value(self) -> Any: ...
    def headers(self) -> Any: ...
    def timestamp(self) -> tuple[int, int]: ...
    def topic(self) -> Any: ...
    def offset(self) -> Any: ...


class JsonTopics(ABC):
    """The topics of one host, told apart from those of other tests by their prefix."""

    name: ClassVar[str]
    """What ``--bus`` is given."""

    server: Service
    """The broker."""

    def __init__(self) -> None:
        self.prefix = f"flows{next(_numbers)}"

    def full(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    @property
    @abstractmethod
    def env(self) -> dict[str, str]:
        """What the environment of a process says to use these topics."""

    @abstractmethod
    def create(self, *names: str, partitions: int = 1) -> None:
        """Create topics. Only Kafka has partitions."""

    @abstractmethod
    def send(self, topic: str, value: Any, attributes: Mapping[str, str] | None = None) -> None:
        """
        Put a message on a topic: bytes as they are, anything else as JSON.

        ``attributes`` are those of a CloudEvent in the binary form.
        """

    @abstractmethod
    def read_number(self, number: int, *topics: str, seconds: float = 60) -> list[Any]:
        """Read at least that many messages, and what comes shortly after them."""


class TopicsOnKafka(JsonTopics):
    """Topics of Kafka."""

    name = "kafka"

    def __init__(self, kafka: Kafka) -> None:
        super().__init__()
        self.server = self.kafka = kafka
        self._producer: Producer | None = None

    @property
    def env(self) -> dict[str, str]:
        return {"KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers, "EVENT_BUS_TOPIC_PREFIX": self.prefix}

    def create(self, *names: str, partitions: int = 1) -> None:
        for name in names:
            self.kafka.create_topic(self.full(name), partitions=partitions)

    def send(self, topic: str, value: Any, attributes: Mapping[str, str] | None = None) -> None:
        if self._producer is None:
            self._producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        headers = [(f"ce_{name}", text.encode()) for name, text in (attributes or {}).items()]
        self._producer.produce(self.full(topic), content, headers=headers)
        assert self._producer.flush(60) == 0

    def read(self, *topics: str, enough: Callable[[list[Message]], bool], seconds: float = 60) -> list[Message]:
        """Read topics from their beginning until there is enough; what comes shortly after that is read, too."""
        consumer = Consumer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "group.id": f"{self.prefix}-reader-{next(_numbers)}",
                "auto.offset.reset": "earliest",
                "log_level": 0,
            }
        )
        consumer.subscribe([self.full(topic) for topic in topics])
        found: list[Message] = []
        deadline = time.monotonic() + seconds
        is_enough = False
        try:
            while True:
                message = consumer.poll(2.0 if is_enough else 0.5)
                if message is not None and not message.error():
                    found.append(message)
                elif is_enough:
                    return found
                is_enough = enough(found)
                assert is_enough or time.monotonic() < deadline, f"after {seconds:g} s only {len(found)} messages"
        finally:
            consumer.close()

    def read_number(self, number: int, *topics: str, seconds: float = 60) -> list[Any]:
        return self.read(*topics, enough=lambda found: len(found) >= number, seconds=seconds)


class RedisMessage(NamedTuple):
    """An entry of a stream, as the tests see messages of Kafka."""

    stream: str
    id: str
    fields: dict[bytes, bytes]

    def value(self) -> bytes | None:
        return self.fields.get(b"event_data")

    def headers(self) -> list[tuple[str, bytes]]:
        return [(name.decode(), value) for name, value in self.fields.items() if name != b"event_data"]

    def timestamp(self) -> tuple[int, int]:
        return 1, int(self.id.split("-")[0])

    def topic(self) -> str:
        return self.stream

    def offset(self) -> int:
        return int(self.id.split("-")[1])


class TopicsOnRedis(JsonTopics):
    """Streams of Redis."""

    name = "redis"

    def __init__(self, redis: Redis) -> None:
        super().__init__()
        self.server = redis
        self._client = Client.from_url(redis.url)

    @property
    def env(self) -> dict[str, str]:
        return {"EVENT_BUS_REDIS_CONNECTION_URL": self.server.url, "EVENT_BUS_TOPIC_PREFIX": self.prefix}

    def create(self, *names: str, partitions: int = 1) -> None:
        """Do nothing: a stream is there when it has its first entry."""

    def send(self, topic: str, value: Any, attributes: Mapping[str, str] | None = None) -> None:
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self._client.xadd(self.full(topic), {**(attributes or {}), "event_data": content})

    def read_number(self, number: int, *topics: str, seconds: float = 60) -> list[Any]:
        deadline = time.monotonic() + seconds
        while True:
            names = [self.full(topic) for topic in topics]
            found = [
                RedisMessage(name, id.decode(), fields) for name in names for id, fields in self._client.xrange(name)
            ]
            if len(found) >= number:
                return found
            assert time.monotonic() < deadline, f"after {seconds:g} s only {len(found)} messages"
            time.sleep(0.1)


def content(message: JsonMessage) -> Any:
    """Return the JSON of a message."""
    return json.loads(message.value() or b"")
