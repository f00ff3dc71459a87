"""``python -m badges.testing.accredible``: the stand-in as a process of its own. Its first line is its address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from badges.testing.accredible import KEY, AccredibleStandIn
from badges.testing.accredible.refusals import SHAPES, VARYING
from badges.testing.standin import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    accredible = AccredibleStandIn(
        state=options.state, port=options.port, key=options.key, error_shape=options.error_shape
    )
    for id, name in options.group:
        accredible.add_group(id, name=name or "Stand-in group")
    return command.serve(accredible, until_stdin_closes=options.until_stdin_closes)


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("badges.testing.accredible", __doc__)
    parser.add_argument(
        "--state", metavar="FILE", help="SQLite file to remember everything in; without it, memory only"
    )
    parser.add_argument("--key", default=KEY, help="the account's API key (%(default)s)")
    parser.add_argument(
        "--group", metavar="ID[=NAME]", type=_group, action="append", default=[], help="a group to have; repeatable"
    )
    parser.add_argument("--error-shape", choices=[VARYING, *SHAPES], default=VARYING, help="how refusals look")
    return parser


def _group(text: str) -> tuple[int, str]:
    id, _, name = text.partition("=")
    if not (id.isascii() and id.isdigit()):
        raise argparse.ArgumentTypeError(f"{id!r} is not a number")
    return int(id), name


if __name__ == "__main__":
    sys.exit(main())
