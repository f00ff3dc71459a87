"""
What the main jobs cost: events per second of consume_badge_events, seconds to compile the catalog, documents per second
of credentials_run, decisions per second of the criteria language, badges per second at a provider, seconds for a
backfill.

All of it takes about twenty minutes on two cores; "--templates 1 --buses file --documents 0 --badges 0" takes two. It
ends with an error when a batch or a document costs more SQL statements than promised. Times depend on the machine, so
the table only shows whether they meet the aims.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import against, backfill, certificates, consuming, criteria, delivering, instructions
from benchmarks.processes import console

BUSES = ["file", "kafka", "redis"]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench", usage='make bench [ARGS="…"]', description=__doc__, epilog=f"{consuming.__doc__}"
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--buses", nargs="+", default=BUSES, choices=BUSES)
    parser.add_argument("--templates", nargs="+", type=int, default=[1, 100, 10_000], help="sizes of the catalog")
    parser.add_argument("--event-log", nargs="+", default=["on", "off"], choices=["on", "off"], help="off: files only")
    parser.add_argument("--learners", type=int, default=10_000, help="people, each with an event of each kind")
    parser.add_argument("--documents", type=int, default=1_000, help="certificates to make; 0: none")
    parser.add_argument("--badges", type=int, default=2_000, help="badges to issue at a provider; 0: none")
    parser.add_argument("--no-events", action="store_true", help="do not measure events")
    parser.add_argument("--no-backfill", action="store_true", help="do not measure backfills")
    parser.add_argument("--no-criteria", action="store_true", help="do not measure the criteria language")
    parser.add_argument("--against", type=Path, help="another checkout: measure both by turns and print the ratio")
    parser.add_argument("--turns", type=int, default=3, help="how often each checkout is measured (with --against)")
    parser.add_argument("--instructions", action="store_true", help="count instructions, not time (with --against)")
    options = parser.parse_args()
    broken: list[str] = []
    if options.against:
        broken += (instructions if options.instructions else against).measure(options)
        options.no_events, options.no_criteria, options.documents, options.badges = True, True, 0, 0
        options.no_backfill = True
    if not options.no_criteria:
        criteria.measure()
    if not options.no_events:
        broken += consuming.measure(options)
    if not options.no_backfill:
        backfill.measure(options)
    if options.badges:
        broken += delivering.measure(options.databases, options.badges)
    if options.documents:
        broken += certificates.measure(options.documents)
    for promise in broken:
        console.print(f"Broken: {promise}")
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
