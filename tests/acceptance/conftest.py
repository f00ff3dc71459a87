"""The bus on the test's own database, and a Credly that is a process of its own."""

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
    """Return the bus; other processes see what the test commits."""
    return bus


@pytest.fixture
def credly(tmp_path: Path) -> Iterator[CredlyProcess]:
    """Run a stand-in that remembers over kills."""
    with CredlyProcess(state=tmp_path / "credly.sqlite3") as stand_in:
        yield stand_in
