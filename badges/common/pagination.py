"""
Keyset pagination of long lists, newest first, without counts and offsets.

A cursor is the position of an entry. The page begins after it or, going back, ends before it. New rows do not shift the
pages. Every page costs the same when an index has the order of the list.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from typing import Any

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

PAGE_SIZE, MAX_PAGE_SIZE = 50, 200


class KeysetPagination(BasePagination):
    """Pages of a list whose entries have positions. Subclasses define positions and the entries beyond them."""

    cursor_param, size_param = "cursor", "page_size"
    page_size = PAGE_SIZE
    params = (cursor_param, size_param)

    def entries_beyond(self, position: Any, *, backward: bool, limit: int) -> list[Any]:
        """Return at most ``limit`` entries, nearest to the position first; those at the start when it is None."""
        raise NotImplementedError

    def position_of(self, entry: Any) -> list[Any]:
        """Return an entry's position as a list of JSON values."""
        raise NotImplementedError

    def read_position(self, parts: list[Any]) -> Any:
        """Return the position that a client sent back. Raises ValueError or TypeError when it is not valid."""
        raise NotImplementedError

    def page(self, request: Request) -> list[Any]:
        """Return the requested page, and set ``next`` and ``previous`` to the URLs of the pages beside it."""
        self._url = request.build_absolute_uri()
        size, (backward, position) = self._size(request), self._cursor(request)
        found = self.entries_beyond(position, backward=backward, limit=size + 1)
        more, page = len(found) > size, found[:size]
        if backward:
            page.reverse()
        self.next = self._link(page[-1], backward=False) if page and (more or backward) else None
        self.previous = (
            self._link(page[0], backward=True) if page and (more if backward else position is not None) else None
        )
        return page

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self.next, "previous": self.previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        properties = {"next": link, "previous": link, "results": schema}
        return {"type": "object", "properties": properties, "required": list(properties)}

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        size = {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": self.page_size}
        return [
            _parameter(self.cursor_param, "A position in the list: follow `next` and `previous`.", {"type": "string"}),
            _parameter(self.size_param, "How many there are on a page.", size),
        ]

    def _size(self, request: Request) -> int:
        text = request.query_params.get(self.size_param)
        if text is None:
            return self.page_size
        if not (text.isascii() and text.isdigit() and len(text) < 5 and 1 <= int(text) <= MAX_PAGE_SIZE):
            remedy = _("Write a whole number from 1 to %(most)s.") % {"most": MAX_PAGE_SIZE}
            raise ValidationError({self.size_param: [remedy]})
        return int(text)

    def _cursor(self, request: Request) -> tuple[bool, Any]:
        """Return whether the request goes backward, and its position."""
        text = request.query_params.get(self.cursor_param)
        if text is None:
            return False, None
        try:
            backward, *parts = json.loads(base64.urlsafe_b64decode(text.encode("ascii")))
            return bool(backward), self.read_position(parts)
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, binascii.Error):
            remedy = _("This is no cursor of this list: follow the links of a page, or begin without one.")
            raise ValidationError({self.cursor_param: [remedy]}) from None

    def _link(self, entry: Any, *, backward: bool) -> str:
        cursor = json.dumps([int(backward), *self.position_of(entry)])
        text = base64.urlsafe_b64encode(cursor.encode()).decode("ascii")
        return replace_query_param(remove_query_param(self._url, self.cursor_param), self.cursor_param, text)


def read_time(text: str) -> dt.datetime:
    """Return the time that is part of a position, in UTC. Raises ValueError."""
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}
