"""The loop of the consumers, with a bus in memory: what is handled together, and what is acknowledged when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from badges.common.stopping import StopRequest
from badges.exceptions import Retryable
from badges.intake.consumers import loop
from badges.intake.consumers.loop import Bus, CannotDecodeError, Consumer, Item, OperatorNotices, Skipped
from badges.intake.events import Unreadable


class RegistryIsAwayError(CannotDecodeError):
    when_over = "The registry is back."


class MemoryBus(Bus[int]):
    """Numbers as messages. A negative one is of a type that is not configured."""

    gather_seconds = 3600.0

    def __init__(self, *numbers: int, size: int = 1) -> None:
        self.left = list(numbers)
        self.bytes = size
        self.failures: list[CannotDecodeError] = []
        self.commits_that_fail = 0
        self.acknowledged: list[int] = []
        self.committed: list[int] = []
        self.on_wait: Callable[[], Any] = lambda: None
        self.is_closed = False
        self.discard: Callable[[Callable[[int], bool]], None]

    def open(self, *, notices: OperatorNotices, discard: Callable[[Callable[[int], bool]], None]) -> None:
        self.discard = discard

    def fetch(self, number: int, seconds: float) -> Sequence[int]:
        arrived, self.left = self.left[:number], self.left[number:]
        return arrived

    def size(self, message: int) -> int:
        return self.bytes

    def decode(self, messages: Sequence[int]) -> list[Item]:
        if self.failures:
            raise self.failures.pop(0)
        return [
            Skipped("houba") if number < 0 else Unreadable(f"id{number}", "no text", f"memory:{number}")
            for number in messages
        ]

    def wait(self) -> Sequence[int]:
        self.on_wait()
        return ()

    def acknowledge(self, messages: Sequence[int]) -> None:
        self.acknowledged += messages

    def commit(self) -> bool:
        if self.commits_that_fail:
            self.commits_that_fail -= 1
            return False
        self.committed = list(self.acknowledged)
        return True

    def is_idle(self) -> bool:
        return not self.left

    def close(self) -> None:
        self.is_closed = True


class Reading:
    """A bus, read until it is idle; what was handled, and what was acknowledged at that time."""

    def __init__(self, bus: MemoryBus, *, handle: Callable[[Any], None] = lambda batch: None, **options: Any) -> None:
        self.batches: list[list[str]] = []
        self.acknowledged_before: list[int] = []
        self.notices: list[str] = []
        self.stop = StopRequest()

        def keep(batch: Any) -> None:
            self.acknowledged_before.append(len(bus.acknowledged))
            handle(batch)
            self.batches.append([item.received_from for item in batch])

        self.consumer = Consumer(
            bus, handle=keep, stop=self.stop, notify=self.notices.append, until_idle=True, **options
        )


def test_a_batch_is_acknowledged_and_committed_after_it_was_handled() -> None:
    bus = MemoryBus(1, 2, 3, 4, 5)
    reading = Reading(bus, batch_size=2)
    counts = reading.consumer.run()
    assert reading.batches == [["memory:1", "memory:2"], ["memory:3", "memory:4"], ["memory:5"]]
    assert reading.acknowledged_before == [0, 2, 4]
    assert bus.committed == [1, 2, 3, 4, 5]
    assert (counts.read, counts.unreadable, reading.consumer.finished, bus.is_closed) == (5, 5, True, True)


def test_what_could_not_be_handled_is_not_acknowledged_and_the_bus_is_closed() -> None:
    def handle(batch: Any) -> None:
        if batch[0].received_from == "memory:3":
            raise Retryable("The database did not answer.")

    bus = MemoryBus(1, 2, 3, 4)
    with pytest.raises(Retryable):
        Reading(bus, handle=handle, batch_size=2).consumer.run()
    assert (bus.acknowledged, bus.committed, bus.is_closed) == ([1, 2], [1, 2], True)


def test_a_batch_is_limited_in_bytes(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"intake": {"batch_bytes": 10}}
    reading = Reading(MemoryBus(1, 2, 3, 4, 5, size=4))
    reading.consumer.run()
    assert [len(batch) for batch in reading.batches] == [2, 2, 1]


def test_types_that_are_not_configured_are_acknowledged_without_being_handled() -> None:
    bus = MemoryBus(-1, -2)
    reading = Reading(bus)
    assert reading.consumer.run().skipped == {("houba", "not configured"): 2}
    assert (reading.batches, bus.committed) == ([], [-1, -2])


def test_max_events_ends_it_in_the_middle_of_what_is_there() -> None:
    bus = MemoryBus(1, 2, 3, 4, 5)
    reading = Reading(bus, max_events=3, batch_size=2)
    reading.consumer.run()
    assert (bus.committed, reading.consumer.finished) == ([1, 2, 3], True)


def test_an_outage_is_notified_once_and_nothing_is_lost() -> None:
    bus = MemoryBus(1, 2)
    bus.failures = [RegistryIsAwayError("The registry is away.") for _ in range(3)]
    reading = Reading(bus)
    reading.consumer.run()
    assert reading.notices == ["The registry is away.", "The registry is back."]
    assert reading.batches == [["memory:1", "memory:2"]]


def test_asked_to_stop_in_an_outage_it_acknowledges_nothing() -> None:
    bus = MemoryBus(1, 2)
    bus.failures = [RegistryIsAwayError("The registry is away.")]
    reading = Reading(bus)
    bus.on_wait = reading.stop.request
    reading.consumer.run()
    assert (reading.batches, bus.committed, reading.consumer.finished) == ([], [], False)


def test_messages_that_another_consumer_has_now_are_neither_handled_nor_acknowledged() -> None:
    bus = MemoryBus(1, 2, 3)
    bus.failures = [RegistryIsAwayError("The registry is away.")]
    bus.on_wait = lambda: bus.discard(lambda number: number == 2)
    reading = Reading(bus)
    reading.consumer.run()
    assert reading.batches == [["memory:1", "memory:3"]]
    assert bus.committed == [1, 3]


def test_the_last_commit_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop.time, "sleep", lambda seconds: None)
    bus = MemoryBus(1)
    bus.commits_that_fail = 3
    Reading(bus).consumer.run()
    assert bus.committed == [1]
