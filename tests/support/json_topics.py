"""Topics of JSON events for tests: written and read by confluent-kafka alone, with no code of the product."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from confluent_kafka import Consumer, Message, Producer

from tests.services import Kafka

_numbers = count(1)


class JsonTopics:
    """The topics of one host, told apart from those of other tests by their prefix."""

    def __init__(self, kafka: Kafka) -> None:
        self.kafka = kafka
        self.prefix = f"flows{next(_numbers)}"
        self._producer: Producer | None = None

    def create(self, *names: str, partitions: int = 1) -> None:
        for name in names:
            self.kafka.create_topic(self.full(name), partitions=partitions)

    def full(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def send(self, topic: str, value: Any, *, key: str | None = None, headers: Any = None) -> None:
        """Put a message on a topic: bytes as they are, anything else as JSON."""
        if self._producer is None:
            self._producer = Producer({"bootstrap.servers": self.kafka.bootstrap_servers, "log_level": 0})
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self._producer.produce(self.full(topic), content, key=key, headers=headers)
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

    def read_number(self, number: int, *topics: str, seconds: float = 60) -> list[Message]:
        """Read at least that many messages."""
        return self.read(*topics, enough=lambda found: len(found) >= number, seconds=seconds)


def content(message: Message) -> Any:
    """Return the JSON of a message."""
    return json.loads(message.value() or b"")
