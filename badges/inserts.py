"""
Make many rows of one model, and insert them in one statement.

This does what ``bulk_create`` does for rows of plain values, column by column: ``bulk_create`` asks every field of
every row how its value is saved. Most of the time of a batch of events is spent on its rows and their inserts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, models
from django.db.models.base import ModelState
from django.db.models.constants import OnConflict

from badges.database import as_uuids, statement_bytes

Row = TypeVar("Row", bound=models.Model)

# Types that every driver takes as they are. Times and UUIDs are written differently for each database.
_PLAIN = frozenset({str, int, type(None)})

# The most bytes that an INSERT takes besides its rows.
STATEMENT_OVERHEAD = 4096


def new_row(model: type[Row], **values: Any) -> Row:
    """
    Return an unsaved row, as ``model(**values)`` does, in a fifth of its time.

    ``values`` are named as the row's columns are: ``learner_id=1``, not ``learner=…``. Fields without a value get their
    default. No signal is sent. Raises TypeError for a name that is no column of the model.
    """
    constants, functions = _defaults(model)
    row = model.__new__(model)
    columns = vars(row)
    columns.update(constants)
    columns.update(values)
    for name, default in functions:
        if name not in values:
            columns[name] = default()
    if len(columns) != len(constants) + len(functions):
        raise TypeError(f"{model.__name__} has no columns {sorted(columns.keys() - _attnames(model))}")
    columns["_state"] = ModelState()
    return row


def insert(
    rows: Iterable[Row],
    *,
    unique: str | Sequence[str] | None = None,
    update: str | Sequence[str] | None = None,
    if_greater: str | None = None,
) -> None:
    """
    Insert rows of one model in the order given; one statement. SQLite's driver may split it.

    ``unique`` names a unique field, or the fields of one unique constraint. A row that exists already with the same
    values of them gets the ``update`` fields of the new row, or stays as it is without ``update``. Without ``unique``,
    such a row raises IntegrityError. No two of the given rows may have the same values of ``unique`` when ``update`` is
    given: PostgreSQL refuses that. MariaDB and MySQL update for a conflict with any unique constraint of the table.
    With ``if_greater``, which names one of the ``update`` fields, a row that exists is updated only if the new row has
    a greater value of it. The field must not be NULL in the table.

    Nothing is read back, so a primary key that the database generates stays unknown. Fields with ``auto_now`` are not
    filled. Columns that are NULL in all rows are left out of the statement.

    A conflict is an update that changes nothing. ``INSERT IGNORE`` is not used: on MariaDB it also hides wrong data and
    truncates it.
    """
    rows = list(rows)
    if not rows:
        return
    model = type(rows[0])
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    values_of = itemgetter(*(field.attname for field in fields))
    by_field = zip(*(values_of(vars(row)) for row in rows), strict=True)
    conflict = _on_conflict(fields, _names(unique), _names(update or unique), if_greater) if unique else ""
    given = [(field, values) for field, values in zip(fields, by_field, strict=True) if not _is_null(field, values)]
    fields = [field for field, _ in given]
    columns = [_adapted(field, values) for field, values in given]
    into = f"INSERT INTO {_quoted(model._meta.db_table)} ({', '.join(_quoted(str(field.column)) for field in fields)})"
    placeholders = f"({', '.join(['%s'] * len(fields))})"
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One array for each column. The server parses that faster than a placeholder for each value.
            # S608: names of our tables and columns.
            arrays = ", ".join(f"%s::{_array_type(field)}" for field in fields)
            cursor.execute(f"{into} SELECT * FROM UNNEST({arrays}) {conflict}", columns)  # noqa: S608
        elif connection.vendor == "sqlite":
            # Prepared once. A statement of SQLite has a limited number of values.
            cursor.executemany(f"{into} VALUES {placeholders} {conflict}", list(zip(*columns, strict=True)))
        else:
            values = list(itertools.chain.from_iterable(zip(*columns, strict=True)))
            cursor.execute(f"{into} VALUES {', '.join([placeholders] * len(rows))} {conflict}", values)


@cache
def _defaults(model: type[models.Model]) -> tuple[dict[str, Any], list[tuple[str, Callable[[], Any]]]]:
    """Return the defaults of a model's columns: those that are the same for every row, and functions that make one."""
    fields = model._meta.concrete_fields
    functions = [(field.attname, field.default) for field in fields if field.has_default() and callable(field.default)]
    made = dict(functions)
    return {field.attname: field.get_default() for field in fields if field.attname not in made}, functions


def _attnames(model: type[models.Model]) -> set[str]:
    return {field.attname for field in model._meta.concrete_fields}


def _is_null(field: models.Field[Any, Any], values: Sequence[Any]) -> bool:
    """Return whether a column is NULL in all rows, also if it is left out."""
    return values.count(None) == len(values) and not field.has_db_default()


def _adapted(field: models.Field[Any, Any], values: Sequence[Any]) -> list[Any]:
    """Return values as the driver takes them. Equal values, which are frequent, are converted once."""
    types = set(map(type, values))
    if types <= _PLAIN:
        return list(values)
    if all(issubclass(each, UUID) for each in types) and isinstance(_referenced(field), models.UUIDField):
        return as_uuids(values)
    converted = {value: field.get_db_prep_save(value, connection) for value in set(values)}
    return [converted[value] for value in values]


def _referenced(field: models.Field[Any, Any]) -> models.Field[Any, Any]:
    """Return the field whose values a column holds: that of the other table for a foreign key."""
    return field.target_field if isinstance(field, models.ForeignKey) else field


def _names(given: str | Sequence[str]) -> Sequence[str]:
    return [given] if isinstance(given, str) else given


def _on_conflict(
    fields: Sequence[models.Field[Any, Any]], unique: Sequence[str], update: Sequence[str], if_greater: str | None
) -> str:
    column = {field.name: str(field.column) for field in fields}
    updated, targets = [column[name] for name in update], [column[name] for name in unique]
    if if_greater is None:
        return str(connection.ops.on_conflict_suffix_sql([], OnConflict.UPDATE, updated, targets))
    compared = _quoted(column[if_greater])
    if connection.vendor == "mysql":
        # Assignments are made from left to right, so the compared column must be the last one.
        names = [*(name for name in map(_quoted, updated) if name != compared), compared]
        new = (f"{name} = IF(VALUES({compared}) > {compared}, VALUES({name}), {name})" for name in names)
        return f"ON DUPLICATE KEY UPDATE {', '.join(new)}"
    suffix = connection.ops.on_conflict_suffix_sql([], OnConflict.UPDATE, updated, targets)
    return f"{suffix} WHERE {_quoted(fields[0].model._meta.db_table)}.{compared} < EXCLUDED.{compared}"


def _array_type(field: models.Field[Any, Any]) -> str:
    # Without the length: a cast would cut off a text that is too long, where an insert refuses it.
    return f"{str(field.db_type(connection)).partition('(')[0]}[]"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def statements_of(
    rows: Sequence[Row], *, size_of: Callable[[Row], int], too_long: Callable[[Row, int, int], int | None]
) -> Iterator[Sequence[Row]]:
    """
    Divide rows into inserts that are no longer than the server accepts, in their order.

    ``size_of`` returns the most bytes that a row takes in a statement. A row that is too long for any statement is
    given to ``too_long``, with its size and the limit. That shortens the row and returns its new size, returns None to
    leave it out, or raises.
    """
    limit = statement_bytes()
    if limit is None:
        yield rows
        return
    available = limit - STATEMENT_OVERHEAD
    statement: list[Row] = []
    length = 0
    for row in rows:
        size = size_of(row)
        if size > available:
            shortened = too_long(row, size, limit)
            if shortened is None:
                continue
            size = shortened
        if statement and length + size > available:
            yield statement
            statement, length = [], 0
        statement.append(row)
        length += size
    if statement:
        yield statement
