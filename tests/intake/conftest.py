"""The bus as a fixture; imported late, since Django is not ready when this file is."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def bus(kafka: Any, schema_registry: Any, settings: Any) -> Any:
    """Return a bus that Django's settings point to."""
    from tests.intake.bus import Bus  # noqa: PLC0415

    made = Bus(kafka, schema_registry)
    for name, value in made.settings.items():
        setattr(settings, name, value)
    yield made
    made.close()
