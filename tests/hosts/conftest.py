"""Hosts of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.hosts.host import Host, make_database, remove_database

_numbers = count(1)


@pytest.fixture
def host(transactional_db: None, tmp_path: Path) -> Iterator[Host]:
    """Return the host on an empty database, with the plugin installed."""
    name = f"badges_host_{next(_numbers)}"
    host = Host(make_database(name, tmp_path), tmp_path / "media")
    yield host
    host.close()
    remove_database(name)


@pytest.fixture(scope="module")
def installed(django_db_setup: Any, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Return the host with everything migrated, for tests that only look; made once for a file."""
    name, folder = f"badges_host_{next(_numbers)}", tmp_path_factory.mktemp("host")
    with django_db_blocker.unblock():
        host = Host(make_database(name, folder), folder / "media")
    host.run("migrate")
    yield host
    host.close()
    with django_db_blocker.unblock():
        remove_database(name)
