"""
What differs between SQLite, PostgreSQL and MariaDB or MySQL.

How long a statement may be, what a transaction sees after it waited for a lock, which errors are transient, and how
work is tried again after those. Inserting rows is in ``inserts``.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError, DataError, InterfaceError, OperationalError, connection, transaction
from django.db.models import Model
from django.db.models.lookups import In

from badges.common.backoff import next_delay
from badges.conf import config
from badges.exceptions import Retryable
from badges.fields import KeyField, exact_collation

log = logging.getLogger(__name__)
T = TypeVar("T")
Parameters = ParamSpec("Parameters")

# How long a database may be away before the log says so. Deadlocks are over sooner, and normal.
ANNOUNCED_AFTER_SECONDS = 5.0

# Record changed since it was read, server has gone, lost connection, cannot connect, too many connections, a cluster's
# node that is not ready, shutdown, lock wait time-out, deadlock, killed, read-only after a fail-over; no space on the
# disk, in an engine, in a table. Other operational errors of MySQL and MariaDB are about the data ("incorrect string
# value") and would fail again.
_MYSQL_TRANSIENT = frozenset(
    {1020, 1021, 1030, 1040, 1047, 1053, 1077, 1114, 1158, 1159, 1160, 1161, 1205, 1213}
    | {1290, 1836, 1927, 2002, 2003, 2006, 2013, 2055, 4031}
)
# Illegal mix of collations, invalid string, incorrect string value, conversion between character sets. The driver
# raises an OperationalError for all of them.
_MYSQL_UNENCODABLE = frozenset({1267, 1300, 1366, 3988})
# Connection exception, read-only after a fail-over, transaction rollback, insufficient resources such as a full disk,
# operator intervention, errors of the disk; lock not available.
_POSTGRESQL_TRANSIENT = ("08", "25006", "40", "53", "57", "58", "55P03")
_SQLITE_TRANSIENT = ("locked", "busy", "unable to open", "disk is full", "disk I/O error")


@functools.cache
def statement_bytes() -> int | None:
    """
    Return how many bytes a statement may have, or None when there is no limit. Asks the database once in a process.

    MariaDB and MySQL close the connection after a longer statement. That cannot be distinguished from a transient
    error.
    """
    if connection.vendor != "mysql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@max_allowed_packet")
        return int(cursor.fetchone()[0])


def incomplete_character_sets(tables: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """
    Yield where MariaDB or MySQL cannot store every character: a description, the character set, and the remedy.

    Looks at the connection, at the default of new tables, and at the text columns of ``tables``.
    """
    if connection.vendor != "mysql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@character_set_client, @@character_set_database, DATABASE()")
        client, default, database = cursor.fetchone()
        cursor.execute(
            "SELECT table_name, column_name, column_type, is_nullable, character_set_name "
            "FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name IN %s "
            "AND data_type <> 'char' AND character_set_name <> 'utf8mb4' ORDER BY table_name, ordinal_position",
            [list(tables)],
        )
        columns = cursor.fetchall()
    if client != "utf8mb4":
        yield "The connection talks", client, 'DATABASES["default"]["OPTIONS"]["charset"] = "utf8mb4"'
    if default != "utf8mb4":
        yield "New tables are made", default, f"ALTER DATABASE `{database}` CHARACTER SET utf8mb4;  -- before migrate"
    for table, column, kind, nullable, characters in columns:
        null = "NULL" if nullable == "YES" else "NOT NULL"
        remedy = f"ALTER TABLE `{table}` MODIFY `{column}` {kind} CHARACTER SET utf8mb4 {null};"
        yield f"{table}.{column} is", characters, remedy


def inexact_columns(models: Iterable[type[Model]]) -> Iterator[tuple[str, str, str]]:
    """
    Yield which columns of identifying text (``KeyField``) MariaDB or MySQL does not compare byte by byte.

    For each: ``table.column``, the collation it has, and the statement that corrects it. Columns that are not there yet
    are right when they are made.
    """
    if connection.vendor != "mysql":
        return
    wanted = exact_collation(connection)
    fields = {
        (model._meta.db_table, str(field.column)): field
        for model in models
        for field in model._meta.local_concrete_fields
        if isinstance(field, KeyField)
    }
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, collation_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name IN %s AND collation_name <> %s "
            "ORDER BY table_name, ordinal_position",
            [sorted({table for table, _ in fields}), wanted],
        )
        found = cursor.fetchall()
    for table, column, collation in found:
        if field := fields.get((table, column)):
            null = "NULL" if field.null else "NOT NULL"
            kind = f"{field.db_type(connection)} CHARACTER SET utf8mb4 COLLATE {wanted} {null}"
            yield f"{table}.{column}", collation, f"ALTER TABLE `{table}` MODIFY `{column}` {kind};"


@contextmanager
def read_committed() -> Iterator[None]:
    """
    Run a durable transaction at the isolation level READ COMMITTED.

    After waiting for a lock, it sees what the lock's holder has committed. A host may have set its database to
    REPEATABLE READ. Then a transaction reads the same state after the wait as before. Two consumers that each fulfil
    one of two requirements would both miss the fulfilment of the other.
    """
    # The level cannot be set any more inside a transaction, such as that of a test case.
    is_outermost = not connection.in_atomic_block
    with transaction.atomic(durable=True):
        if is_outermost and connection.vendor != "sqlite":  # SQLite has one writer at a time
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        yield


def as_uuids(values: Iterable[UUID]) -> list[Any]:
    """Return UUIDs as the driver takes them."""
    return list(values) if connection.features.has_native_uuid_field else [value.hex for value in values]


class Among(In):
    """
    The condition that a column has one of many values: all integers, all text or all UUIDs.

    ``Among(F("lms_user_id"), ids)`` filters as ``lms_user_id__in=ids`` does. That asks the field for each value how it
    is saved, which is most of the time of a query for the hundreds of people of a batch.
    """

    def get_prep_lookup(self) -> list[Any]:
        return list(dict.fromkeys(self.rhs))

    def process_rhs(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        if not self.rhs:
            raise EmptyResultSet
        values = as_uuids(self.rhs) if isinstance(self.rhs[0], UUID) else self.rhs
        return f"({', '.join(['%s'] * len(values))})", tuple(values)


def is_unencodable(error: BaseException) -> bool:
    """Return whether the database cannot store a value, such as a character that its character set does not have."""
    if connection.vendor == "mysql" and isinstance(error, OperationalError):
        return bool(error.args) and error.args[0] in _MYSQL_UNENCODABLE
    return isinstance(error, DataError)


def is_transient(error: BaseException) -> bool:
    """Return whether the same work can succeed when it is tried again: deadlock, lost connection, full disk."""
    if isinstance(error, InterfaceError):
        return True
    if connection.vendor == "postgresql":
        return _is_postgresql_transient(error)
    if not isinstance(error, OperationalError):
        return False
    if connection.vendor == "mysql":
        return bool(error.args) and error.args[0] in _MYSQL_TRANSIENT
    return any(words in str(error) for words in _SQLITE_TRANSIENT)


def _is_postgresql_transient(error: BaseException) -> bool:
    if not isinstance(error, DatabaseError):
        return False
    # The code is `sqlstate` in psycopg and `pgcode` in psycopg2. An error without an answer of the server has neither.
    state = getattr(error.__cause__, "sqlstate", None) or getattr(error.__cause__, "pgcode", None)
    return isinstance(error, OperationalError) if state is None else state.startswith(_POSTGRESQL_TRANSIENT)


def retry_transient(work: Callable[[], T], *, give_up_seconds: float | None = None) -> T:
    """
    Call ``work`` and return what it returns; call it again after each transient error of the database.

    ``work`` must be one transaction, or be safe to repeat. A longer wait is logged once. Raises Retryable when the
    errors last for longer than ``give_up_seconds``, which is ``LMS_BADGES_CONFIG["intake"]["give_up_seconds"]`` by
    default. Other errors are raised at once.
    """
    give_up_seconds = config.intake["give_up_seconds"] if give_up_seconds is None else give_up_seconds
    began, tries, is_announced = time.monotonic(), 0, False
    while True:
        try:
            done = work()
        except Exception as error:
            if not is_transient(error):
                raise
            waited = time.monotonic() - began
            if waited > give_up_seconds:
                raise Retryable(
                    f"The database did not answer for {waited:.0f} seconds; nothing was changed."
                ) from error
            tries += 1
            if waited >= ANNOUNCED_AFTER_SECONDS and not is_announced:
                is_announced = True
                log.warning("The database is not available (%s); waiting for it.", type(error).__name__)
            _close_connection()
            time.sleep(next_delay(tries, base=0.1, cap=2.0))
        else:
            if is_announced:
                log.warning("The database is back.")
            return done


def in_transaction(work: Callable[[], T], *, give_up_seconds: float | None = None) -> T:
    """
    Call ``work`` in a transaction, and return what it returns; call it again after a transient error of the database.

    In the caller's transaction a transient error is raised as it is: MariaDB has ended that transaction, and only the
    caller can begin it again. Raises Retryable as ``retry_transient`` does.
    """
    if connection.in_atomic_block:
        with transaction.atomic():
            return work()

    def alone() -> T:
        with read_committed():
            return work()

    return retry_transient(alone, give_up_seconds=give_up_seconds)


def retried_when_transient(work: Callable[Parameters, T]) -> Callable[Parameters, T]:
    """Decorate a function that is one transaction: each call goes through ``retry_transient``."""

    @functools.wraps(work)
    def retried(*args: Parameters.args, **kwargs: Parameters.kwargs) -> T:
        return retry_transient(lambda: work(*args, **kwargs))

    return retried


def _close_connection() -> None:
    """Close a connection that may be broken; the next statement opens a new one."""
    if not connection.in_atomic_block:
        connection.close()
