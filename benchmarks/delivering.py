"""
Delivery: badges_drain runs as a process and issues badges at the stand-in for Credly, which takes 50 ms for an answer.

The time counts from the first request to the last. Next to the rate is that of a loop that sends the same requests from
as many threads and does nothing else. PostgreSQL counts the SQL statements for each badge.

Then events are consumed while badges are delivered, and once more beside a process that only uses as much processor
time: the difference is what delivery costs beyond the processor, such as locks. Events a second depend on what else the
machine does, so both are measured by turns, and the best turn of each counts.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from badges.testing.credly import CredlyProcess
from benchmarks import feed
from benchmarks.processes import console, count_statements, run, statements
from tests.services import PostgreSQL
from tests.services.processes import ROOT

RATE = re.compile(r"\((\d+) a second\)")
ANSWER_SECONDS = 0.05
THREADS = 20
AIM = 200
MAX_STATEMENTS = 5.0
# Fewer badges share too few statements.
MIN_BADGES = 500
TURNS = 3
# Five events each, which take less time than the delivery of the badges.
INTAKE_LEARNERS = 2000


@dataclass(frozen=True)
class Delivered:
    """Badges a second, statements for each (None: not counted), and the share of a processor that it took."""

    rate: float
    statements: float | None
    share: float


def measure(databases: list[str], badges: int) -> list[str]:
    """Deliver ``badges`` badges on each database and print the tables; return the broken promises."""
    table = Table(title=f"Delivery of {badges} badges by one process; an answer takes {ANSWER_SECONDS * 1000:.0f} ms")
    for heading in (
        "Database",
        "Badges/s",
        "Aim",
        "Is",
        "Requests/s of a bare loop",
        "Of that",
        "SQL statements a badge",
    ):
        table.add_column(heading)
    beside = Table(title="Events a second while badges are delivered")
    for heading in ("Database", "Alone", "Beside delivery", "Beside a process that only computes", "Ratio"):
        beside.add_column(heading)
    broken = []
    for database in databases:
        console.print(f"… delivery on {database}")
        with _environment(database, badges) as (env, credly, template, server):
            bare = float(run(env, "-m", "benchmarks.posting", *_post(credly, template, badges)))
            done = _deliver(env, credly, badges, server)
            counted = f"{done.statements:.1f}" if done.statements else "–"
            met = "met" if done.rate >= AIM else "missed"
            table.add_row(
                database, f"{done.rate:.0f}", str(AIM), met, f"{bare:.0f}", f"{done.rate / bare:.2f}", counted
            )
            if done.statements and done.statements > MAX_STATEMENTS and badges >= MIN_BADGES:
                broken.append(f"a badge costs {done.statements:.1f} SQL statements, not {MAX_STATEMENTS:.0f}")
        alone, delivering, computing = _intake(database, badges, done.share)
        beside.add_row(
            database, f"{alone:,.0f}", f"{delivering:,.0f}", f"{computing:,.0f}", f"{delivering / computing:.2f}"
        )
    console.print(table)
    console.print(beside)
    return broken


def _post(credly: CredlyProcess, template: str, badges: int) -> list[object]:
    url = f"{credly.url}/organizations/{credly.organization}/badges"
    options = {"--badges": badges, "--threads": THREADS, "--url": url, "--token": credly.token, "--template": template}
    return [text for option in options.items() for text in option]


def _deliver(env: Mapping[str, str], credly: CredlyProcess, badges: int, server: PostgreSQL | None) -> Delivered:
    """Deliver all badges, and return what that cost."""
    others = len(credly.calls)
    before = statements(server) if server else 0
    with _process(env, "manage.py", "badges_drain") as worker:
        _status, usage = os.wait4(worker.pid, 0)[1:]
        worker.returncode = 0
    calls = credly.calls[others:]
    if len(calls) != badges:
        raise SystemExit(f"{len(calls)} requests instead of {badges}.")
    seconds = (calls[-1].at - calls[0].at).total_seconds()
    asked = (statements(server) - before) / badges if server else None
    return Delivered((badges - 1) / seconds, asked, min((usage.ru_utime + usage.ru_stime) / seconds, 1.0))


def _intake(database: str, badges: int, share: float) -> tuple[float, float, float]:
    """Return events a second alone, beside delivery, and beside a process that only computes."""
    rates: dict[str, list[float]] = {"alone": [], "delivering": [], "computing": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        events = Path(folder) / "events.jsonl"
        feed.write_file(events, "no match", learners=INTAKE_LEARNERS, templates=1)
        beside: dict[str, tuple[object, ...]] = {
            "alone": (),
            "delivering": ("manage.py", "badges_drain", "--forever"),
            "computing": ("-m", "benchmarks.burning", share),
        }
        for _turn in range(TURNS):
            for name, command in beside.items():
                with _environment(database, badges) as (env, credly, _template, _server):
                    with _process(env, *command) if command else contextlib.nullcontext():
                        if name == "delivering":
                            _wait_for_calls(credly)
                        output = run(env, "manage.py", "consume_badge_events", "--bus", "file", "--input", events)
                    found = RATE.search(output)
                    if not found:
                        raise SystemExit(f"The command did not say how fast it was:\n{output}")
                    rates[name].append(float(found[1]))
    return max(rates["alone"]), max(rates["delivering"]), max(rates["computing"])


def _wait_for_calls(credly: CredlyProcess) -> None:
    deadline = time.monotonic() + 60
    while not credly.counts:
        if time.monotonic() > deadline:
            raise SystemExit("badges_drain asked for no badge.")
        time.sleep(0.1)


@contextlib.contextmanager
def _environment(database: str, badges: int) -> Iterator[tuple[dict[str, str], CredlyProcess, str, PostgreSQL | None]]:
    """Yield the environment of a host with badges to be issued, the stand-in, its template, and the server."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        credly = stack.enter_context(CredlyProcess())
        server = stack.enter_context(PostgreSQL()) if database == "postgresql" else None
        if server:
            count_statements(server)
        env = {
            **os.environ,
            "DATABASE_URL": server.url if server else f"sqlite:///{folder}/bench.sqlite3",
            "CELERY_BROKER_URL": "",
            "DATA_DIR": folder,
            "CREDLY_URL": credly.url,
        }
        template = credly.add_template(name="Benchmark").id
        account = ("--organization", credly.organization, "--token", credly.token, "--template", template)
        run(env, "-m", "benchmarks.awards", "--badges", badges, *account)
        credly.slow_down(seconds=ANSWER_SECONDS)
        yield env, credly, template, server


@contextlib.contextmanager
def _process(env: Mapping[str, str], *arguments: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python in the project's folder meanwhile."""
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.Popen(command, env=dict(env), cwd=ROOT, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait(60)
