"""People who ask, and furniture for what they ask about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.rest_api.conftest import learner, learner_client, staff_client

__all__ = ["learner", "learner_client", "staff_client"]


@pytest.fixture(autouse=True)
def _furnished(folder: Path, typewriter: Any) -> Iterator[None]:
    from django.core.cache import cache  # noqa: PLC0415 -- Django is not ready when this file is imported

    cache.clear()
    yield
    cache.clear()
