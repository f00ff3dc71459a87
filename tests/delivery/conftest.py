"""A channel to somebody who does as the test says; imported late, since Django is not ready when this file is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.issuers.conftest import provider

if TYPE_CHECKING:
    from tests.delivery.telegraph import Telegraph, Wires

__all__ = ["provider", "telegraph"]


@pytest.fixture
def telegraph(db: None) -> Iterator[Telegraph]:
    from badges.outbox import channels  # noqa: PLC0415
    from tests.delivery.telegraph import Telegraph  # noqa: PLC0415

    handler = Telegraph()
    channels.register("telegraph", handler)
    yield handler
    channels.unregister("telegraph")


@pytest.fixture
def wires(db: None, settings: Any) -> Iterator[Wires]:
    from badges.outbox import channels  # noqa: PLC0415
    from tests.delivery.telegraph import Wires  # noqa: PLC0415

    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"parallel": 4}}
    handler = Wires()
    channels.register("telegraph", handler)
    yield handler
    channels.unregister("telegraph")
