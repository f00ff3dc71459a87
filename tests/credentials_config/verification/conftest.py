"""Nobody has asked yet, whatever other tests asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.cache import cache


@pytest.fixture(autouse=True)
def _nobody_asked() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()
