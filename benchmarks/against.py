"""
Compare two checkouts of this project in one run: ``--against FOLDER`` names the other one, such as the commit before.

Both consume the same events by turns, each time on a new database of its own. Two things are measured: events a second,
and the processor time of the command for one event, without its start and without a database server. Each is the best
of all turns, since other work on the machine can only make a turn worse. Processor time suffers least from other work.
The event log is off where there is one, so that a checkout can be compared with one that has none.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from benchmarks import feed, processor_time
from benchmarks.processes import console, run_in
from tests.services import PostgreSQL
from tests.services.processes import ROOT

RATE = re.compile(r"\(([\d.]+) a second\)")
SECONDS = re.compile(rf"{processor_time.PRINTED} ([\d.]+)")
LEAST = 0.95


class Turn(NamedTuple):
    """What one run measured: events a second, and microseconds of processor time for an event."""

    rate: float
    microseconds: float


Turns = dict[tuple[str, str], dict[str, list[Turn]]]


def measure(options: argparse.Namespace) -> list[str]:
    """Print the rates of both checkouts and their ratio; return the rows in which this one is slower than promised."""
    checkouts = {"before": options.against.resolve(), "now": ROOT}
    turns: Turns = defaultdict(lambda: {name: [] for name in checkouts})
    for turn in range(options.turns):
        for database in options.databases:
            for templates in options.templates:
                for name, folder in checkouts.items():
                    console.print(f"… turn {turn + 1}, {database}, {templates} templates, {name}")
                    for kind, measured in _consume(folder, database, templates, options.learners):
                        turns[f"{database}, {templates} templates", kind][name].append(measured)
    return _show(turns)


def _consume(folder: Path, database: str, templates: int, learners: int) -> Iterator[tuple[str, Turn]]:
    """Yield what each kind of events costs a checkout, on a new database."""
    with tempfile.TemporaryDirectory(prefix="bench-") as work, _database(database, Path(work)) as url:
        env = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", "DATA_DIR": work}
        if (folder / "benchmarks/without_log.py").exists():
            env["DJANGO_SETTINGS_MODULE"] = "benchmarks.without_log"
        size = ("--templates", str(templates), "--learners", str(learners))
        run_in(folder, env, "-m", "benchmarks.catalog", *size)
        events = Path(work) / "events.jsonl"
        consume = (processor_time.__file__, "consume_badge_events", "--bus", "file", "--input", str(events))
        for kind in feed.KINDS:
            feed.write_file(events, kind, learners=learners, templates=templates)
            output = run_in(folder, env, *consume)
            rate, seconds = RATE.search(output), SECONDS.search(output)
            if not rate or not seconds:
                raise SystemExit(f"The command did not say how fast it was:\n{output}")
            yield kind, Turn(float(rate[1]), 1e6 * float(seconds[1]) / feed.number(kind, learners))


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with PostgreSQL() as server:
        yield server.url


def _show(turns: Turns) -> list[str]:
    table = Table(title=f"Before and now, the best of all turns; at least {LEAST} of the rate is promised")
    for heading in ("Database, catalog", "Events", "Before/s", "Now/s", "Ratio", "µs before", "µs now", "Ratio"):
        table.add_column(heading)
    slower = []
    for (where, kind), both in turns.items():
        before, now = (max(turn.rate for turn in both[name]) for name in ("before", "now"))
        costs = [min(turn.microseconds for turn in both[name]) for name in ("before", "now")]
        table.add_row(
            *(where, kind, f"{before:,.0f}", f"{now:,.0f}", f"{now / before:.2f}"),
            *(f"{costs[0]:,.0f}", f"{costs[1]:,.0f}", f"{costs[0] / costs[1]:.2f}"),
        )
        if now / before < LEAST:
            slower.append(f"{now / before:.2f} of the rate before: {where}, {kind}")
    console.print(table)
    return slower
