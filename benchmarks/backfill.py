"""How long a backfill takes: 100,000 logged events of 10,000 learners are planned and applied, on each database."""

from __future__ import annotations

import argparse
import contextlib
import os
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from rich.table import Table

from benchmarks.processes import console, run
from tests.services import PostgreSQL

EVENTS_OF_A_LEARNER = 10
AIMS = {"plan": 10.0, "apply": 60.0}
COMMAND = ("manage.py", "badges_backfill", "--template", "backfilled")


class Measured(NamedTuple):
    """How long a command took on a database, in seconds, with the start of Python."""

    database: str
    mode: str
    seconds: float


def measure(options: argparse.Namespace) -> None:
    """Print how long a plan takes, and giving the badges, each as the command that people run."""
    found: list[Measured] = []
    for database in options.databases:
        with contextlib.ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-backfill-")))
            server = stack.enter_context(PostgreSQL()) if database == "postgresql" else None
            url = server.url if server else f"sqlite:///{folder / 'backfill.sqlite3'}"
            env = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", "DATA_DIR": str(folder)}
            run(env, "-m", "benchmarks.event_log", "--learners", options.learners, "--events", EVENTS_OF_A_LEARNER)
            for mode in AIMS:
                begun = time.perf_counter()
                run(env, *COMMAND, f"--{mode}")
                found.append(Measured(database, mode, time.perf_counter() - begun))
                console.print(f"… backfill, {database}, {mode}: {found[-1].seconds:.1f} seconds")
    show(found, learners=options.learners)


def show(found: list[Measured], *, learners: int) -> None:
    """Print the table."""
    table = Table(title=f"A backfill of {learners * EVENTS_OF_A_LEARNER:,} logged events of {learners:,} learners")
    for heading in ("Database", "Mode", "Seconds", "Aim", "Is"):
        table.add_column(heading)
    for each in found:
        aim = AIMS[each.mode]
        is_met = ("met" if each.seconds <= aim else "missed") if learners >= 10_000 else ""
        table.add_row(each.database, each.mode, f"{each.seconds:.1f}", f"{aim:.0f}", is_met)
    console.print(table)
