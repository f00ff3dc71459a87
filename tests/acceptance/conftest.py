"""The event bus together with the test database, and a stand-in for Credly as a separate process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from badges.testing.credly import CredlyProcess

if TYPE_CHECKING:
    from tests.support.event_bus import Bus


@pytest.fixture
def bus(transactional_db: None, bus: Bus) -> Bus:
    """Return the event bus. Other processes see what the test commits."""
    return bus


@pytest.fixture
def credly(tmp_path: Path) -> Iterator[CredlyProcess]:
    """Run a stand-in whose data survives a kill."""
    with CredlyProcess(state=tmp_path / "credly.sqlite3") as stand_in:
        yield stand_in
