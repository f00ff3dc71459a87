"""A database that fails once, while rows of one table are updated."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import InterfaceError
from django.db.models import Model, QuerySet


def fail_once(monkeypatch: pytest.MonkeyPatch, model: type[Model], values: dict[str, Any]) -> None:
    """Let the first update of a table to these values fail, as when the database is restarted."""
    update = QuerySet.update
    failed = []

    def failing(rows: QuerySet[Any], **given: Any) -> int:
        if rows.model is model and given == values and not failed:
            failed.append(given)
            raise InterfaceError("the connection is closed")
        return update(rows, **given)

    monkeypatch.setattr(QuerySet, "update", failing)
