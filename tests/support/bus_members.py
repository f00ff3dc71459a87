"""Consumers of a group in threads of the test process, which keep what they are handed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from badges.common.stopping import StopRequest
from badges.intake.consumers.loop import Consumer
from badges.intake.events import Event, Unreadable
from badges.testing.events import passing_status
from tests.support.event_bus import Bus


class Member:
    """One member of the bus's group, in a thread of its own, that keeps what it is handed."""

    def __init__(self, bus: Bus, **options: Any) -> None:
        self.batches: list[list[Event | Unreadable]] = []
        self.notices: list[str] = []
        self.stop = StopRequest()
        self.error: BaseException | None = None
        self._decide: Callable[[Any], None] = options.pop("decide", lambda batch: None)
        topics = options.pop("topics", [bus.topic])
        opening = {key: options.pop(key) for key in ["topic_wait_seconds"] if key in options}
        self.bus = bus.open_consumer(topics, **opening)
        self.consumer = Consumer(self.bus, handle=self._handle, stop=self.stop, notify=self.notices.append, **options)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def run(self) -> Member:
        """Run to the end, in this thread."""
        self.consumer.run()
        return self

    def start(self) -> Member:
        self._thread.start()
        return self

    def end(self) -> None:
        self.stop.request()
        self.join()
        if self.error:
            raise self.error

    def join(self, seconds: float = 120) -> None:
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "it does not end"

    @property
    def items(self) -> list[Event | Unreadable]:
        return [item for batch in self.batches for item in batch]

    @property
    def ids(self) -> list[str]:
        return [item.id for item in self.items]

    def notices_of(self, broker: str) -> list[str]:
        """Leave out topics: a broker that just came back may not know them for a moment."""
        return [text for text in self.notices if text.startswith(broker)]

    def _handle(self, batch: Any) -> None:
        self._decide(batch)
        self.batches.append(list(batch))

    def _run(self) -> None:
        try:
            self.consumer.run()
        except BaseException as error:
            self.error = error


def until(wanted: Callable[[], Any], *, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not wanted():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def passings(number: int, **given: Any) -> list[Any]:
    return [passing_status(lms_user_id=1 + n, username=f"houba{n}", **given) for n in range(number)]


def ids_of(events: list[Any]) -> list[str]:
    return [str(event.metadata.id) for event in events]
