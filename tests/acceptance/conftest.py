"""The event bus together with the test database, and a stand-in for Credly as a separate process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from badges.testing.credly import CredlyProcess

if TYPE_CHECKING:
    from tests.support.event_bus import BusOnKafka, BusOnRedis


@pytest.fixture
def kafka_bus(transactional_db: None, kafka_bus: BusOnKafka) -> BusOnKafka:
    """Return the event bus. Other processes see what the test commits."""
    return kafka_bus


@pytest.fixture
def redis_bus(transactional_db: None, redis_bus: BusOnRedis) -> BusOnRedis:
    """Return the event bus. Other processes see what the test commits."""
    return redis_bus


@pytest.fixture
def credly(tmp_path: Path) -> Iterator[CredlyProcess]:
    """Run a stand-in whose data survives a kill."""
    with CredlyProcess(state=tmp_path / "credly.sqlite3") as stand_in:
        yield stand_in
