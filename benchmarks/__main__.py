"""
``make bench``: events a second of ``consume_badge_events``, from a file and through Kafka, beside the floor; documents
a second of ``credentials_run``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks import diplomas, feed
from credentials_config.testing.lms import LmsProcess
from tests.services import Kafka, PostgreSQL, SchemaRegistry
from tests.services.processes import ROOT

DOCUMENTS = re.compile(r"\(([\d.]+) a second\)")
PEAK = re.compile(r"peak: (\d+) MiB")
RATE = re.compile(r"\((\d+) a second\)")
console = Console()


@dataclass(frozen=True)
class Setting:
    """One column of the measurements."""

    database: str
    bus: str
    templates: int


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--buses", nargs="+", default=["file", "kafka"], choices=["file", "kafka"])
    parser.add_argument("--templates", nargs="+", type=int, default=[1, 100, 10_000])
    parser.add_argument("--learners", type=int, default=10_000)
    parser.add_argument("--documents", type=int, default=1_000, help="certificates to make; 0: none")
    parser.add_argument("--no-events", action="store_true", help="measure certificates only")
    options = parser.parse_args()
    if not options.no_events:
        measure_events(options)
    if options.documents:
        measure_documents(options.documents)


def measure_events(options: argparse.Namespace) -> None:
    """Run every combination of database, catalog and bus, and print the table."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        world = World(folder, options.learners, stack, wants_kafka="kafka" in options.buses)
        rates: dict[Setting, dict[str, float]] = {}
        floors: dict[Setting, dict[str, float]] = {}
        for database in options.databases:
            for templates in options.templates:
                for bus in options.buses:
                    setting = Setting(database, bus, templates)
                    console.print(f"… {database}, {bus}, {templates} templates")
                    rates[setting], floors[setting] = world.measure(setting)
    show(rates, floors)


class World:
    """The servers and files of one run."""

    def __init__(self, folder: Path, learners: int, stack: contextlib.ExitStack, *, wants_kafka: bool):
        self.folder = folder
        self.learners = learners
        self.stack = stack
        self.postgresql: PostgreSQL | None = None
        self.kafka = stack.enter_context(Kafka()) if wants_kafka else None
        self.registry = stack.enter_context(SchemaRegistry()) if wants_kafka else None
        self.databases = 0

    def measure(self, setting: Setting) -> tuple[dict[str, float], dict[str, float]]:
        """Return events a second by kind, and those of the floor, on a database of their own."""
        rates, floors = {}, {}
        with self._database(setting.database) as url:
            env = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", **self._bus_environment(setting)}
            run(env, "-m", "benchmarks.catalog", "--templates", setting.templates, "--learners", self.learners)
            for kind in feed.KINDS:
                rates[kind] = self._consume(setting, kind, env)
                if kind != "no match":
                    floors[kind] = self._floor(kind, env)
        return rates, floors

    def _consume(self, setting: Setting, kind: str, env: Mapping[str, str]) -> float:
        size = {"learners": self.learners, "templates": setting.templates}
        name = f"bench-{self.databases}-{kind.replace(' ', '-')}"
        if setting.bus == "file":
            path = self.folder / f"{name}.jsonl"
            feed.write_file(path, kind, **size)
            arguments = ["--bus", "file", "--input", path]
        else:
            if not (self.kafka and self.registry):
                raise SystemExit("Kafka was not started; name it with --buses kafka.")
            self.kafka.create_topic(name)
            feed.produce(name, kind, servers=self.kafka.bootstrap_servers, registry=self.registry.url, **size)
            arguments = ["--bus", "kafka", "-t", name, "-g", name, "--max-events", self.learners]
        output = run(env, "manage.py", "consume_badge_events", *arguments)
        found = RATE.search(output)
        if not found:
            raise SystemExit(f"The command did not say how fast it was:\n{output}")
        return float(found[1])

    def _floor(self, kind: str, env: Mapping[str, str]) -> float:
        return float(json.loads(run(env, "-m", "benchmarks.floor", "--kind", kind))["events_per_second"])

    def _bus_environment(self, setting: Setting) -> dict[str, str]:
        if setting.bus == "file" or not self.kafka or not self.registry:
            return {}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry.url,
        }

    @contextlib.contextmanager
    def _database(self, kind: str) -> Iterator[str]:
        self.databases += 1
        if kind == "sqlite":
            path = self.folder / f"{self.databases}.sqlite3"
            yield f"sqlite:///{path}"
            path.unlink(missing_ok=True)
            return
        # A server of its own for each: what one measurement leaves to be vacuumed is not the next one's burden.
        with PostgreSQL() as server:
            yield server.url


def measure_documents(number: int) -> None:
    """Make so many certificates on PostgreSQL with local storage, with QR code and without, and print how fast."""
    table = Table(
        "QR code", "Documents", "Documents/s", "SQL statements a document", "Peak memory", title="Certificates"
    )
    for qr in ("yes", "no"):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, PostgreSQL() as server, LmsProcess() as lms:
            lms.add_course(key=diplomas.COURSE, name="Diplomas")
            lms.enroll_many(course=diplomas.COURSE, count=number, completed=1.0)
            env = {
                **os.environ,
                "DATABASE_URL": server.url,
                "CELERY_BROKER_URL": "",
                "DATA_DIR": folder,
                "LMS_URL": lms.url,
                "LMS_CLIENT_ID": lms.settings["client_id"],
                "LMS_CLIENT_SECRET": lms.settings["client_secret"],
            }
            configuration = run(env, "-m", "benchmarks.diplomas", "--qr", qr)
            before = statements(server)
            output = run(env, "-m", "benchmarks.peak", "credentials_run", "--configuration", configuration)
            cost = (statements(server) - before) / number
            made = len(list(Path(folder).rglob("*.pdf")))
            if made != number:
                raise SystemExit(f"{made} documents instead of {number}:\n{output}")
            rate, peak = DOCUMENTS.search(output), PEAK.search(output)
            table.add_row(qr, str(made), rate[1] if rate else "?", f"{cost:.2f}", f"{peak[1]} MiB" if peak else "?")
    console.print(table)


def statements(server: PostgreSQL) -> int:
    """Return how many statements the server was asked; what it asks itself to check foreign keys is left out."""
    with psycopg.connect(server.url) as connection:
        row = connection.execute(
            "SELECT sum(calls) FROM pg_stat_statements WHERE query NOT LIKE '%FOR KEY SHARE OF x%'"
        ).fetchone()
    return int(row[0]) if row else 0


def run(env: Mapping[str, str], *arguments: object) -> str:
    """Run Python with arguments in the project's folder; return what it printed, or stop with its complaint."""
    done = subprocess.run(  # noqa: S603 -- our own commands
        [sys.executable, *map(str, arguments)], env=dict(env), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def show(rates: dict[Setting, dict[str, float]], floors: dict[Setting, dict[str, float]]) -> None:
    """Print events a second, the share of the floor, and how flat it is in the number of templates."""
    table = Table(
        "Database", "Bus", "Templates", "Events", "Events/s", "Floor/s", "Of the floor", "Of the smallest catalog"
    )
    smallest = min(setting.templates for setting in rates)
    for setting, by_kind in rates.items():
        base = rates[Setting(setting.database, setting.bus, smallest)]
        for kind, rate in by_kind.items():
            floor = floors[setting].get(kind)
            table.add_row(
                setting.database,
                setting.bus,
                str(setting.templates),
                kind,
                f"{rate:,.0f}",
                f"{floor:,.0f}" if floor else "no rows",
                f"{rate / floor:.2f}" if floor else "–",
                f"{rate / base[kind]:.2f}",
            )
    console.print(table)


if __name__ == "__main__":
    main()
