"""``python -m badges.testing.credly``: the stand-in as a process of its own. Its first line is its address."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from uuid import UUID

from badges.testing.credly import ORGANIZATION, TOKEN, CredlyStandIn
from badges.testing.credly.refusals import SHAPES, VARYING


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    credly = CredlyStandIn(
        state=options.state,
        port=options.port,
        organization=options.organization,
        token=options.token,
        webhook_url=options.webhook,
        error_shape=options.error_shape,
        revoked_counts_as_duplicate=options.revoked_counts_as_duplicate,
    )
    for id, name in options.template:
        credly.add_template(id, name=name or "Stand-in badge")
    try:
        credly.start()
    except OSError as problem:
        print(  # noqa: T201
            f"Port {options.port} cannot be had: {problem.strerror}. Choose another --port, or 0 for any.",
            file=sys.stderr,
        )
        return 1
    with credly:
        print(credly.url, flush=True)  # noqa: T201
        if options.until_stdin_closes:
            threading.Thread(target=_wait_for_parent, args=(stop,), daemon=True).start()
        stop.wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m badges.testing.credly", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="port on loopback; 0 (the default) takes a free one")
    parser.add_argument(
        "--state", metavar="FILE", help="SQLite file to remember everything in; without it, memory only"
    )
    parser.add_argument(
        "--organization", metavar="UUID", type=_uuid, default=ORGANIZATION, help="the account's id (%(default)s)"
    )
    parser.add_argument("--token", default=TOKEN, help="the account's authorization token (%(default)s)")
    parser.add_argument(
        "--template",
        metavar="UUID[=NAME]",
        type=_template,
        action="append",
        default=[],
        help="an active template to have; repeatable",
    )
    parser.add_argument("--webhook", metavar="URL", help="post events to this address")
    parser.add_argument("--error-shape", choices=[VARYING, *SHAPES], default=VARYING, help="how refusals look")
    parser.add_argument(
        "--revoked-counts-as-duplicate", action="store_true", help="a revoked badge stands in the way of a new one"
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end when the process that started this one is gone"
    )
    return parser


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID") from None


def _template(text: str) -> tuple[str, str]:
    id, _, name = text.partition("=")
    return _uuid(id), name


def _wait_for_parent(stop: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
