"""``python -m credentials_config.testing.lms``: the stand-in LMS as a process. Its first line is its address."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from badges.testing.standin import command
from credentials_config.testing.lms.standin import LmsStandIn


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
    lms = LmsStandIn(port=options.port, page_size=options.page_size)
    try:
        for file in options.load:
            lms.load(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        print(f"The stand-in LMS cannot start: {error}. Correct --load.", file=sys.stderr)  # noqa: T201
        return 1
    return command.serve(lms, until_stdin_closes=options.until_stdin_closes)


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("credentials_config.testing.lms", __doc__)
    parser.add_argument("--load", metavar="FILE", action="append", default=[], help="JSON to start with; repeatable")
    parser.add_argument("--page-size", type=int, default=100, help="most entries on a page (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
