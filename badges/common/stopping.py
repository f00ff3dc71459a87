"""How long work is asked to stop: by SIGTERM, by Ctrl-C, or by the code that started it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType

from celery.exceptions import SoftTimeLimitExceeded

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

# What stops a worker in the middle of its work. Nothing that the worker has claimed has failed then.
INTERRUPTIONS = (SoftTimeLimitExceeded, SystemExit, KeyboardInterrupt)


class StopRequest:
    """
    Whether somebody asked a piece of work to stop. The work asks between two batches or rows, and then ends in order.

    It is also a callable, so that it can be passed as ``should_stop``.
    """

    def __init__(self) -> None:
        # Not an Event: the main thread may hold its lock at the moment in which a signal handler asks for it.
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._requested = False

    @property
    def requested(self) -> bool:
        """Whether the work should stop."""
        return self._requested

    def __call__(self) -> bool:
        return self.requested

    def request(self) -> None:
        """Ask the work to stop. A signal handler or another thread may call this."""
        self._requested = True
        self._wakeups.put(None)

    def wait(self, seconds: float) -> None:
        """Wait for some seconds, or until the work is asked to stop."""
        if not self._requested:
            with suppress(Empty):
                self._wakeups.get(timeout=max(seconds, 0))
                self._wakeups.put(None)  # for other threads that wait


@contextmanager
def stop_on_signals(stop: StopRequest | None = None) -> Iterator[StopRequest]:
    """
    Take SIGTERM and the first Ctrl-C as a request to stop, inside the ``with`` block.

    A second Ctrl-C raises KeyboardInterrupt at once. Nothing is lost by that: the open transaction is rolled back, and
    a claimed row is claimed again when its lease ends. Outside the main thread this does nothing, because Python
    delivers signals to the main thread only.
    """
    stop = stop or StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def handle(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and stop.requested:
            raise KeyboardInterrupt
        stop.request()

    previous = {number: signal.signal(number, handle) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
