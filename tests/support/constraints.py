"""Writes that the database must refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction


def refused(write: Callable[[], Any]) -> None:
    """Assert that the database refuses what a function writes."""
    with pytest.raises(IntegrityError), transaction.atomic():
        write()


def again(row: Any, **changes: Any) -> Callable[[], Any]:
    """Return a function that inserts a row once more, with a new primary key and these changes."""

    def insert() -> None:
        copy = type(row).objects.get(pk=row.pk)
        copy.pk = type(row)._meta.pk.get_default()
        copy._state.adding = True
        for name, value in changes.items():
            setattr(copy, name, value)
        copy.save(force_insert=True)

    return insert
