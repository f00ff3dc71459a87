"""
Count the machine instructions that each checkout needs for one event: ``--against FOLDER --instructions``.

Times scatter with what else the machine does; the number of instructions hardly does. Cachegrind (of valgrind) counts
them for the whole process, so a checkout consumes twice: once some events, and once three times as many on a copy of
the same database. The difference is what the events cost without the start. What a database server does is not
counted, so this is measured on SQLite, which runs inside the process.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from benchmarks import feed, still_clock
from benchmarks.processes import ROOT, console, run_in

COUNTED = re.compile(r"I\s+refs:\s+([\d,]+)")
CACHEGRIND = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
FEW = 500
MOST = 1 / 0.95


def measure(options: argparse.Namespace) -> list[str]:
    """Print the instructions of both checkouts for an event; return the rows in which this one needs too many."""
    if not shutil.which("valgrind"):
        raise SystemExit("Counting instructions needs valgrind: apt-get install valgrind")
    table = Table(title=f"Thousands of instructions for one event; at most {MOST:.2f} of those before is promised")
    for heading in ("Catalog", "Events", "Before", "Now", "Ratio"):
        table.add_column(heading)
    slower = []
    for templates in options.templates:
        before = dict(_instructions(options.against.resolve(), templates))
        now = dict(_instructions(ROOT, templates))
        for kind in feed.KINDS:
            ratio = now[kind] / before[kind]
            table.add_row(f"{templates} templates", kind, f"{before[kind]:,.0f}", f"{now[kind]:,.0f}", f"{ratio:.2f}")
            if ratio > MOST:
                slower.append(f"{ratio:.2f} of the instructions before: {templates} templates, {kind}")
    console.print(table)
    return slower


def _instructions(folder: Path, templates: int) -> Iterator[tuple[str, float]]:
    """Yield the thousands of instructions that a checkout needs for one event of each kind."""
    with tempfile.TemporaryDirectory(prefix="bench-") as work:
        database, copy, events = (Path(work) / name for name in ("bench.sqlite3", "copy.sqlite3", "events.jsonl"))
        env = {**os.environ, "CELERY_BROKER_URL": "", "DATA_DIR": work, "PYTHONHASHSEED": "0"}
        if (folder / "benchmarks/without_log.py").exists():
            env["DJANGO_SETTINGS_MODULE"] = "benchmarks.without_log"
        consume = (still_clock.__file__, "consume_badge_events", "--bus", "file", "--input", str(events))
        size = ("--templates", str(templates), "--learners", str(3 * FEW))
        run_in(folder, {**env, "DATABASE_URL": f"sqlite:///{database}"}, "-m", "benchmarks.catalog", *size)
        for kind in feed.KINDS:
            counts = []
            for learners in (FEW, 3 * FEW):
                console.print(f"… {folder.name}, {templates} templates, {kind}, {feed.number(kind, learners)} events")
                shutil.copy(database, copy)
                feed.write_file(events, kind, learners=learners, templates=templates)
                on_copy = {**env, "DATABASE_URL": f"sqlite:///{copy}"}
                counted = COUNTED.search(run_in(folder, on_copy, *consume, under=CACHEGRIND))
                if not counted:
                    raise SystemExit("Cachegrind did not say how many instructions it counted.")
                counts.append(int(counted[1].replace(",", "")))
            shutil.copy(copy, database)
            yield kind, (counts[1] - counts[0]) / (feed.number(kind, 3 * FEW) - feed.number(kind, FEW)) / 1000
