"""
Events from Kafka: read in batches, decoded, handed on, and only then committed.

Not the bus's own loop: that one commits one message at a time whether or not it was stored, starts new groups at the
latest message, ends when a topic is not there and does not hear SIGTERM.

One turn of the loop gathers a batch, bounded in count, bytes and time; decodes it; hands it to ``handle``, which
returns when everything is in the database; then commits the positions after it. Whatever interrupts that order, the
events come again and are recognised. While the schema registry is away the partitions rest and the consumer stays in
its group.
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
from badges.intake.consumers.basics import ConsumerError, Counts, Handle
from badges.intake.consumers.schemas import RegistryAwayError, Schemas
from badges.intake.events import Event, Unreadable

log = logging.getLogger(__name__)

Place = tuple[str, int]

WAIT_SECONDS = 1.0  # for a first message; also how soon a request to stop is heard
GATHER_SECONDS = 0.1  # for more messages after the first
CHUNK = 50  # messages fetched at once, however large they are
ADDED_BYTES = 512  # what the names of fields add to an event when it is stored
QUIET_SECONDS = 1.0  # without a message at the end of all partitions: idle
TOPIC_PATIENCE = 30.0  # for a topic that is not there, when the consumer is to end by itself
FAREWELL_TRIES = 5  # for a last commit that fails


class KafkaIntake:
    """
    One member of a consumer group.

    ``say`` tells an operator, once each, what is waited for; ``counts`` is what it has read so far.
    """

    def __init__(
        self,
        topics: Sequence[str],
        group: str,
        *,
        handle: Handle,
        stop: StopRequest,
        say: Callable[[str], None],
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
        self._schemas: Any = None
        self._notices = _Notices(say)
        self._consumer: Any = None
        self._ahead: deque[Any] = deque()  # fetched
        self._held: list[Any] = []  # the batch: gathered and not handed on yet
        self._handled: dict[Place, int] = {}  # positions to commit
        self._assigned: set[Place] | None = None  # None until the group has told
        self._at_end: set[Place] = set()
        self._missing: dict[str, float] = {}  # topics that are not there, and since when
        self._last_arrival = time.monotonic()
        self._failure: ConsumerError | None = None
        self._resting = False

    def run(self) -> Counts:
        """Consume until asked to stop, idle or at the number of events wanted."""
        self._consumer = client.make_consumer(self._group, on_error=self._note_client_error)
        self._schemas = Schemas()
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self._is_done():
                self._gather()
                self._hand_on()
                self._commit()
                self._progress(self.counts)
            self._commit_at_last()
        finally:
            self._consumer.close()
            self._schemas.close()
        return self.counts

    # --- gathering ---------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Move messages into the batch until it is full, or nothing more comes for a moment."""
        until, size = 0.0, 0
        while self._room() > 0 and not self._stop.requested:
            if not self._ahead and not self._fetch(until):
                return
            size += len(self._ahead[0].value() or b"") + ADDED_BYTES
            if self._held and size > self._batch_bytes:
                return
            if not self._held:
                until = time.monotonic() + GATHER_SECONDS
            self._held.append(self._ahead.popleft())

    def _fetch(self, until: float) -> bool:
        """Fetch messages; return whether there are any now."""
        if not self._held:
            # A number of messages is waited for as a whole, so the first one is asked for alone.
            self._consume(1, WAIT_SECONDS)
        elif (left := until - time.monotonic()) > 0:
            self._consume(min(self._room(), CHUNK), left)
        return bool(self._ahead)

    def _room(self) -> int:
        wanted = self._batch_size
        if self._max_events is not None:
            wanted = min(wanted, self._max_events - self.counts.read)
        return wanted - len(self._held)

    def _consume(self, number: int, seconds: float) -> None:
        """Take messages; what the client and the group have to tell happens in here, too."""
        for message in self._consumer.consume(number, timeout=seconds):
            place = (message.topic(), message.partition())
            if message.error():
                self._note_error(message.error(), place)
            else:
                self.counts.begin()
                # Kept here and not by the caller: the group may take partitions away at any of these calls.
                self._ahead.append(message)
                self._at_end.discard(place)
                self._last_arrival = time.monotonic()
                self._notices.over("broker", "Kafka is back.")
        if self._failure:
            raise self._failure
        if not self._ahead:
            self._look_for_broker()

    # --- handing on --------------------------------------------------------------------------------------------------

    def _hand_on(self) -> None:
        batch = self._decode()
        if not self._held:
            return
        positions = {(message.topic(), message.partition()): message.offset() + 1 for message in self._held}
        if batch:
            self._handle(batch)
        self.counts.took()
        self._held = []
        self._handled.update(positions)

    def _decode(self) -> list[Event | Unreadable]:
        """Decode what is held; while the registry is away, wait. Leaves nothing held when asked to stop meanwhile."""
        while True:
            try:
                items = [messages.read(message, self._schemas, event_bytes=self._event_bytes) for message in self._held]
            except RegistryAwayError as error:
                self._notices.say("registry", f"The schema registry is not available ({error}); waiting for it.")
                self._rest()
                if self._stop.requested:
                    self._held = []
            else:
                self._notices.over("registry", "The schema registry is back.")
                if self._resting:
                    self._wake()
                for item in items:
                    if isinstance(item, Unreadable):
                        log.warning("Dead letter from %s: %s", item.source, item.reason)
                return self.counts.add(items)

    def _rest(self) -> None:
        """Let the partitions rest for a moment, and stay in the group."""
        self._resting = True
        self._consumer.pause(self._consumer.assignment())
        self._consume(1, WAIT_SECONDS)

    def _wake(self) -> None:
        self._resting = False
        self._consumer.resume(self._consumer.assignment())

    # --- committing --------------------------------------------------------------------------------------------------

    def _commit(self) -> bool:
        """Commit the positions of what was handled. What cannot be committed now is tried again at the next turn."""
        from confluent_kafka import KafkaError, KafkaException, TopicPartition  # noqa: PLC0415 -- an extra

        if not self._handled:
            return True
        offsets = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._handled.items()]
        try:
            results = self._consumer.commit(offsets=offsets, asynchronous=False)
            errors = [result.error for result in results if result.error]
        except KafkaException as exception:
            errors = [exception.args[0]]
        if not errors:
            self._handled.clear()
            self._notices.over("commit", "Positions are committed again.")
            return True
        error = errors[0]
        if error.code() in (
            KafkaError.ILLEGAL_GENERATION,
            KafkaError.UNKNOWN_MEMBER_ID,
            KafkaError.REBALANCE_IN_PROGRESS,
            KafkaError._NO_OFFSET,
            KafkaError._ASSIGNMENT_LOST,
        ):
            # The group gave the partitions to somebody else, who will recognise these events.
            log.info("The group has moved on before a commit: %s", error.str())
            self._handled.clear()
        elif _is_hopeless(error):
            raise _hopeless(error)
        else:
            self._notices.say("commit", f"Positions cannot be committed ({error.str()}); trying again.")
        return False

    def _commit_at_last(self) -> None:
        for attempt in range(FAREWELL_TRIES):
            if self._commit():
                return
            time.sleep(0.2 * 2**attempt)
        if self._handled:
            log.warning("The last positions were not committed; these events will come again and be recognised.")

    # --- what the group and the client tell --------------------------------------------------------------------------

    def _on_assign(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._assigned = (self._assigned or set()) | _places(partitions)
        self._last_arrival = time.monotonic()
        for topic in {topic for topic, _ in self._assigned} & self._missing.keys():
            del self._missing[topic]
            self._notices.over(f"topic {topic}", f"The topic {topic} is there.")
        log.info("Assigned: %s", sorted(self._assigned))

    def _on_revoke(self, consumer: Any, partitions: Sequence[Any]) -> None:
        if self._handled:
            self._commit()
        self._forget(partitions)

    def _on_lost(self, consumer: Any, partitions: Sequence[Any]) -> None:
        self._forget(partitions)

    def _forget(self, partitions: Sequence[Any]) -> None:
        """Drop what belongs to partitions that are no longer ours: it was not handled, and must not be committed."""
        gone = _places(partitions)
        self._ahead = deque(message for message in self._ahead if (message.topic(), message.partition()) not in gone)
        self._held = [message for message in self._held if (message.topic(), message.partition()) not in gone]
        self._handled = {place: offset for place, offset in self._handled.items() if place not in gone}
        self._assigned = (self._assigned or set()) - gone
        self._at_end -= gone
        log.info("Given back: %s", sorted(gone))

    def _note_error(self, error: Any, place: Place) -> None:
        from confluent_kafka import KafkaError  # noqa: PLC0415 -- an extra

        if error.code() == KafkaError._PARTITION_EOF:
            self._at_end.add(place)
        elif error.code() in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC):
            self._missing.setdefault(place[0], time.monotonic())
            self._notices.say(f"topic {place[0]}", f"The topic {place[0]} is not there yet; waiting for it.")
        else:
            self._note_client_error(error)

    def _note_client_error(self, error: Any) -> None:
        """Also called by the client, from within ``consume``; errors raised there would get lost."""
        from confluent_kafka import KafkaError  # noqa: PLC0415 -- an extra

        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._notices.say("broker", "Kafka is not available; waiting for it.")
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
            log.warning("A batch took longer than max.poll.interval.ms; its partitions went to somebody else.")
        elif _is_hopeless(error):
            self._failure = _hopeless(error)
        else:
            log.info("Kafka client: %s", error.str())

    def _look_for_broker(self) -> None:
        """When Kafka was away and nothing arrives: perhaps there is just nothing new."""
        from confluent_kafka import KafkaException  # noqa: PLC0415 -- an extra

        if self._notices.are_said("broker"):
            try:
                self._consumer.list_topics(self._topics[0], timeout=3)
            except KafkaException:
                return
            self._notices.over("broker", "Kafka is back.")

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
        if self._missing or self._ahead or self._assigned is None or self._notices.are_said("broker"):
            return False
        return self._assigned <= self._at_end and now - self._last_arrival > QUIET_SECONDS


class _Notices:
    """What was said to the operator: once when it begins, once when it is over."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._said: set[str] = set()

    def say(self, about: str, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            self._say(text)

    def over(self, about: str, text: str) -> None:
        if about in self._said:
            self._said.remove(about)
            self._say(text)

    def are_said(self, about: str) -> bool:
        return about in self._said


def _places(partitions: Sequence[Any]) -> set[Place]:
    return {(partition.topic, partition.partition) for partition in partitions}


def _is_hopeless(error: Any) -> bool:
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


def _hopeless(error: Any) -> ConsumerError:
    return ConsumerError(
        f"Kafka refuses us: {error.str()}. Correct the credentials, the topic or the group, then start again."
    )
