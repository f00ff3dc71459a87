"""Pages of two lists in one: certificates and badges, newest first, without counting and without offsets."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

PAGE_SIZE, MAX_PAGE_SIZE = 50, 200


class Source(NamedTuple):
    """One of the lists: its name, its rows, and the field that says when a row came to be."""

    kind: str
    rows: QuerySet[Any]
    time: str


class Entry(NamedTuple):
    """A row and which list it is from."""

    kind: str
    row: Any


class Place(NamedTuple):
    """The entry after (or, going back, before) which a page begins."""

    back: bool
    time: dt.datetime
    kind: str
    id: uuid.UUID


class NewestOfAll(BasePagination):
    """
    Merges lists by time, then by their order, then by id: a place is an entry's time, list and id.

    Each list answers from its own index, with as many rows as the page holds. Rows that arrive while somebody turns
    pages move nothing, however many rows share one time.
    """

    cursor_param, size_param = "cursor", "page_size"
    params = (cursor_param, size_param)

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        sources: list[Source] = queryset
        self._url, self._times = request.build_absolute_uri(), {source.kind: source.time for source in sources}
        size, place = self._size(request), self._place(request, {source.kind for source in sources})
        back = place is not None and place.back
        found = self._merged(sources, place, size + 1)
        more, page = len(found) > size, found[:size]
        if back:
            page.reverse()
        self.next = self._link(page[-1], back=False) if page and (more or back) else None
        self.previous = self._link(page[0], back=True) if page and (more if back else place is not None) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        properties = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "properties": properties, "required": list(properties)}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
        return [
            _parameter(self.cursor_param, "A place in the list: follow `next` and `previous`.", {"type": "string"}),
            _parameter(self.size_param, "How many there are on a page.", size),
        ]

    def _merged(self, sources: list[Source], place: Place | None, most: int) -> list[Entry]:
        back = place is not None and place.back
        found: list[Entry] = []
        for rank, source in reversed(list(enumerate(sources))) if back else enumerate(sources):
            rows = source.rows
            if place is not None:
                here = [other.kind for other in sources].index(place.kind)
                rows = rows.filter(_beyond(place, source.time, same=rank == here, at_once=(rank < here) == back))
            order = (source.time, "pk") if back else (f"-{source.time}", "-pk")
            found += [Entry(source.kind, row) for row in rows.order_by(*order)[:most]]
        # Sorting is stable, also in reverse: entries of one time stay in the order of lists and ids.
        return sorted(found, key=self._time_of, reverse=not back)[:most]

    def _time_of(self, entry: Entry) -> dt.datetime:
        return getattr(entry.row, self._times[entry.kind])

    def _size(self, request: Request) -> int:
        text = request.query_params.get(self.size_param)
        if text is None:
            return PAGE_SIZE
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE):
            remedy = _("Write a whole number from 1 to %(most)s.") % {"most": MAX_PAGE_SIZE}
            raise ValidationError({self.size_param: [remedy]})
        return int(text)

    def _place(self, request: Request, kinds: set[str]) -> Place | None:
        text = request.query_params.get(self.cursor_param)
        if text is None:
            return None
        try:
            back, time, kind, row_id = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
            place = Place(bool(back), dt.datetime.fromisoformat(time).astimezone(dt.UTC), str(kind), uuid.UUID(row_id))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
            place = None
        if place is None or place.kind not in kinds:
            remedy = _("This is no cursor of this list: follow the links of a page, or begin without one.")
            raise ValidationError({self.cursor_param: [remedy]})
        return place

    def _link(self, entry: Entry, *, back: bool) -> str:
        place = [int(back), self._time_of(entry).isoformat(), entry.kind, str(entry.row.pk)]
        text = base64.urlsafe_b64encode(json.dumps(place).encode()).decode("ascii")
        return replace_query_param(remove_query_param(self._url, self.cursor_param), self.cursor_param, text)


def _beyond(place: Place, time: str, *, same: bool, at_once: bool) -> Q:
    """
    The rows beyond a place.

    In the place's own list, ids decide among rows of its time. Of a list that comes later (``at_once``) all rows of
    that time are beyond it, of one that came before none are.
    """
    beyond = "gt" if place.back else "lt"
    if not same:
        return Q(**{f"{time}__{beyond}{'e' if at_once else ''}": place.time})
    by_id = Q(**{f"{time}__{beyond}": place.time}) | Q(**{f"pk__{beyond}": place.id})
    return Q(**{f"{time}__{beyond}e": place.time}) & by_id  # the first follows from the others: an index has it


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
