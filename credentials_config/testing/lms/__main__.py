"""``python -m credentials_config.testing.lms``: the stand-in LMS as a process. Its first line is its address."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from credentials_config.testing.lms.standin import LmsStandIn


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    lms = LmsStandIn(port=options.port, page_size=options.page_size)
    try:
        for file in options.load:
            lms.load(json.loads(Path(file).read_text(encoding="utf-8")))
        lms.start()
    except (OSError, ValueError, TypeError, KeyError) as problem:
        print(f"The stand-in LMS cannot start: {problem}. Correct --load or choose another --port.", file=sys.stderr)  # noqa: T201
        return 1
    with lms:
        print(lms.url, flush=True)  # noqa: T201
        if options.until_stdin_closes:
            threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m credentials_config.testing.lms", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 (the default) takes a free one")
    parser.add_argument("--load", metavar="FILE", action="append", default=[], help="JSON to start with; repeatable")
    parser.add_argument("--page-size", type=int, default=100, help="most entries on a page (%(default)s)")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the process that started this one is gone"
    )
    return parser


def _wait_for_parent(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
