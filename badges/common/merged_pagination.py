"""Pages over several lists that are merged, newest first: what a person holds is in tables of two apps."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from rest_framework.request import Request

from badges.common.pagination import KeysetPagination, read_time


class Source(NamedTuple):
    """One of the lists: its name, its rows, and the field with the time of a row."""

    kind: str
    rows: QuerySet[Any]
    time: str


class Entry(NamedTuple):
    """A row and which list it is from."""

    kind: str
    row: Any


class Position(NamedTuple):
    """The position of an entry in the merged list."""

    time: dt.datetime
    kind: str
    id: uuid.UUID


class MergedPagination(KeysetPagination):
    """
    Merges lists by time, then by their order, then by id: a position is an entry's time, list and id.

    Each list is read by its own index, with at limit as many rows as a page has, however many rows have one time.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        self._sources: list[Source] = queryset
        self._ranks = {source.kind: rank for rank, source in enumerate(self._sources)}
        return self.page(request)

    def entries_beyond(self, position: Position | None, *, backward: bool, limit: int) -> list[Any]:
        found: list[Entry] = []
        for rank, source in sorted(enumerate(self._sources), reverse=backward):
            rows = source.rows
            if position is not None:
                here = self._ranks[position.kind]
                same_time_too = (rank < here) == backward
                rows = rows.filter(
                    _beyond(position, source.time, same=rank == here, same_time_too=same_time_too, backward=backward)
                )
            order = (source.time, "pk") if backward else (f"-{source.time}", "-pk")
            found += [Entry(source.kind, row) for row in rows.order_by(*order)[:limit]]
        # Sorting is stable, also in reverse: entries of one time stay in the order of lists and ids.
        return sorted(found, key=self._time_of, reverse=not backward)[:limit]

    def position_of(self, entry: Entry) -> list[Any]:
        return [self._time_of(entry).isoformat(), entry.kind, str(entry.row.pk)]

    def read_position(self, parts: list[Any]) -> Position:
        time, kind, row_id = parts
        if kind not in self._ranks:
            raise ValueError("a position in another list")
        return Position(read_time(time), kind, uuid.UUID(row_id))

    def _time_of(self, entry: Entry) -> dt.datetime:
        return getattr(entry.row, self._sources[self._ranks[entry.kind]].time)


def _beyond(position: Position, time: str, *, same: bool, same_time_too: bool, backward: bool) -> Q:
    """
    The rows beyond a position.

    In the list of the position, ids decide among rows of its time. In a list that comes later (``same_time_too``), all
    rows of that time are beyond the position. In a list that comes earlier, none are.
    """
    beyond = "gt" if backward else "lt"
    if not same:
        return Q(**{f"{time}__{beyond}{'e' if same_time_too else ''}": position.time})
    by_id = Q(**{f"{time}__{beyond}": position.time}) | Q(**{f"pk__{beyond}": position.id})
    return (
        Q(**{f"{time}__{beyond}e": position.time}) & by_id
    )  # the first follows from the others, and lets an index be used
