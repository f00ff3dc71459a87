"""
Events from Kafka: read in batches, decoded, decided, and only then committed.

The bus's own consumer is not used. It commits every message whether or not it was stored, starts new groups at the
latest message, ends when a topic does not exist, and does not react to SIGTERM.

One turn of the loop gathers a batch, which is limited in number, bytes and time. It decodes the batch and passes it to
``handle``, which returns when everything is in the database. Then it commits the offsets after the batch. If anything
interrupts this order, the events come again and are recognised. While the schema registry does not answer, the
partitions are paused and the consumer stays in its group.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from badges.common.stopping import StopRequest
from badges.conf import config
from badges.intake.consumers import client, messages
from badges.intake.consumers.base import ConsumerError, Counts, Handle
from badges.intake.consumers.schemas import RegistryAwayError, Schemas
from badges.intake.events import Event, Unreadable

log = logging.getLogger(__name__)

TopicPartition = tuple[str, int]

WAIT_SECONDS = 1.0  # for a first message; also how soon a request to stop is noticed
GATHER_SECONDS = 0.1  # for more messages after the first
CHUNK = 50  # messages fetched at once, however large they are
ADDED_BYTES = 512  # that the names of fields add to an event when it is stored
IDLE_SECONDS = 1.0  # without a message, at the end of all partitions: the consumer is idle
TOPIC_PATIENCE = 30.0  # for a topic that does not exist, when the consumer shall end by itself
LAST_COMMIT_ATTEMPTS = 5  # before the consumer ends without its last commit


class KafkaConsumer:
    """
    One member of a consumer group.

    ``handle`` gets each batch. ``notify`` gets a text for the operator when the consumer begins to wait for something,
    and when that is over. ``progress`` gets the counts after each batch. ``batch_size`` and ``max_events`` are numbers
    of events. ``topic_patience`` is how many seconds a topic may be missing when ``until_idle`` is set. Raises
    ConsumerError when Kafka cannot be used as it is configured.
    """

    def __init__(
        self,
        topics: Sequence[str],
        group: str,
        *,
        handle: Handle,
        stop: StopRequest,
        notify: Callable[[str], None],
        batch_size: int | None = None,
        until_idle: bool = False,
        max_events: int | None = None,
        topic_patience: float = TOPIC_PATIENCE,
        progress: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        client.check_ready()
        self.counts = Counts()
        self._topics = client.full_topics(list(topics))
        self._group = group
        self._handle = handle
        self._stop = stop
        self._batch_size = batch_size or config.intake["batch_size"]
        self._batch_bytes = config.intake["batch_bytes"]
        self._event_bytes = config.intake["event_bytes"]
        self._until_idle = until_idle
        self._max_events = max_events
        self._topic_patience = topic_patience
        self._progress = progress
        self._schemas: Schemas
        self._notices = _Notices(notify)
        self._consumer: Any = None
        self._fetched: deque[Any] = deque()  # fetched, and not in the batch yet
        self._batch: list[Any] = []  # gathered, and not handled yet
        self._uncommitted: dict[TopicPartition, int] = {}  # the offsets after what was handled
        self._assigned: set[TopicPartition] | None = None  # None until the group has assigned partitions
        self._at_end: set[TopicPartition] = set()
        self._missing: dict[str, float] = {}  # topics that do not exist, and since when
        self._last_arrival = time.monotonic()
        self._failure: ConsumerError | None = None
        self._paused = False

    def run(self) -> Counts:
        """Consume until a stop is requested, nothing is left or ``max_events`` were read. Raises ConsumerError."""
        self._consumer = client.make_consumer(self._group, on_error=self._note_client_error)
        self._schemas = Schemas()
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self._is_done():
                self._gather()
                self._handle_batch()
                self._commit()
                self._progress(self.counts)
            self._commit_before_exit()
        finally:
            self._consumer.close()
            self._schemas.close()
        return self.counts

    # --- gathering ---------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Move messages into the batch until it is full, or nothing more comes for a moment."""
        until, size = 0.0, 0
        while self._space_left() > 0 and not self._stop.requested:
            if not self._fetched and not self._fetch(until):
                return
            size += len(self._fetched[0].value() or b"") + ADDED_BYTES
            if self._batch and size > self._batch_bytes:
                return
            if not self._batch:
                until = time.monotonic() + GATHER_SECONDS
            self._batch.append(self._fetched.popleft())

    def _fetch(self, until: float) -> bool:
        """Fetch messages; return whether there are any now."""
        if not self._batch:
            # The client waits until it has the whole number of messages. So the first message is asked for alone.
            self._poll(1, WAIT_SECONDS)
        elif (left := until - time.monotonic()) > 0:
            self._poll(min(self._space_left(), CHUNK), left)
        return bool(self._fetched)

    def _space_left(self) -> int:
        wanted = self._batch_size
        if self._max_events is not None:
            wanted = min(wanted, self._max_events - self.counts.read)
        return wanted - len(self._batch)

    def _poll(self, number: int, seconds: float) -> None:
        """Fetch messages. The client also calls the callbacks of the group and of errors in here."""
        for message in self._consumer.consume(number, timeout=seconds):
            topic_partition = (message.topic(), message.partition())
            if message.error():
                self._note_error(message.error(), topic_partition)
            else:
                self.counts.begin()
                # Stored here and not by the caller: the group may revoke partitions at each of these calls.
                self._fetched.append(message)
                self._at_end.discard(topic_partition)
                self._last_arrival = time.monotonic()
                self._notices.end("broker", "Kafka is back.")
        if self._failure:
            raise self._failure
        if not self._fetched:
            self._check_broker()

    # --- handling ----------------------------------------------------------------------------------------------------

    def _handle_batch(self) -> None:
        batch = self._decode()
        if not self._batch:
            return
        offsets = {(message.topic(), message.partition()): message.offset() + 1 for message in self._batch}
        if batch:
            self._handle(batch)
        self.counts.end_batch()
        self._batch = []
        self._uncommitted.update(offsets)

    def _decode(self) -> list[Event | Unreadable]:
        """
        Decode the batch; wait while the schema registry does not answer.

        Leaves the batch empty when a stop is requested while it waits.
        """
        while True:
            try:
                items = [
                    messages.read(message, self._schemas, event_bytes=self._event_bytes) for message in self._batch
                ]
            except RegistryAwayError as error:
                self._notices.start("registry", f"The schema registry is not available ({error}); waiting for it.")
                self._pause()
                if self._stop.requested:
                    self._batch = []
            else:
                self._notices.end("registry", "The schema registry is back.")
                if self._paused:
                    self._resume()
                for item in items:
                    if isinstance(item, Unreadable):
                        log.warning("Dead letter from %s: %s", item.received_from, item.reason)
                return self.counts.add(items)

    def _pause(self) -> None:
        """Pause the partitions for a moment, and stay in the group."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())
        self._poll(1, WAIT_SECONDS)

    def _resume(self) -> None:
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    # --- committing --------------------------------------------------------------------------------------------------

    def _commit(self) -> bool:
        """Commit the offsets of what was handled. What cannot be committed now is tried again at the next turn."""
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

    def _commit_before_exit(self) -> None:
        for attempt in range(LAST_COMMIT_ATTEMPTS):
            if self._commit():
                return
            time.sleep(0.2 * 2**attempt)
        if self._uncommitted:
            log.warning("The last positions were not committed; these events will come again and be recognised.")

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
            self._commit()
        self._drop(partitions)

    def _on_lost(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._drop(partitions)

    def _drop(self, partitions: Sequence[Any]) -> None:
        """Drop messages and offsets of partitions that another member has now: they must not be committed here."""
        gone = _topic_partitions(partitions)
        self._fetched = deque(
            message for message in self._fetched if (message.topic(), message.partition()) not in gone
        )
        self._batch = [message for message in self._batch if (message.topic(), message.partition()) not in gone]
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

    def _is_done(self) -> bool:
        if self._stop.requested:
            return True
        if self._max_events is not None and self.counts.read >= self._max_events:
            return True
        return self._until_idle and self._is_idle()

    def _is_idle(self) -> bool:
        now = time.monotonic()
        for topic, since in self._missing.items():
            if now - since > self._topic_patience:
                raise ConsumerError(f"The topic {topic} is not there. Create it, or correct -t.")
        if self._missing or self._fetched or self._assigned is None or self._notices.is_open("broker"):
            return False
        return self._assigned <= self._at_end and now - self._last_arrival > IDLE_SECONDS


class _Notices:
    """Notifies the operator of a condition: once when it begins, and once when it ends."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._open: set[str] = set()

    def start(self, subject: str, text: str) -> None:
        if subject not in self._open:
            self._open.add(subject)
            self._notify(text)

    def end(self, subject: str, text: str) -> None:
        if subject in self._open:
            self._open.remove(subject)
            self._notify(text)

    def is_open(self, subject: str) -> bool:
        return subject in self._open


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
