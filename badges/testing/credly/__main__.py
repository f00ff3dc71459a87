"""``python -m badges.testing.credly``: the stand-in as a process of its own. Its first line is its address."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from uuid import UUID

from badges.testing.credly import ORGANIZATION, TOKEN, CredlyStandIn
from badges.testing.credly.refusals import SHAPES, VARYING
from badges.testing.standin import command


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    options = _parser().parse_args(arguments)
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
    return command.serve(credly, until_stdin_closes=options.until_stdin_closes)


def _parser() -> argparse.ArgumentParser:
    parser = command.parser("badges.testing.credly", __doc__)
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
    return parser


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a UUID") from None


def _template(text: str) -> tuple[str, str]:
    id, _, name = text.partition("=")
    return _uuid(id), name


if __name__ == "__main__":
    sys.exit(main())
