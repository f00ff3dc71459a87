"""The kind of run that the tests use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def counting(settings: Any, tmp_path: Any) -> Iterator[None]:
    """Offer the kind ``counting``, and store results in a folder of the test."""
    from badges.runs import kinds  # noqa: PLC0415 -- Django is not ready when this file is imported
    from tests.support.counting_run import Counting  # noqa: PLC0415

    settings.MEDIA_ROOT = tmp_path / "media"
    kinds.register("counting", Counting())
    yield
    kinds.unregister("counting")
