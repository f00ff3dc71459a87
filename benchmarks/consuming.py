"""
Events: consume_badge_events runs as a process on each database, bus and size of the catalog. The events match nothing,
match without completing a template, or complete one. The time counts from the first event to the last decision, so the
start of Python and joining a Kafka group are not in it.

The event log is on, and for files it is measured switched off too.

Next to each rate are the rates of two loops that write the very same rows and do nothing else. "bulk_create" is a loop
with Django's own method; the aim is half of its rate. "bare" is a loop with the inserts of the pipeline, which no
consumer can reach that also reads and decides. "Flat" is the rate divided by the rate with the smallest catalog; down
to 0.8 counts as noise. PostgreSQL counts the SQL statements.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from benchmarks import feed
from benchmarks.processes import console, count_statements, run, statements
from tests.services import Kafka, PostgreSQL, Redis, SchemaRegistry

RATE = re.compile(r"\((\d+) a second\)")
# Every batch runs this statement once, so it counts the batches.
ONCE_A_BATCH = 'SELECT "lms_badges_catalogversion"%'

HALF = 0.5
FLAT = 0.8
MAX_STATEMENTS = {"on": 22, "off": 20}  # by the event log


@dataclass(frozen=True)
class Setting:
    """The combination that is measured."""

    database: str
    bus: str
    templates: int
    log: str = "on"


@dataclass(frozen=True)
class Rates:
    """
    Events per second of one kind, those of the two loops (None without rows), and statements per batch (None: not
    counted).
    """

    consumer: float
    bulk_create: float | None
    bare: float | None
    statements: float | None


Results = dict[tuple[Setting, str], Rates]


def measure(options: argparse.Namespace) -> list[str]:
    """Measure every combination and print the table; return the broken promises."""
    results: Results = {}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        environment = Environment(folder, options.learners, stack, buses=options.buses)
        for setting in _settings(options):
            for kind, rates in environment.measure(setting):
                results[setting, kind] = rates
                console.print(
                    f"… {setting.database}, {setting.bus}, log {setting.log}, {setting.templates} templates, {kind}: "
                    f"{rates.consumer:,.0f} a second"
                )
    show(results)
    show_compiled(environment.compiled)
    return [
        f"a batch costs {rates.statements:.1f} SQL statements, not {MAX_STATEMENTS[setting.log]}: {setting}, {kind}"
        for (setting, kind), rates in results.items()
        if rates.statements is not None and rates.statements > MAX_STATEMENTS[setting.log]
    ]


def _settings(options: argparse.Namespace) -> Iterator[Setting]:
    """Yield all combinations. What the event log costs does not depend on the bus, so it is switched off for files."""
    for database, bus, log in itertools.product(options.databases, options.buses, options.event_log):
        if log == "on" or bus == "file":
            for templates in sorted(options.templates):
                yield Setting(database, bus, templates, log)


class Environment:
    """The servers and files of one benchmark run."""

    def __init__(self, folder: Path, learners: int, stack: contextlib.ExitStack, *, buses: Collection[str]):
        self.folder = folder
        self.learners = learners
        self.kafka = stack.enter_context(Kafka()) if "kafka" in buses else None
        self.registry = stack.enter_context(SchemaRegistry()) if "kafka" in buses else None
        self.redis = stack.enter_context(Redis()) if "redis" in buses else None
        self.databases = 0
        self.compiled: list[tuple[Setting, float, float]] = []

    def measure(self, setting: Setting) -> Iterator[tuple[str, Rates]]:
        """Yield the rates of each kind of event, on one new database."""
        with self._database(setting.database) as (url, server):
            env = {**os.environ, "DATABASE_URL": url, "CELERY_BROKER_URL": "", **self._bus_environment(setting)}
            if setting.log == "off":
                env["DJANGO_SETTINGS_MODULE"] = "benchmarks.without_log"
            run(env, "-m", "benchmarks.catalog", "--templates", setting.templates, "--learners", self.learners)
            seconds = json.loads(run(env, "-m", "benchmarks.compiling"))
            self.compiled.append((setting, seconds["start"], seconds["save"]))
            for kind in feed.KINDS:
                arguments = self._send(setting, kind)
                before = self._count_statements(server)
                consumer = self._consume(env, *arguments)
                asked = self._count_statements(server) - before
                has_rows = kind != "no match" or setting.log == "on"
                loops = json.loads(run(env, "-m", "benchmarks.floor", "--kind", kind)) if has_rows else {}
                yield (
                    kind,
                    Rates(
                        consumer,
                        loops.get("bulk_create"),
                        loops.get("bare"),
                        self._statements_per_batch(env, server, asked),
                    ),
                )

    def _send(self, setting: Setting, kind: str) -> list[object]:
        """Write the events to a file, to Kafka or to Redis; return the arguments of the command that reads them."""
        size = {"learners": self.learners, "templates": setting.templates}
        name = f"bench-{self.databases}-{kind.replace(' ', '-')}"
        if setting.bus == "file":
            path = self.folder / f"{name}.jsonl"
            feed.write_file(path, kind, **size)
            return ["--bus", "file", "--input", path]
        if setting.bus == "redis" and self.redis:
            feed.add_to_stream(name, kind, url=self.redis.url, **size)
            return ["--bus", "redis", "-t", name, "-g", name, "--max-events", feed.number(kind, self.learners)]
        if not (self.kafka and self.registry):
            raise SystemExit("Kafka was not started; name it with --buses kafka.")
        self.kafka.create_topic(name)
        feed.produce(name, kind, servers=self.kafka.bootstrap_servers, registry=self.registry.url, **size)
        return ["--bus", "kafka", "-t", name, "-g", name, "--max-events", feed.number(kind, self.learners)]

    def _consume(self, env: Mapping[str, str], *arguments: object) -> float:
        output = run(env, "manage.py", "consume_badge_events", *arguments)
        found = RATE.search(output)
        if not found:
            raise SystemExit(f"The command did not say how fast it was:\n{output}")
        return float(found[1])

    def _count_statements(self, server: PostgreSQL | None) -> StatementCounts:
        return (
            StatementCounts(statements(server), statements(server, ONCE_A_BATCH)) if server else StatementCounts(0, 0)
        )

    def _statements_per_batch(
        self, env: Mapping[str, str], server: PostgreSQL | None, asked: StatementCounts
    ) -> float | None:
        """Return the statements per batch, without those of a process that finds nothing to do."""
        if server is None:
            return None
        nothing = self.folder / "nothing.jsonl"
        nothing.touch()
        before = self._count_statements(server)
        self._consume(env, "--bus", "file", "--input", nothing)
        spent = asked - (self._count_statements(server) - before)
        return spent.statements / spent.batches

    def _bus_environment(self, setting: Setting) -> dict[str, str]:
        if setting.bus == "redis" and self.redis:
            return {"EVENT_BUS_REDIS_CONNECTION_URL": self.redis.url}
        if setting.bus == "file" or not self.kafka or not self.registry:
            return {}
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "SCHEMA_REGISTRY_URL": self.registry.url,
        }

    @contextlib.contextmanager
    def _database(self, kind: str) -> Iterator[tuple[str, PostgreSQL | None]]:
        self.databases += 1
        if kind == "sqlite":
            path = self.folder / f"{self.databases}.sqlite3"
            yield f"sqlite:///{path}", None
            path.unlink(missing_ok=True)
            return
        # A new server for each measurement, so that dead rows of one do not slow down the next one.
        with PostgreSQL() as server:
            count_statements(server)
            yield server.url, server


@dataclass(frozen=True)
class StatementCounts:
    """How many statements a server ran, and how many batches of events they were for."""

    statements: int
    batches: int

    def __sub__(self, other: StatementCounts) -> StatementCounts:
        return StatementCounts(self.statements - other.statements, self.batches - other.batches)


def show(results: Results) -> None:
    """Print each rate next to the rates that it is compared with, and whether it meets the aims."""
    table = Table(title="Events a second")
    headings = ("Database", "Bus", "Log", "Templates", "Events", "Consumer", "bulk_create", "bare")
    for heading in (*headings, "Of bulk_create", "Of bare", "Flat", "SQL/batch", "Aim"):
        table.add_column(heading)
    missed = 0
    for (setting, kind), rates in results.items():
        smallest = min(other.templates for other, _ in results)
        base = results[Setting(setting.database, setting.bus, smallest, setting.log), kind]
        flat = rates.consumer / base.consumer
        aims = [name for name, met in (("half", _reaches_half(rates)), ("flat", flat >= FLAT)) if not met]
        missed += bool(aims)
        table.add_row(
            *(setting.database, setting.bus, setting.log, str(setting.templates), kind),
            *(_number(rate) for rate in (rates.consumer, rates.bulk_create, rates.bare)),
            *(_share(rates.consumer, loop) for loop in (rates.bulk_create, rates.bare)),
            _share(rates.consumer, base.consumer if base is not rates else None),
            f"{rates.statements:.1f}" if rates.statements is not None else "–",
            f"missed: {', '.join(aims)}" if aims else "met",
        )
    console.print(table)
    console.print(
        f"Aimed at: {HALF} of bulk_create or better, and flat. Met in {len(results) - missed} of {len(results)}."
    )


def show_compiled(compiled: list[tuple[Setting, float, float]]) -> None:
    """Print the seconds that a process needs to compile the catalog: when it starts, and after one save."""
    table = Table(title="Seconds to compile the catalog")
    for heading in ("Database", "Log", "Templates", "Start", "After one save"):
        table.add_column(heading)
    for setting, start, save in compiled:
        table.add_row(setting.database, setting.log, str(setting.templates), f"{start:.2f}", f"{save:.2f}")
    console.print(table)


def _reaches_half(rates: Rates) -> bool:
    return rates.bulk_create is None or rates.consumer / rates.bulk_create >= HALF


def _number(rate: float | None) -> str:
    return f"{rate:,.0f}" if rate else "no rows"


def _share(rate: float, whole: float | None) -> str:
    return f"{rate / whole:.2f}" if whole else "–"
