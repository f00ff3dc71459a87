"""The classes that the host's settings name. It imports no views of REST framework, because those import this."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse


class Grumpy:
    """Content negotiation that must not be asked."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: Any = None) -> Any:
        raise AssertionError("the host's content negotiation was asked")


def teapot(error: Exception, context: Any) -> HttpResponse:
    """Hide every error."""
    return HttpResponse("teapot", status=418)


def nothing_left(endpoints: Any) -> list[Any]:
    """Describe nothing."""
    return []
