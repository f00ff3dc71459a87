"""Factories as fixtures. They are imported late, because Django is not ready when this file is imported."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def template() -> Any:
    from tests.factories import make_template  # noqa: PLC0415

    return make_template


@pytest.fixture
def passing() -> Any:
    from tests.factories import make_passing  # noqa: PLC0415

    return make_passing
