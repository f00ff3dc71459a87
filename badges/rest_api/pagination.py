"""Keyset pagination of one table: newest first, or by a column of its own."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, ClassVar

from django.db.models import Model, Q, QuerySet
from rest_framework.request import Request

from badges.common.pagination import KeysetPagination, read_time

# of a positive integer field, in every database
LARGEST_NUMBER = 2**31 - 1

Position = tuple[dt.datetime | None, uuid.UUID]


class NewestFirstPagination(KeysetPagination):
    """
    A position is the (time, id) of a row. The time is the view's ``newest_by`` field, which may be None.

    The id makes positions unique: the rows of a batch share one time.
    """

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        self.rows, self.time_field = queryset, view.newest_by
        return self.page(request)

    def entries_beyond(self, position: Position | None, *, backward: bool, limit: int) -> list[Any]:
        rows = self.rows if position is None else self.rows.filter(self._beyond(position, "gt" if backward else "lt"))
        order = [name for name in (self.time_field, "pk") if name]
        return list(rows.order_by(*(order if backward else [f"-{name}" for name in order]))[:limit])

    def position_of(self, row: Model) -> list[Any]:
        return [getattr(row, self.time_field).isoformat() if self.time_field else None, str(row.pk)]

    def read_position(self, parts: list[Any]) -> Position:
        time, row_id = parts
        return read_time(time) if self.time_field else None, uuid.UUID(row_id)

    def _beyond(self, position: Position, beyond: str) -> Q:
        """Return the condition of the rows beyond a position. The first part is redundant, but uses the index."""
        time, row_id = position
        if self.time_field is None:
            return Q(**{f"pk__{beyond}": row_id})
        by_id = Q(**{f"{self.time_field}__{beyond}": time}) | Q(**{f"pk__{beyond}": row_id})
        return Q(**{f"{self.time_field}__{beyond}e": time}) & by_id


class ByColumnPagination(KeysetPagination):
    """A position is the value of a column that is unique in the list. Subclasses name the column and its values."""

    column: ClassVar[str]
    descending: ClassVar[bool] = False

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        self.rows = queryset
        return self.page(request)

    def entries_beyond(self, position: Any, *, backward: bool, limit: int) -> list[Any]:
        greater = backward == self.descending
        rows = self.rows
        if position is not None:
            rows = rows.filter(**{f"{self.column}__{'gt' if greater else 'lt'}": position})
        return list(rows.order_by(self.column if greater else f"-{self.column}")[:limit])

    def position_of(self, row: Model) -> list[Any]:
        return [getattr(row, self.column)]


class BySlugPagination(ByColumnPagination):
    """Templates in the order of their slugs."""

    column = "slug"

    def read_position(self, parts: list[Any]) -> str:
        (slug,) = parts
        if not isinstance(slug, str) or not is_storable(slug):
            raise ValueError("this is no slug")
        return slug


class ByNamePagination(ByColumnPagination):
    """Event types in the order of their names."""

    column = "name"

    def read_position(self, parts: list[Any]) -> str:
        (name,) = parts
        if not isinstance(name, str) or not is_storable(name):
            raise ValueError("this is no name")
        return name


class NewestRevisionFirstPagination(ByColumnPagination):
    """Revisions of one template, the newest first."""

    column = "number"
    descending = True

    def read_position(self, parts: list[Any]) -> int:
        (number,) = parts
        if type(number) is not int or not 0 <= number <= LARGEST_NUMBER:
            raise ValueError("this is no number of a revision")
        return number


def is_storable(text: str) -> bool:
    """Return whether all databases can store a text. Other texts find nothing."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
