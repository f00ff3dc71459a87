"""A stand-in as a process of its own: the options that all have, and serving until told to stop."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from queue import SimpleQueue

from badges.testing.standin.controls import StandIn


def parser(module: str, description: str | None) -> argparse.ArgumentParser:
    """Make the parser of ``python -m module``."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    made.add_argument("--port", type=int, default=0, help="port on loopback; 0 (the default) takes a free one")
    made.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the process that started this one is gone"
    )
    return made


def serve(standin: StandIn, *, until_stdin_closes: bool) -> int:
    """Print the address and serve until SIGTERM or SIGINT; return the exit code."""
    # Not an Event: a signal handler must not ask for a lock that its own thread may hold.
    stop: SimpleQueue[None] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.put(None))
    try:
        standin.start()
    except OSError as problem:
        print(  # noqa: T201
            f"Port {standin.port} cannot be had: {problem.strerror}. Choose another --port, or 0 for any.",
            file=sys.stderr,
        )
        return 1
    with standin:
        print(standin.url, flush=True)  # noqa: T201
        if until_stdin_closes:
            threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
        stop.get()
    return 0


def _wait_for_parent(stop: SimpleQueue[None]) -> None:
    while os.read(0, 4096):
        pass
    stop.put(None)
