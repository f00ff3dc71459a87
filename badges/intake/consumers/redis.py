"""
Redis streams as a bus: a group shares the entries of each stream, and entries are acknowledged after a batch.

The bus's own consumer is not used. It acknowledges every entry whether or not it was stored, skips what was there
before its start unless it is told otherwise, ends when Redis goes away, and does not react to SIGTERM.

Redis remembers for a group which entry was given out last, and which entries are given out and not acknowledged
(pending), with the name of the consumer that has each. From there come four promises:

- What a killed consumer had is taken over by another one, when it was not acknowledged for some time. A consumer that
  ends in order releases what it has not decided.
- What was given out in an answer that got lost is read again after each outage.
- Producers trim streams, so an entry may be gone before it was read. Redis counts the entries that a stream ever had
  and those that the group was given. The difference is what the group has lost: it is logged and becomes a dead letter.
- An emptied Redis has no groups. They are created again, at the earliest entry.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from badges.conf import config
from badges.exceptions import EventError
from badges.intake import flow_events
from badges.intake.consumers import json_messages, messages, redis_client
from badges.intake.consumers.loop import Bus, ConsumerError, Item, OperatorNotices
from badges.intake.consumers.schemas import SignalSchemas
from badges.intake.events import Unreadable, unreadable_id

log = logging.getLogger(__name__)

GATHER_SECONDS = 0.1  # for more entries after the first
IDLE_SECONDS = 1.0  # without an entry, at the end of all streams: the consumer is idle
LOOK_SECONDS = 1.0  # between two looks for a stream that is not there
TOPIC_WAIT_SECONDS = 30.0  # for a stream that does not exist, when the consumer shall end by itself
ADDED_BYTES = 512  # that the names of fields add to an event when it is stored
FETCH_BYTES = 8 * 1024 * 1024  # that one read gives, approximately: entries may be of any size
CLAIMED_AT_ONCE = 100
PAGE = 1000  # ids in one command

VALUE_FIELD = b"event_data"
# The name under which a group keeps entries that a consumer has released.
RELEASED = "released"
# Released entries count as not acknowledged for so long, so that they are taken over at once.
RELEASED_IDLE = 24 * 3600 * 1000

BEGINNING = "0-0"

TRIMMED = (
    "{number} entries of the stream {stream} were trimmed before they were decided: {range}. Read these events from "
    "another source, such as a file. Let the producers keep more entries (EVENT_BUS_REDIS_STREAM_MAX_LEN)."
)


class Entry(NamedTuple):
    """An entry of a stream."""

    stream: str
    id: str
    fields: Mapping[bytes, bytes]

    @property
    def size(self) -> int:
        """How many bytes its fields have."""
        return sum(len(name) + len(value) for name, value in self.fields.items())


class Trimmed(NamedTuple):
    """
    Entries that were trimmed before they were decided.

    ``ids`` are those of them that a consumer was given; they are acknowledged.
    """

    stream: str
    number: int
    range: str
    ids: tuple[str, ...] = ()

    @property
    def reason(self) -> str:
        """What the operator is told."""
        return TRIMMED.format(number=self.number, stream=self.stream, range=self.range)


RedisMessage = Entry | Trimmed


@dataclass
class _Stream:
    """What is known of one stream. Times are those of the monotonic clock."""

    name: str
    is_ready: bool = False  # its group is there
    missing_since: float | None = None
    next_look: float = 0.0  # for a stream that is missing
    history: str | None = BEGINNING  # what this consumer was given is read again from there; None: it was read
    claim_from: str = BEGINNING
    next_claim: float = 0.0
    claimed: list[Entry] = field(default_factory=list)  # taken over, and not given to the loop yet
    at_end: bool = False

    def read_again(self) -> None:
        """Note that an answer may have got lost."""
        self.history, self.claim_from, self.next_claim, self.at_end = BEGINNING, BEGINNING, 0.0, False
        self.claimed = []


class RedisBus(Bus[RedisMessage]):
    """
    One consumer of a group. Its name in the group is its own, and is removed when it ends in order.

    ``topic_wait_seconds`` is how many seconds a stream may be missing before ``is_idle`` raises ConsumerError. Raises
    ConsumerError when Redis cannot be used as it is configured.
    """

    gather_seconds = GATHER_SECONDS

    def __init__(self, topics: Sequence[str], group: str, *, topic_wait_seconds: float = TOPIC_WAIT_SECONDS) -> None:
        redis_client.check_ready()
        named = json_messages.topics()
        self._streams = [_Stream(name) for name in redis_client.full_topics(list(topics))]
        self._json_streams = frozenset(redis_client.full_topics([topic for topic in topics if topic in named]))
        self._bare_types = dict(zip(redis_client.full_topics([*flow_events.TYPES]), flow_events.TYPES, strict=True))
        self._group = group
        self._consumer = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._event_bytes = config.intake["event_bytes"]
        self._claim_seconds = _claim_seconds()
        self._topic_wait_seconds = topic_wait_seconds
        self._schemas = SignalSchemas()
        self._notices: OperatorNotices
        self._client: Any = None
        self._held: set[tuple[str, str]] = set()  # given to the loop, and not acknowledged in Redis yet
        self._unacknowledged: dict[str, list[str]] = defaultdict(list)  # decided
        self._largest = ADDED_BYTES  # bytes of the largest entry of the last read
        self._last_arrival = time.monotonic()
        self._was_connected = False
        self._trimmed: list[Trimmed] = []  # noted, and not given to the loop yet

    def open(self, *, notices: OperatorNotices, discard: Callable[[Callable[[RedisMessage], bool]], None]) -> None:
        """
        Make the client. It connects with the first ``fetch``.

        Nothing is discarded: what another consumer has taken over is decided twice, and recognised.
        """
        self._notices = notices
        self._client = redis_client.make_client()
        # A URL may name a time-out of its own. An answer that is late is an outage.
        self._longest_wait = self._client.connection_pool.connection_kwargs["socket_timeout"] / 2

    # --- reading -----------------------------------------------------------------------------------------------------

    def fetch(self, number: int, seconds: float) -> list[RedisMessage]:
        until = time.monotonic() + seconds
        number = min(number, max(1, FETCH_BYTES // self._largest))
        arrived: list[RedisMessage] = []
        try:
            self._prepare()
            arrived += self._read(number) or self._wait_for_new(number, until)
            self._notices.end("broker", "Redis is back.")
        except Exception as error:
            self._note_error(error)  # what was given out already is read again
            time.sleep(max(until - time.monotonic(), 0))
        arrived += self._trimmed
        self._trimmed = []
        if arrived:
            self._last_arrival = time.monotonic()
            self._held.update((entry.stream, entry.id) for entry in arrived if isinstance(entry, Entry))
            self._held.update((lost.stream, id) for lost in arrived if isinstance(lost, Trimmed) for id in lost.ids)
            self._largest = max(self.size(message) for message in arrived)
        return arrived

    def _read(self, number: int) -> list[Entry]:
        """Return what is there, at most ``number``."""
        arrived: list[Entry] = []
        self._streams.append(self._streams.pop(0))  # each stream is the first one in turn
        for stream in self._streams:
            for read in (self._read_again, self._claim, self._read_new):
                if stream.is_ready and len(arrived) < number:
                    arrived += read(stream, number - len(arrived))
        return arrived

    def _read_again(self, stream: _Stream, number: int) -> list[Entry]:
        """Return entries that this consumer was given, and that did not arrive here."""
        arrived: list[Entry] = []
        while stream.history is not None and not arrived:
            found = self._client.xreadgroup(self._group, self._consumer, {stream.name: stream.history}, count=number)
            entries = _entries(stream, found)
            stream.history = entries[-1].id if len(entries) == number else None
            arrived += self._new_ones(stream, entries, [])
        return arrived

    def _claim(self, stream: _Stream, number: int) -> list[Entry]:
        """Return entries that were given to another consumer, and that it has not acknowledged for too long."""
        if not stream.claimed and time.monotonic() >= stream.next_claim:
            self._claim_page(stream)
        arrived, stream.claimed = stream.claimed[:number], stream.claimed[number:]
        return arrived

    def _claim_page(self, stream: _Stream) -> None:
        idle, count = int(self._claim_seconds * 1000), max(1, min(CLAIMED_AT_ONCE, FETCH_BYTES // self._largest))
        cursor, found, trimmed, *_ = self._client.xautoclaim(
            stream.name, self._group, self._consumer, idle, stream.claim_from, count=count
        )
        stream.claim_from = _text(cursor)
        if stream.claim_from == BEGINNING:
            stream.next_claim = time.monotonic() + self._claim_seconds / 4
        entries = self._new_ones(stream, _entries(stream, [(stream.name, found)]), [_text(id) for id in trimmed])
        if entries:
            log.info("Took over %s entries of the stream %s.", len(entries), stream.name)
        stream.claimed += entries

    def _new_ones(self, stream: _Stream, entries: Sequence[Entry], trimmed: Sequence[str]) -> list[Entry]:
        """Leave out what the loop has already, and note what was trimmed while it was pending."""
        gone = [*trimmed, *(entry.id for entry in entries if not entry.fields)]
        if ids := tuple(id for id in gone if (stream.name, id) not in self._held):
            self._note_trimmed(Trimmed(stream.name, len(ids), _range_of(ids), ids))
        return [entry for entry in entries if entry.fields and (stream.name, entry.id) not in self._held]

    def _read_new(self, stream: _Stream, number: int) -> list[Entry]:
        """Return entries that the group was not given yet, and note what was trimmed before them."""
        pipe = self._client.pipeline(transaction=True)
        pipe.xinfo_groups(stream.name)
        pipe.xinfo_stream(stream.name)
        pipe.xreadgroup(self._group, self._consumer, {stream.name: ">"}, count=number)
        pipe.xinfo_groups(stream.name)
        results = pipe.execute(raise_on_error=False)
        for error in (results[2], *results):  # that of the read says the most
            if isinstance(error, Exception):
                raise error
        groups, info, found, groups_after = results
        entries, before, after = _entries(stream, found), self._group_of(groups), self._group_of(groups_after)
        stream.at_end = not entries
        lost = self._lost(stream, before, info)
        if lost:
            self._note_trimmed(lost)
        if not entries and before.get("entries-read") != info["entries-added"]:
            self._correct_counter(stream, None)
        elif lost and after["entries-read"] == before["entries-read"] + len(entries):
            self._correct_counter(stream, lost.number)
        return entries

    def _wait_for_new(self, number: int, until: float) -> list[Entry]:
        """Wait until a stream has a new entry."""
        ready = {stream.name: stream for stream in self._streams if stream.is_ready}
        if (left := until - time.monotonic()) <= 0:
            return []
        if not ready:
            time.sleep(left)
            return []
        milliseconds = max(int(min(left, self._longest_wait) * 1000), 1)  # 0 would be for ever
        found = self._client.xreadgroup(
            self._group, self._consumer, dict.fromkeys(ready, ">"), count=number, block=milliseconds
        )
        arrived: list[Entry] = []
        for name, entries in found or ():
            stream = ready[_text(name)]
            stream.at_end = False
            arrived += _entries(stream, [(name, entries)])
        return arrived

    # --- what was lost -----------------------------------------------------------------------------------------------

    def _lost(self, stream: _Stream, group: Any, info: Any) -> Trimmed | None:
        """Return what was trimmed after the entry that the group was given last; None when nothing was."""
        read, last = group.get("entries-read"), _text(group["last-delivered-id"])
        first = _first_id(info)
        if read is None or (first is not None and _order(first) <= _order(last)):
            return None
        number = info["entries-added"] - info["length"] - read
        if number <= 0:
            return None
        end = f"before {first}" if first else f"up to {_text(info['last-generated-id'])}"
        return Trimmed(stream.name, number, f"those after {last} and {end}")

    def _correct_counter(self, stream: _Stream, lost: int | None) -> None:
        """
        Correct how many entries the group was given: it was not given ``lost`` entries that are past; None: all are.

        Redis 7.0 does not count entries that were trimmed, and forgets some when it is started again. Other consumers
        may read meanwhile, so this is tried several times. While the counter is wrong, a loss that comes next is told
        with a wrong number.
        """
        from redis.exceptions import WatchError  # noqa: PLC0415 -- an extra

        with self._client.pipeline() as pipe:
            for _ in range(20):
                try:
                    pipe.watch(stream.name)
                    info, group = pipe.xinfo_stream(stream.name), self._group_of(pipe.xinfo_groups(stream.name))
                    last, number = _text(group["last-delivered-id"]), (group["entries-read"] or 0) + (lost or 0)
                    if lost is None:
                        if info["length"] and last != _text(info["last-generated-id"]):
                            return  # there are new entries
                        last, number = _text(info["last-generated-id"]), info["entries-added"]
                    pipe.multi()
                    pipe.xgroup_setid(stream.name, self._group, last, entries_read=number)
                    pipe.execute()
                except WatchError:
                    continue
                return
        log.info("The counter of the group %s was not corrected: %s is written all the time.", self._group, stream.name)

    def _group_of(self, groups: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        for group in groups:
            if _text(group["name"]) == self._group:
                return group
        from redis.exceptions import ResponseError  # noqa: PLC0415 -- an extra

        raise ResponseError("NOGROUP The group is gone.")

    def _note_trimmed(self, lost: Trimmed) -> None:
        """Tell the operator at once: the dead letter is written later, and only if this process lives so long."""
        self._trimmed.append(lost)
        self._notices.tell(lost.reason)

    # --- decoding ----------------------------------------------------------------------------------------------------

    def size(self, message: RedisMessage) -> int:
        return ADDED_BYTES + (message.size if isinstance(message, Entry) else 0)

    def decode(self, batch: Sequence[RedisMessage]) -> list[Item]:
        items = [self._item(message) for message in batch]
        for item in items:
            if isinstance(item, Unreadable):
                log.warning("Dead letter from %s: %s", item.received_from, item.reason)
        return items

    def _item(self, received: RedisMessage) -> Item:
        if isinstance(received, Trimmed):
            place = f"redis:{received.stream}"
            return Unreadable(unreadable_id(place, received.range), received.reason, place)
        message = message_of(received)
        if received.stream in self._json_streams:
            bare_type = self._bare_types.get(received.stream)
            return json_messages.read(message, event_bytes=self._event_bytes, bare_type=bare_type)
        return messages.read(message, self._decoder(message), event_bytes=self._event_bytes)

    def _decoder(self, message: messages.Message) -> messages.Decode:
        def decode(event_type: str, value: bytes) -> Any:
            try:
                return self._schemas.decode(event_type, value)
            except EventError as error:
                sender, here = message.attributes.printable("sourcelib")[:40], self._schemas.version
                if sender in ("", here):
                    raise
                raise EventError(f"{error}. The sender has openedx-events {sender}, and here is {here}") from None

        return decode

    # --- acknowledging -----------------------------------------------------------------------------------------------

    def acknowledge(self, messages: Sequence[RedisMessage]) -> None:
        for message in messages:
            self._unacknowledged[message.stream] += [message.id] if isinstance(message, Entry) else message.ids

    def commit(self) -> bool:
        """Acknowledge in Redis what was acknowledged here. Return False when that is not possible now."""
        try:
            for stream, ids in self._unacknowledged.items():
                while ids:
                    page = ids[-PAGE:]
                    self._client.xack(stream, self._group, *page)
                    del ids[-PAGE:]
                    self._held.difference_update((stream, id) for id in page)
        except Exception as error:
            self._note_error(error)
            return False
        return True

    # --- streams, groups and outages ---------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Create the group of each stream that has none yet, at its earliest entry."""
        if not self._was_connected:
            self._check_policy()
            self._was_connected = True
        for stream in self._streams:
            if not stream.is_ready and time.monotonic() >= stream.next_look:
                self._prepare_group(stream)

    def _prepare_group(self, stream: _Stream) -> None:
        from redis.exceptions import ResponseError  # noqa: PLC0415 -- an extra

        stream.next_look = time.monotonic() + LOOK_SECONDS
        try:
            info = self._client.xinfo_stream(stream.name)
            # What was trimmed before the group was there is no loss of the group.
            trimmed = info["entries-added"] - info["length"]
            self._client.xgroup_create(stream.name, self._group, BEGINNING, entries_read=trimmed)
        except KeyError:
            raise ConsumerError(
                "Redis has to be version 7 or later: it does not count the entries of streams."
            ) from None
        except ResponseError as error:
            if redis_client.is_missing(error):
                stream.missing_since = stream.missing_since or time.monotonic()
                self._notices.start(
                    f"stream {stream.name}", f"The stream {stream.name} is not there yet; waiting for it."
                )
                return
            if not str(error).startswith("BUSYGROUP"):
                raise
        stream.is_ready, stream.missing_since = True, None
        stream.read_again()
        self._notices.end(f"stream {stream.name}", f"The stream {stream.name} is there.")
        log.info("Reading the stream %s as %s.", stream.name, self._consumer)

    def _check_policy(self) -> None:
        from redis.exceptions import NoPermissionError  # noqa: PLC0415 -- an extra

        try:
            policy = str(self._client.info("memory").get("maxmemory_policy", ""))
        except NoPermissionError:
            return
        if policy.startswith("allkeys"):
            self._notices.tell(
                f"Redis deletes whole streams when its memory is full (maxmemory-policy {policy}); their events are "
                "lost then. Set maxmemory-policy to noeviction.",
            )

    def _note_error(self, error: Exception) -> None:
        """Prepare for going on after an error of Redis. Raises ConsumerError when it will not go away, or the error."""
        from redis.exceptions import RedisError  # noqa: PLC0415 -- an extra

        if redis_client.is_missing(error):
            self._note_missing()
        elif redis_client.is_transient(error):
            self._notices.start("broker", f"Redis is not available ({str(error).rstrip('.')}); waiting for it.")
            self._client.connection_pool.disconnect()  # the next connection may lead to another server
            for stream in self._streams:
                stream.read_again()
        elif isinstance(error, RedisError):
            raise redis_client.refusal(error) from error
        else:
            raise error

    def _note_missing(self) -> None:
        for stream in self._streams:
            stream.is_ready = False
        self._notices.tell(
            f"A stream or its group {self._group} is gone: it was deleted, or Redis was emptied. What was not read is "
            "lost. The group starts at the earliest entry."
        )

    # --- ending ------------------------------------------------------------------------------------------------------

    def is_idle(self) -> bool:
        """
        Return whether all streams were read to their ends, and all that was given out is acknowledged.

        What a killed consumer had is waited for. Raises ConsumerError when a stream stays missing.
        """
        now = time.monotonic()
        for stream in self._streams:
            if stream.missing_since is not None and now - stream.missing_since > self._topic_wait_seconds:
                raise ConsumerError(
                    f"The stream {stream.name} is not there. Let a producer write to it, or correct -t."
                )
        if self._notices.is_open("broker") or now - self._last_arrival <= IDLE_SECONDS:
            return False
        if not all(stream.is_ready and stream.at_end and stream.history is None for stream in self._streams):
            return False
        try:
            return not any(self._client.xpending(stream.name, self._group)["pending"] for stream in self._streams)
        except Exception as error:
            self._note_error(error)
            return False

    def close(self) -> None:
        if self._client is None:
            return
        try:
            for stream in self._streams:
                if stream.is_ready:
                    self._release(stream)
        except Exception as error:
            log.info("What this consumer has in the group is taken over later (%s).", type(error).__name__)
        self._client.close()

    def _release(self, stream: _Stream) -> None:
        """Let other consumers have at once what this one has not decided, and remove its name from the group."""
        while pending := self._client.xpending_range(stream.name, self._group, "-", "+", PAGE, self._consumer):
            ids = [_text(entry["message_id"]) for entry in pending]
            kept = self._client.xclaim(stream.name, self._group, RELEASED, 0, ids, idle=RELEASED_IDLE, justid=True)
            if gone := sorted(set(ids) - {_text(id) for id in kept}, key=_order):
                self._note_trimmed(Trimmed(stream.name, len(gone), _range_of(gone)))
        self._client.xgroup_delconsumer(stream.name, self._group, self._consumer)


def _claim_seconds() -> float:
    given = config.redis_claim_seconds
    if isinstance(given, bool) or not isinstance(given, (int, float)):
        raise ConsumerError("LMS_BADGES_CONFIG['redis_claim_seconds'] must be a number of seconds.")
    return max(float(given), 1.0)


def message_of(entry: Entry) -> messages.Message:
    """Return an entry as a message of any bus."""
    pairs = [(_text(name), value) for name, value in entry.fields.items() if name != VALUE_FIELD]
    return messages.Message(
        messages.Attributes(pairs, prefix="", kind="field"),
        entry.fields.get(VALUE_FIELD),
        f"redis:{entry.stream}@{entry.id}",
        _order(entry.id)[0],
        missing=f"the message has no {VALUE_FIELD.decode()} field",
    )


def _entries(stream: _Stream, found: Any) -> list[Entry]:
    """Return the entries of an answer. Those that were trimmed have no fields."""
    return [Entry(stream.name, _text(id), fields or {}) for _, entries in found or () for id, fields in entries]


def _text(given: bytes | str) -> str:
    return given.decode(errors="replace") if isinstance(given, bytes) else given


def _order(id: str) -> tuple[int, int]:
    """Return an entry's id as numbers: milliseconds since 1970, and a counter."""
    milliseconds, _, counter = id.partition("-")
    return int(milliseconds), int(counter or 0)


def _first_id(info: Mapping[str, Any]) -> str | None:
    return _text(info["first-entry"][0]) if info["first-entry"] else None


def _range_of(ids: Sequence[str]) -> str:
    ordered = sorted(ids, key=_order)
    return ordered[0] if len(ids) == 1 else f"{ordered[0]} to {ordered[-1]}"
