"""Counting what reaches the database's driver: BEGIN, COMMIT and savepoints too, which Django's own log leaves out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from django.db import connection


class _Counted:
    """A DB-API connection that writes down what its cursors execute and when it commits or rolls back."""

    def __init__(self, real: Any, statements: list[str]):
        self.__dict__.update(_real=real, _statements=statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        return _CountedCursor(self._real.cursor(*args, **kwargs), self._statements)

    def commit(self) -> None:
        self._statements.append("COMMIT")
        self._real.commit()

    def rollback(self) -> None:
        self._statements.append("ROLLBACK")
        self._real.rollback()


class _CountedCursor:
    def __init__(self, real: Any, statements: list[str]):
        self.__dict__.update(_real=real, _statements=statements)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._real, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._real)

    def __enter__(self) -> _CountedCursor:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._real.close()

    def execute(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
        self._statements.append(str(sql))
        return self._real.execute(sql, *args, **kwargs)

    def executemany(self, sql: Any, *args: Any, **kwargs: Any) -> Any:
        self._statements.append(str(sql))
        return self._real.executemany(sql, *args, **kwargs)


@contextlib.contextmanager
def counted_statements() -> Iterator[list[str]]:
    """
    Collect every statement that reaches the driver.

    psycopg and mysqlclient send BEGIN themselves, with the first statement or when autocommit is switched off; it is
    counted where Django asks for it.
    """
    connection.ensure_connection()
    real, statements = connection.connection, []
    connection.connection = _Counted(real, statements)
    set_autocommit = connection._set_autocommit

    def counting_set_autocommit(autocommit: bool) -> None:
        connection.connection = real
        try:
            set_autocommit(autocommit)
        finally:
            connection.connection = _Counted(real, statements)
        if not autocommit:
            statements.append("BEGIN")

    connection._set_autocommit = counting_set_autocommit
    try:
        yield statements
    finally:
        del connection._set_autocommit
        connection.connection = real
