"""
Empty the database after a test that commits, faster than Django does.

Django's ``flush`` empties every table and makes content types and permissions anew. That takes half a second on
PostgreSQL, and some hundred tests commit. Most of them fill a few tables with a few rows, so only these are deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection, transaction
from django.test import TransactionTestCase

# A table with more rows is emptied by Django, so that no dead rows are left that would change how it is read.
MANY = 1_000

Rows = dict[str, list[tuple[Any, ...]]]


class Flush:
    """
    What stands in for the ``_fixture_teardown`` of Django's test case.

    Django's own is called for the first time, to learn which rows it leaves behind, and whenever it would do something
    else than delete a few rows: when a test has changed the rows that stay, or has filled a table with many rows.
    ``by_django`` asks for it once. A process that a test has killed may still commit, and only Django waits for that.
    """

    def __init__(self, by_django: Callable[[TransactionTestCase], None]):
        self._flush = by_django
        self._left: Rows | None = None
        self.by_django = False

    def __call__(self, test: TransactionTestCase) -> None:
        """Empty the database. What Django leaves there stays: content types, permissions, periodic tasks."""
        if self._left is None or not self._delete_few(self._left):
            self._flush(test)
            self.by_django = False
            self._left = _rows_of(table for table, number in _count(_tables()).items() if number)

    def _delete_few(self, left: Rows) -> bool:
        """Delete the rows of a test if that does the same as Django's flush; return whether it was done."""
        if self.by_django or _rows_of(left) != left:
            return False
        numbers = _count([table for table in _tables() if table not in left])
        if max(numbers.values()) > MANY:
            return False
        # Constraints are checked at the end of the transaction, except on MariaDB, where they are switched off.
        with connection.constraint_checks_disabled(), transaction.atomic(), connection.cursor() as cursor:
            for table in (table for table, number in numbers.items() if number):
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
        return True


def _tables() -> list[str]:
    """Return the tables that Django's flush would empty."""
    return sorted(connection.introspection.django_table_names(only_existing=True, include_views=False))


def _count(tables: Iterable[str]) -> dict[str, int]:
    """Return how many rows tables have, at most one more than ``MANY``; one statement."""
    tables = list(tables)
    few = f"(SELECT COUNT(*) FROM (SELECT 1 FROM {{}} LIMIT {MANY + 1}) few)"
    with connection.cursor() as cursor:
        cursor.execute("SELECT " + ", ".join(few.format(connection.ops.quote_name(table)) for table in tables))
        return dict(zip(tables, cursor.fetchone(), strict=True))


def _rows_of(tables: Iterable[str]) -> Rows:
    rows: Rows = {}
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            rows[table] = list(cursor.fetchall())
    return rows


def install() -> Flush:
    """Let Django's test cases empty the database this way."""
    flush = Flush(TransactionTestCase._fixture_teardown)
    TransactionTestCase._fixture_teardown = lambda test: flush(test)
    return flush
