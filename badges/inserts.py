"""
New rows, many at a time.

What ``bulk_create`` does for rows that are nothing but values, without asking every field of every row how it is to be
saved: a batch of events is mostly its inserts, and most of their time went there.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Any, TypeVar

from django.db import connection, models
from django.db.models.constants import OnConflict

Row = TypeVar("Row", bound=models.Model)

# What every driver takes as it is. Times and UUIDs are spelled differently by each database.
_PLAIN = frozenset({str, int, type(None)})


def insert(rows: Iterable[Row], *, unique: str | None = None, update: str | None = None) -> None:
    """
    Insert rows of one model in the order given; one statement.

    Where a row with the same ``unique`` field is there already, that one gets the new one's ``update`` field, or stays
    as it is. Nothing is read back, so a key that the database counts stays unknown, and nothing fills itself
    (``auto_now``).

    Conflicts are a no-op update and not ignored: MariaDB's ``INSERT IGNORE`` swallows real data errors too, and
    truncates instead.
    """
    rows = list(rows)
    if not rows:
        return
    model = type(rows[0])
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    values_of = itemgetter(*(field.attname for field in fields))
    by_field = zip(*(values_of(vars(row)) for row in rows), strict=True)
    columns = [_adapted(field, values) for field, values in zip(fields, by_field, strict=True)]
    into = f"INSERT INTO {_quoted(model._meta.db_table)} ({', '.join(_quoted(str(field.column)) for field in fields)})"
    conflict = _on_conflict(fields, unique, update or unique) if unique else ""
    places = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # An array for each column: less for the server to read than a place for each value.
            # S608: names of our tables and columns.
            arrays = ", ".join(f"%s::{_array_type(field)}" for field in fields)
            cursor.execute(f"{into} SELECT * FROM UNNEST({arrays}) {conflict}", columns)  # noqa: S608
        elif connection.vendor == "sqlite":
            # Prepared once. Its statements hold only so many values.
            cursor.executemany(f"{into} VALUES {places} {conflict}", list(zip(*columns, strict=True)))
        else:
            values = list(itertools.chain.from_iterable(zip(*columns, strict=True)))
            cursor.execute(f"{into} VALUES {', '.join([places] * len(rows))} {conflict}", values)


def _adapted(field: models.Field[Any, Any], values: Sequence[Any]) -> list[Any]:
    """Return values as the driver takes them. Rows share most of those that have to be spelled."""
    if _PLAIN.issuperset(map(type, values)):
        return list(values)
    spelled = {value: field.get_db_prep_save(value, connection) for value in set(values)}
    return [spelled[value] for value in values]


def _on_conflict(fields: Iterable[models.Field[Any, Any]], unique: str, update: str) -> str:
    column = {field.name: field.column for field in fields}
    return str(connection.ops.on_conflict_suffix_sql([], OnConflict.UPDATE, [column[update]], [column[unique]]))


def _array_type(field: models.Field[Any, Any]) -> str:
    # Without the length: a cast would cut off what is too long, where an insert refuses it.
    return f"{str(field.db_type(connection)).partition('(')[0]}[]"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
