"""
The loop of every consumer: gather a batch, have it decided, and only then acknowledge it.

One turn of the loop gathers a batch, which is limited in number, bytes and time. It decodes the batch and passes it to
``handle``, which returns when everything is in the database. Then the bus commits its position after the batch. If
anything interrupts this order, the events come again and are recognised.

What differs between the buses is a ``Bus``: it fetches messages, decodes them, and commits a position.
"""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from badges.catalog import event_types
from badges.catalog.event_types import EventDefinition
from badges.common.stopping import StopRequest
from badges.conf import config
from badges.exceptions import BadgesError, Retryable
from badges.intake import flow_events
from badges.intake.events import Event, Unreadable
from badges.intake.flow_events import FlowEventType

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.0  # for a first message; also how soon a request to stop is noticed
CHUNK = 50  # messages fetched at once, however large they are
LAST_COMMIT_ATTEMPTS = 5  # before the consumer ends without its last commit

NOT_CONFIGURED = "not configured"

Message = TypeVar("Message")

# Gets a batch. Returns when everything that it decided is committed. Raises Retryable when nothing may be acknowledged.
Handle = Callable[[Sequence[Event | Unreadable]], Any]


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event of a known type that is not configured here. It was not decoded."""

    type: str


Item = Event | Unreadable | Skipped


class ConsumerError(BadgesError):
    """The consumer cannot go on; the message says what to change before it is started again."""


class CannotDecodeError(Retryable):
    """
    Nothing can be decoded until something outside answers again.

    The operator is notified of the message once when the wait begins, and of ``when_over`` once when it ends.
    """

    when_over = "Messages are decoded again."


class OperatorNotices:
    """Notifies the operator, of a condition once when it begins and once when it ends."""

    def __init__(self, notify: Callable[[str], None]) -> None:
        self._notify = notify
        self._open: set[str] = set()

    def start(self, subject: str, text: str) -> None:
        """Notify the operator that a condition has begun, unless the operator was notified already."""
        if subject not in self._open:
            self._open.add(subject)
            self._notify(text)

    def end(self, subject: str, text: str) -> None:
        """Notify the operator that a condition has ended, if it had begun."""
        if subject in self._open:
            self._open.remove(subject)
            self._notify(text)

    def tell(self, text: str) -> None:
        """Notify the operator of something that has no end."""
        self._notify(text)

    def is_open(self, subject: str) -> bool:
        """Return whether a condition has begun and not ended."""
        return subject in self._open


class Bus(ABC, Generic[Message]):
    """
    Where a consumer's messages come from.

    The loop calls ``open`` first and ``close`` last. All methods are called in one thread. Each may raise
    ConsumerError, which ends the consumer.
    """

    gather_seconds: float
    """How long a batch waits for more messages after its first one."""

    @abstractmethod
    def open(self, *, notices: OperatorNotices, discard: Callable[[Callable[[Message], bool]], None]) -> None:
        """
        Connect.

        ``notices`` tells the operator of outages. ``discard(belongs_elsewhere)`` removes those messages from the loop
        that another consumer gets now: they are not decided here. A bus may call it while it fetches or waits.
        """

    @abstractmethod
    def fetch(self, number: int, seconds: float) -> Sequence[Message]:
        """Return the next messages, at most ``number``. Return after ``seconds`` at the latest, even with none."""

    @abstractmethod
    def size(self, message: Message) -> int:
        """Return how many bytes a message takes when its event is stored, approximately."""

    @abstractmethod
    def decode(self, messages: Sequence[Message]) -> list[Item]:
        """Return what each message is. Raises CannotDecodeError when that is not possible now."""

    def wait(self) -> Sequence[Message]:
        """Wait for a moment, since messages cannot be decoded. Return messages that arrived all the same."""
        time.sleep(WAIT_SECONDS)
        return ()

    @abstractmethod
    def acknowledge(self, messages: Sequence[Message]) -> None:
        """Note that everything that these messages caused is committed in our database."""

    @abstractmethod
    def commit(self) -> bool:
        """
        Commit the position after all acknowledged messages.

        Return False when that is not possible now. The loop calls it again after the next batch.
        """

    @abstractmethod
    def is_idle(self) -> bool:
        """Return whether there is nothing to read at the moment, as far as is known."""

    @abstractmethod
    def close(self) -> None:
        """Disconnect."""


def definition_of(event_type: str) -> EventDefinition | FlowEventType | None:
    """
    Return the definition of an event type, or None when it is known but not configured here.

    The events of other services about accounts (``flow_events``) need no configuration.

    Raises UnknownEventType when no installed package defines it, and it is no event type of this site. Raises Retryable
    when the database has to be asked for one, and does not answer.
    """
    if flow := flow_events.find(event_type):
        return flow
    found = event_types.find(event_type)
    if found is None and not event_types.is_known(event_type):
        raise event_types.unknown(event_type)
    return found


@dataclass
class Counts:
    """
    What a consumer has read.

    ``skipped`` counts by event type and reason. ``seconds`` is the time from the first event to the end of the last
    batch.
    """

    read: int = 0
    unreadable: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0
    _began: float | None = None

    def begin(self) -> None:
        """Note that an event has arrived. Time counts from the first one, so joining a consumer group is left out."""
        if self._began is None:
            self._began = time.monotonic()

    def end_batch(self) -> None:
        """Note that everything that was read is decided."""
        if self._began is not None:
            self.seconds = time.monotonic() - self._began

    def add(self, items: Sequence[Event | Unreadable | Skipped]) -> list[Event | Unreadable]:
        """Count items; return those that ``handle`` has to get."""
        kept: list[Event | Unreadable] = []
        for item in items:
            if isinstance(item, Skipped):
                self.skipped[item.type, NOT_CONFIGURED] += 1
            else:
                kept.append(item)
                self.unreadable += isinstance(item, Unreadable)
        self.read += len(items)
        return kept


class Consumer(Generic[Message]):
    """
    Reads a bus.

    ``handle`` gets each batch. ``notify`` gets a text for the operator when the consumer begins to wait for something,
    and when that is over. ``progress`` gets the counts after each batch. ``stop`` ends the reading after the current
    batch. ``batch_size`` and ``max_events`` are numbers of events. With ``until_idle`` it ends when nothing is left.

    ``finished`` tells afterwards whether it ended by itself, and not because it was asked to stop.
    """

    def __init__(
        self,
        bus: Bus[Message],
        *,
        handle: Handle,
        stop: StopRequest,
        notify: Callable[[str], None] = log.warning,
        batch_size: int | None = None,
        until_idle: bool = False,
        max_events: int | None = None,
        progress: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        self.counts = Counts()
        self.finished = False
        self._bus = bus
        self._handle = handle
        self._stop = stop
        self._notices = OperatorNotices(notify)
        self._batch_size = batch_size or config.intake["batch_size"]
        self._batch_bytes = config.intake["batch_bytes"]
        self._until_idle = until_idle
        self._max_events = max_events
        self._progress = progress
        self._fetched: deque[Message] = deque()  # fetched, and not in the batch yet
        self._batch: list[Message] = []  # gathered, and not handled yet

    def run(self) -> Counts:
        """Consume until a stop is requested, nothing is left or ``max_events`` were read. Raises ConsumerError."""
        try:
            self._bus.open(notices=self._notices, discard=self._discard)
            while not self._is_done():
                self._gather()
                self._handle_batch()
                self._bus.commit()
                self._progress(self.counts)
            self._commit_before_exit()
        finally:
            self._bus.close()
        return self.counts

    # --- gathering ---------------------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Move messages into the batch until it is full, or nothing more comes for a moment."""
        until, size = 0.0, 0
        while (space := self._space_left()) > 0 and not self._stop.requested:
            if not self._fetched and not self._fetch(space, until):
                return
            size += self._bus.size(self._fetched[0])
            if self._batch and size > self._batch_bytes:
                return
            if not self._batch:
                until = time.monotonic() + self._bus.gather_seconds
            self._batch.append(self._fetched.popleft())

    def _fetch(self, number: int, until: float) -> bool:
        """Fetch messages; return whether there are any now."""
        if not self._batch:
            # A bus may wait until it has the whole number of messages. So the first message is asked for alone.
            self._add(self._bus.fetch(1, WAIT_SECONDS))
        elif (left := until - time.monotonic()) > 0:
            self._add(self._bus.fetch(min(number, CHUNK), left))
        return bool(self._fetched)

    def _add(self, messages: Sequence[Message]) -> None:
        if messages:
            self.counts.begin()
            self._fetched.extend(messages)

    def _space_left(self) -> int:
        wanted = self._batch_size
        if self._max_events is not None:
            wanted = min(wanted, self._max_events - self.counts.read)
        return wanted - len(self._batch)

    def _discard(self, belongs_elsewhere: Callable[[Message], bool]) -> None:
        self._fetched = deque(message for message in self._fetched if not belongs_elsewhere(message))
        self._batch = [message for message in self._batch if not belongs_elsewhere(message)]

    # --- handling ----------------------------------------------------------------------------------------------------

    def _handle_batch(self) -> None:
        kept = self.counts.add(self._decode())
        if not self._batch:
            return
        if kept:
            self._handle(kept)
        self.counts.end_batch()
        handled, self._batch = self._batch, []
        self._bus.acknowledge(handled)

    def _decode(self) -> list[Item]:
        """
        Decode the batch; wait while that is not possible.

        Leaves the batch empty when a stop is requested while it waits.
        """
        waiting: CannotDecodeError | None = None
        while True:
            try:
                items = self._bus.decode(self._batch)
            except CannotDecodeError as error:
                waiting = error
                self._notices.start("decoding", str(error))
                self._add(self._bus.wait())
                if self._stop.requested:
                    self._batch = []
            else:
                if waiting:
                    self._notices.end("decoding", waiting.when_over)
                return items

    # --- ending ------------------------------------------------------------------------------------------------------

    def _is_done(self) -> bool:
        if self._max_events is not None and self.counts.read >= self._max_events:
            self.finished = True
        elif not self._stop.requested and self._until_idle and not self._fetched:
            self.finished = self._bus.is_idle()
        return self.finished or self._stop.requested

    def _commit_before_exit(self) -> None:
        for attempt in range(LAST_COMMIT_ATTEMPTS):
            if self._bus.commit():
                return
            time.sleep(0.2 * 2**attempt)
        log.warning("The last positions were not committed; these events will come again and be recognised.")
