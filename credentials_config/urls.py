"""Addresses of scheduled credentials."""

from __future__ import annotations

from typing import Any

app_name = "lms_credentials_config"
urlpatterns: list[Any] = []
