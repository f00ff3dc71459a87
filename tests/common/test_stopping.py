"""Work that is asked to stop ends in order, and a second Ctrl-C ends it at once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time

import pytest

from badges.common.stopping import StopRequest, stop_on_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_to_stop(number: signal.Signals) -> None:
    with stop_on_signals() as stop:
        assert not stop.requested
        signal.raise_signal(number)
        assert stop.requested
        assert stop()


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested


def test_the_handlers_from_before_are_back_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with pytest.raises(ValueError, match="houba"), stop_on_signals():
        raise ValueError("houba")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_wait_ends_when_a_stop_is_requested() -> None:
    stop = StopRequest()
    threading.Timer(0.05, stop.request).start()
    began = time.monotonic()
    stop.wait(30)
    assert time.monotonic() - began < 10


def test_a_signal_at_any_moment_of_a_wait_ends_it() -> None:
    """With an Event a signal could come while its lock is held, and the process waited for itself."""
    waits = """
import random, signal, time
from badges.common.stopping import StopRequest
signal.signal(signal.SIGALRM, lambda *_: stop.request())
ends = time.monotonic() + 3
while time.monotonic() < ends:
    stop = StopRequest()
    signal.setitimer(signal.ITIMER_REAL, random.uniform(4e-6, 8e-5))
    stop.wait(1)
    assert stop.requested
"""
    subprocess.run([sys.executable, "-c", waits], check=True, timeout=60)


def test_another_thread_may_use_it_although_it_gets_no_signals() -> None:
    seen: list[bool] = []

    def work() -> None:
        with stop_on_signals() as stop:
            seen.append(stop.requested)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
