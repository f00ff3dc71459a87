"""Clients of the API, and a storage and a generator for the rows they read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rest_api.conftest import learner, learner_client, staff_client

__all__ = ["learner", "learner_client", "staff_client"]


@pytest.fixture(autouse=True)
def _storage_and_generator(folder: Path, text_generator: Any) -> Iterator[None]:
    from django.core.cache import cache  # noqa: PLC0415 -- Django is not ready when this file is imported

    cache.clear()
    yield
    cache.clear()
