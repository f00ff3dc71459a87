"""
The stand-in's memory: one SQLite table per record class.

With a path it is a file that outlives the process, also when that is killed: ``synchronous=OFF`` hands every commit
to the operating system at once, which survives SIGKILL, and does not wait for the disk, which would only matter in a
power cut.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from badges.testing.standin.records import Record

R = TypeVar("R", bound=Record)


class Store:
    """
    Rows in, records out. One connection behind one lock; ``transaction()`` holds the lock.

    A stand-in names its ``records``, among which is its ``Call``, and its ``indexes``.
    """

    records: ClassVar[Sequence[type[Record]]]
    indexes: ClassVar[Sequence[str]]

    def __init__(self, path: str | Path | None = None) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path or ":memory:", check_same_thread=False, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.execute("PRAGMA busy_timeout=10000")
        for record in self.records:
            columns = ", ".join(record.kinds())
            key = next(iter(record.kinds()))
            self._connection.execute(
                f"CREATE TABLE IF NOT EXISTS {_table(record)} ({columns}, seq INTEGER PRIMARY KEY, UNIQUE ({key}))"
            )
        for index in self.indexes:
            self._connection.execute(index)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make what happens inside visible at once, or not at all."""
        with self._lock:
            if self._connection.in_transaction:  # the outer one decides
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    # S608: names of tables and columns come from the record classes, conditions from this package; values are bound.

    def save(self, record: Record) -> None:
        """Insert the record, or replace the one with the same key where it stands."""
        columns = list(record.kinds())
        updates = ", ".join(f"{column} = excluded.{column}" for column in columns[1:])
        self._run(
            f"INSERT INTO {_table(type(record))} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))}) "  # noqa: S608
            f"ON CONFLICT ({columns[0]}) DO UPDATE SET {updates}",
            record.to_row(),
        )

    def answered(self, call_id: str, *, status: int) -> None:
        """Note the status a call is about to be answered with."""
        self._run("UPDATE call SET status = ? WHERE id = ?", [status, call_id])

    def all(
        self, record: type[R], where: str = "", values: Any = (), *, limit: int | None = None, offset: int = 0
    ) -> list[R]:
        """Give the records in the order they were first written."""
        columns = ", ".join(record.kinds())
        tail = f" LIMIT {int(limit)} OFFSET {int(offset)}" if limit is not None else ""
        sql = f"SELECT {columns} FROM {_table(record)}{_where(where)} ORDER BY seq{tail}"  # noqa: S608
        return [record.from_row(row) for row in self._run(sql, values)]

    def first(self, record: type[R], where: str, values: Any = ()) -> R | None:
        """Give the first record that fits, or nothing."""
        return next(iter(self.all(record, where, values, limit=1)), None)

    def count(self, record: type[Record], where: str = "", values: Any = ()) -> int:
        """Count the records that fit."""
        return self._run(f"SELECT count(*) FROM {_table(record)}{_where(where)}", values)[0][0]  # noqa: S608

    def calls_by_endpoint(self) -> dict[str, int]:
        """Count the calls of each kind."""
        return dict(self._run("SELECT endpoint, count(*) FROM call GROUP BY endpoint ORDER BY endpoint"))

    def delete(self, record: type[Record], where: str, values: Any = ()) -> None:
        """Delete the records that fit."""
        self._run(f"DELETE FROM {_table(record)}{_where(where)}", values)  # noqa: S608

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def _run(self, sql: str, values: Any = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(sql, values).fetchall()


def _table(record: type[Record]) -> str:
    return record.table or record.__name__.lower()


def _where(condition: str) -> str:
    return f" WHERE {condition}" if condition else ""
