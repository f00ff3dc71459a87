"""Addresses of the plugin."""

from __future__ import annotations

from typing import Any

app_name = "lms_badges"
urlpatterns: list[Any] = []
