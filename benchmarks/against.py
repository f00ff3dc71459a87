"""
Compare two checkouts of this project in one run: ``--against FOLDER`` names the other one, such as the commit before.

Both consume the same events by turns, each time on a new database of its own. The rate of each is the best of all
turns, since whatever else runs on a machine can only make a turn slower.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.table import Table

from benchmarks import feed
from benchmarks.processes import console
from tests.services import PostgreSQL
from tests.services.processes import ROOT

RATE = re.compile(r"\(([\d.]+) a second\)")
LEAST = 0.95

Rates = dict[tuple[str, str], dict[str, list[float]]]


def measure(options: argparse.Namespace) -> list[str]:
    """Print the rates of both checkouts and their ratio; return the rows in which this one is slower than promised."""
    checkouts = {"before": options.against.resolve(), "now": ROOT}
    rates: Rates = defaultdict(lambda: {name: [] for name in checkouts})
    for turn in range(options.turns):
        for database in options.databases:
            for templates in options.templates:
                for name, folder in checkouts.items():
                    console.print(f"… turn {turn + 1}, {database}, {templates} templates, {name}")
                    for kind, rate in _consume(folder, database, templates, options.learners):
                        rates[f"{database}, {templates} templates", kind][name].append(rate)
    return _show(rates)


def _consume(folder: Path, database: str, templates: int, learners: int) -> Iterator[tuple[str, float]]:
    """Yield the events a second of each kind, as a checkout decides them on a new database."""
    with tempfile.TemporaryDirectory(prefix="bench-") as work, _database(database, Path(work)) as url:
        env = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", "DATA_DIR": work}
        size = ("--templates", str(templates), "--learners", str(learners))
        _run(folder, env, "-m", "benchmarks.catalog", *size)
        for kind in feed.KINDS:
            events = Path(work) / "events.jsonl"
            feed.write_file(events, kind, learners=learners, templates=templates)
            output = _run(folder, env, "manage.py", "consume_badge_events", "--bus", "file", "--input", str(events))
            found = RATE.search(output)
            if not found:
                raise SystemExit(f"The command did not say how fast it was:\n{output}")
            yield kind, float(found[1])


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bench.sqlite3'}"
        return
    with PostgreSQL() as server:
        yield server.url


def _run(folder: Path, env: dict[str, str], *arguments: str) -> str:
    """Run a checkout's own Python in its own folder; return what it printed."""
    python = folder / ".venv/bin/python"
    if not python.exists():
        raise SystemExit(f"{folder} has no environment yet: run scripts/venv dev there.")
    done = subprocess.run(  # noqa: S603 -- our own commands
        [python, *arguments], env=env, cwd=folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def _show(rates: Rates) -> list[str]:
    table = Table(title=f"Events a second, before and now (the best of all turns; at least {LEAST} is promised)")
    for heading in ("Database, catalog", "Events", "Before", "Now", "Ratio"):
        table.add_column(heading)
    slower = []
    for (where, kind), both in rates.items():
        before, now = max(both["before"]), max(both["now"])
        table.add_row(where, kind, f"{before:,.0f}", f"{now:,.0f}", f"{now / before:.2f}")
        if now / before < LEAST:
            slower.append(f"{now / before:.2f} of the rate before: {where}, {kind}")
    console.print(table)
    return slower
