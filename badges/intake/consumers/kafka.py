"""
Kafka as a bus: partitions are assigned by a consumer group, offsets are committed after a batch is decided.

The bus's own consumer is not used. It commits every message whether or not it was stored, starts new groups at the
latest message, ends when a topic does not exist, and does not react to SIGTERM.

While the schema registry does not answer, the partitions are paused and the consumer stays in its group.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from badges.conf import config
from badges.intake import flow_events
from badges.intake.consumers import json_messages, kafka_client, messages
from badges.intake.consumers.loop import WAIT_SECONDS, Bus, CannotDecodeError, ConsumerError, Item, OperatorNotices
from badges.intake.consumers.schemas import RegistryUnavailableError, Schemas
from badges.intake.events import Unreadable

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]

GATHER_SECONDS = 0.1  # for more messages after the first
ADDED_BYTES = 512  # that the names of fields add to an event when it is stored
IDLE_SECONDS = 1.0  # without a message, at the end of all partitions: the consumer is idle
TOPIC_WAIT_SECONDS = 30.0  # for a topic that does not exist, when the consumer shall end by itself


class _RegistryPauseError(CannotDecodeError):
    when_over = "The schema registry is back."


class KafkaBus(Bus[Any]):
    """
    One member of a consumer group. Its messages are those of ``confluent_kafka``.

    ``topic_wait_seconds`` is how many seconds a topic may be missing before ``is_idle`` raises ConsumerError. Raises
    ConsumerError when Kafka cannot be used as it is configured.
    """

    gather_seconds = GATHER_SECONDS

    def __init__(self, topics: Sequence[str], group: str, *, topic_wait_seconds: float = TOPIC_WAIT_SECONDS) -> None:
        named = json_messages.topics()
        self._needs_registry = not set(topics) <= named
        kafka_client.check_ready(needs_registry=self._needs_registry)
        self._topics = kafka_client.full_topics(list(topics))
        self._json_topics = frozenset(kafka_client.full_topics([topic for topic in topics if topic in named]))
        self._bare_types = dict(zip(kafka_client.full_topics(list(flow_events.TYPES)), flow_events.TYPES, strict=True))
        self._group = group
        self._event_bytes = config.intake["event_bytes"]
        self._topic_wait_seconds = topic_wait_seconds
        self._schemas: Schemas | None = None
        self._notices: OperatorNotices
        self._discard: Callable[[Callable[[Any], bool]], None]
        self._consumer: Any = None
        self._uncommitted: dict[TopicPartition, int] = {}  # the offsets after what was acknowledged
        self._assigned: set[TopicPartition] | None = None  # None until the group has assigned partitions
        self._at_end: set[TopicPartition] = set()
        self._missing: dict[str, float] = {}  # topics that do not exist, and since when
        self._last_arrival = time.monotonic()
        self._failure: ConsumerError | None = None
        self._paused = False

    def open(self, *, notices: OperatorNotices, discard: Callable[[Callable[[Any], bool]], None]) -> None:
        self._notices, self._discard = notices, discard
        self._consumer = kafka_client.make_consumer(self._group, on_error=self._note_client_error)
        self._schemas = Schemas() if self._needs_registry else None
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        if self._schemas is not None:
            self._schemas.close()

    # --- reading -----------------------------------------------------------------------------------------------------

    def fetch(self, number: int, seconds: float) -> list[Any]:
        """Fetch messages. The client also calls the callbacks of the group and of errors in here."""
        arrived = []
        for message in self._consumer.consume(number, timeout=seconds):
            topic_partition = (message.topic(), message.partition())
            if message.error():
                self._note_error(message.error(), topic_partition)
            else:
                arrived.append(message)
                self._at_end.discard(topic_partition)
                self._last_arrival = time.monotonic()
                self._notices.end("broker", "Kafka is back.")
        if self._failure:
            raise self._failure
        if not arrived:
            self._check_broker()
        return arrived

    def size(self, message: Any) -> int:
        return len(message.value() or b"") + ADDED_BYTES

    def decode(self, batch: Sequence[Any]) -> list[Item]:
        try:
            items = [self._read(message) for message in batch]
        except RegistryUnavailableError as error:
            raise _RegistryPauseError(f"The schema registry is not available ({error}); waiting for it.") from error
        if self._paused:
            self._resume()
        for item in items:
            if isinstance(item, Unreadable):
                log.warning("Dead letter from %s: %s", item.received_from, item.reason)
        return items

    def _read(self, received: Any) -> Item:
        message, topic = message_of(received), received.topic()
        if topic in self._json_topics:
            return json_messages.read(message, event_bytes=self._event_bytes, bare_type=self._bare_types.get(topic))
        assert self._schemas is not None
        return messages.read(message, self._schemas.decode, event_bytes=self._event_bytes)

    def wait(self) -> list[Any]:
        """Pause the partitions for a moment, and stay in the group."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())
        return self.fetch(1, WAIT_SECONDS)

    def _resume(self) -> None:
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    # --- committing --------------------------------------------------------------------------------------------------

    def acknowledge(self, messages: Sequence[Any]) -> None:
        self._uncommitted.update(((message.topic(), message.partition()), message.offset() + 1) for message in messages)

    def commit(self) -> bool:
        """Commit the offsets of what was acknowledged. Return False when that is not possible now."""
        import confluent_kafka  # noqa: PLC0415 -- an extra

        if not self._uncommitted:
            return True
        offsets = [
            confluent_kafka.TopicPartition(topic, partition, offset)
            for (topic, partition), offset in self._uncommitted.items()
        ]
        try:
            results = self._consumer.commit(offsets=offsets, asynchronous=False)
            errors = [result.error for result in results if result.error]
        except confluent_kafka.KafkaException as exception:
            errors = [exception.args[0]]
        if not errors:
            self._uncommitted.clear()
            self._notices.end("commit", "Positions are committed again.")
            return True
        error = errors[0]
        if error.code() in (
            confluent_kafka.KafkaError.ILLEGAL_GENERATION,
            confluent_kafka.KafkaError.UNKNOWN_MEMBER_ID,
            confluent_kafka.KafkaError.REBALANCE_IN_PROGRESS,
            confluent_kafka.KafkaError._NO_OFFSET,
            confluent_kafka.KafkaError._ASSIGNMENT_LOST,
        ):
            # The group has assigned the partitions to another member, which will recognise these events.
            log.info("The group was rebalanced before a commit: %s", error.str())
            self._uncommitted.clear()
        elif _is_fatal(error):
            raise _refusal(error)
        else:
            self._notices.start("commit", f"Positions cannot be committed ({error.str()}); trying again.")
        return False

    # --- callbacks of the group and the client -----------------------------------------------------------------------

    def _on_assign(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._assigned = (self._assigned or set()) | _topic_partitions(partitions)
        self._last_arrival = time.monotonic()
        for topic in {topic for topic, _ in self._assigned} & self._missing.keys():
            del self._missing[topic]
            self._notices.end(f"topic {topic}", f"The topic {topic} is there.")
        log.info("Assigned: %s", sorted(self._assigned))

    def _on_revoke(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if self._uncommitted:
            self.commit()
        self._drop(partitions)

    def _on_lost(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._drop(partitions)

    def _drop(self, partitions: Sequence[Any]) -> None:
        """Drop messages and offsets of partitions that another member has now: they must not be committed here."""
        gone = _topic_partitions(partitions)
        self._discard(lambda message: (message.topic(), message.partition()) in gone)
        self._uncommitted = {
            topic_partition: offset
            for topic_partition, offset in self._uncommitted.items()
            if topic_partition not in gone
        }
        self._assigned = (self._assigned or set()) - gone
        self._at_end -= gone
        log.info("Revoked: %s", sorted(gone))

    def _note_error(self, error: Any, topic_partition: TopicPartition) -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415 -- an extra

        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(topic_partition)
        elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            self._missing.setdefault(topic_partition[0], time.monotonic())
            self._notices.start(
                f"topic {topic_partition[0]}", f"The topic {topic_partition[0]} is not there yet; waiting for it."
            )
        else:
            self._note_client_error(error)

    def _note_client_error(self, error: Any) -> None:
        """Note an error. The client calls this from within ``consume``, where a raised error would get lost."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 -- an extra

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._notices.start("broker", "Kafka is not available; waiting for it.")
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
            log.warning("A batch took longer than max.poll.interval.ms; its partitions went to another member.")
        elif _is_fatal(error):
            self._failure = _refusal(error)
        else:
            log.info("Kafka client: %s", error.str())

    def _check_broker(self) -> None:
        """Ask the broker after an outage: it may be back although no new message arrives."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 -- an extra

        if self._notices.is_open("broker"):
            try:
                self._consumer.list_topics(self._topics[0], timeout=3)
            except KafkaException:
                return
            self._notices.end("broker", "Kafka is back.")

    # --- ending ------------------------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        """Return whether all partitions were read to their ends. Raises ConsumerError when a topic stays missing."""
        now = time.monotonic()
        for topic, since in self._missing.items():
            if now - since > self._topic_wait_seconds:
                raise ConsumerError(f"The topic {topic} is not there. Create it, or correct -t.")
        if self._missing or self._assigned is None or self._notices.is_open("broker"):
            return False
        return self._assigned <= self._at_end and now - self._last_arrival > IDLE_SECONDS


def message_of(received: Any) -> messages.Message:
    """Return a message of ``confluent_kafka`` as one of any bus."""
    kind, milliseconds = received.timestamp()
    return messages.Message(
        messages.Attributes(received.headers() or (), prefix="ce_", kind="header"),
        received.value(),
        f"kafka:{received.topic()}/{received.partition()}@{received.offset()}",
        milliseconds if kind else None,
    )


def _topic_partitions(partitions: Sequence[Any]) -> set[TopicPartition]:
    return {(partition.topic, partition.partition) for partition in partitions}


def _is_fatal(error: Any) -> bool:
    from confluent_kafka import KafkaError  # noqa: PLC0415 -- an extra

    return error.fatal() or error.code() in (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.INVALID_GROUP_ID,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
    )


def _refusal(error: Any) -> ConsumerError:
    return ConsumerError(
        f"Kafka refuses this consumer: {error.str()}. "
        "Correct the credentials, the topic or the group, then start again."
    )
