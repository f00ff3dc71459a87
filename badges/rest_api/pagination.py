"""Pages of big lists, newest first, without counting and without offsets."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from typing import Any, NamedTuple

from django.db.models import Model, Q, QuerySet
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

PAGE_SIZE, MAX_PAGE_SIZE = 50, 200


class _Cursor(NamedTuple):
    """The row after (or, going back, before) which a page begins; ``time`` is None in lists that stand by id alone."""

    back: bool
    time: dt.datetime | None
    id: uuid.UUID


class NewestFirst(BasePagination):
    """
    A place in the list is a row's (time, id): the view's ``newest_by``, which may be None, and the primary key.

    Rows that arrive while somebody turns pages move nothing, and page one thousand costs what page one costs, provided
    that an index has them so; both hold however many rows share one time, as those of a batch do.
    """

    cursor_param, size_param = "cursor", "page_size"
    params = (cursor_param, size_param)

    def paginate_queryset(self, queryset: QuerySet[Any], request: Request, view: Any = None) -> list[Any]:
        self.time_field: str | None = view.newest_by
        self.url = request.build_absolute_uri()
        size, cursor = self._size(request), self._cursor(request)
        back = cursor is not None and cursor.back
        rows = self._from(queryset, cursor) if cursor else queryset
        order = [name for name in (self.time_field, "pk") if name]
        found = list(rows.order_by(*(order if back else [f"-{name}" for name in order]))[: size + 1])
        more, page = len(found) > size, found[:size]
        if back:
            page.reverse()
        self.next = self._link(page[-1], back=False) if page and (more or back) else None
        self.previous = self._link(page[0], back=True) if page and (more if back else cursor is not None) else None
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "properties": {"next": link, "previous": link, "results": schema},
            "required": ["next", "previous", "results"],
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE}
        return [
            _parameter(self.cursor_param, "A place in the list: follow `next` and `previous`.", {"type": "string"}),
            _parameter(self.size_param, "How many there are on a page.", size),
        ]

    def _size(self, request: Request) -> int:
        text = request.query_params.get(self.size_param)
        if text is None:
            return PAGE_SIZE
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE):
            remedy = _("Write a whole number from 1 to %(most)s.") % {"most": MAX_PAGE_SIZE}
            raise ValidationError({self.size_param: [remedy]})
        return int(text)

    def _cursor(self, request: Request) -> _Cursor | None:
        text = request.query_params.get(self.cursor_param)
        if text is None:
            return None
        try:
            back, time, row_id = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
            moment = dt.datetime.fromisoformat(time).astimezone(dt.UTC) if self.time_field else None
            return _Cursor(bool(back), moment, uuid.UUID(row_id))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
            remedy = _("This is no cursor of ours: follow the links of a page, or begin without one.")
            raise ValidationError({self.cursor_param: [remedy]}) from None

    def _from(self, queryset: QuerySet[Any], cursor: _Cursor) -> QuerySet[Any]:
        """The rows beyond a place. The first condition follows from the others: databases find it in the index."""
        beyond = "gt" if cursor.back else "lt"
        time = self.time_field
        if time is None:
            return queryset.filter(**{f"pk__{beyond}": cursor.id})
        return queryset.filter(
            Q(**{f"{time}__{beyond}e": cursor.time}),
            Q(**{f"{time}__{beyond}": cursor.time}) | Q(**{f"pk__{beyond}": cursor.id}),
        )

    def _link(self, row: Model, *, back: bool) -> str:
        time = getattr(row, self.time_field).isoformat() if self.time_field else None
        place = [int(back), time, str(row.pk)]
        text = base64.urlsafe_b64encode(json.dumps(place).encode()).decode("ascii")
        return replace_query_param(remove_query_param(self.url, self.cursor_param), self.cursor_param, text)


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
