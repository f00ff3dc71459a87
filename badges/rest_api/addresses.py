"""Addresses that are answered with and without a slash at the end."""

from __future__ import annotations

from typing import Any

from django.urls import URLPattern, path


def with_and_without_slash(route: str, view: Any, name: str) -> list[URLPattern]:
    """Return both addresses of a view. ``route`` has no slash at the end; it alone is documented and has the name."""
    return [path(route, view.as_view(), name=name), path(f"{route}/", view.as_view(schema=None))]
