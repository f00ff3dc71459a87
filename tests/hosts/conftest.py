"""Hosts of this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.hosts.host import Host, copy_database, make_database, remove_database

_numbers = count(1)


class MigratedDatabase(NamedTuple):
    """A database with everything migrated, to be copied. ``folder`` is where SQLite has its file."""

    name: str
    folder: Path


@pytest.fixture
def host(transactional_db: None, tmp_path: Path) -> Iterator[Host]:
    """Return the host on an empty database, with the plugin installed."""
    name = _new_name()
    host = Host(make_database(name, tmp_path), tmp_path / "media")
    yield host
    host.close()
    remove_database(name)


@pytest.fixture(scope="session")
def migrated_database(
    django_db_setup: Any, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MigratedDatabase]:
    """Migrate once, because that takes longer than most of the tests."""
    migrated = MigratedDatabase(_new_name(), tmp_path_factory.mktemp("host"))
    with django_db_blocker.unblock():
        host = Host(make_database(*migrated), migrated.folder / "media")
    host.run("migrate")
    host.close()
    yield migrated
    with django_db_blocker.unblock():
        remove_database(migrated.name)


@pytest.fixture
def migrated_host(transactional_db: None, migrated_database: MigratedDatabase, tmp_path: Path) -> Iterator[Host]:
    """Return the host with everything migrated."""
    name = _new_name()
    host = Host(copy_database(*migrated_database, name, tmp_path), tmp_path / "media")
    yield host
    host.close()
    remove_database(name)


@pytest.fixture(scope="module")
def installed(
    migrated_database: MigratedDatabase, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    """Return the host with everything migrated, for tests that only look; made once for a file."""
    name, folder = _new_name(), tmp_path_factory.mktemp("host")
    with django_db_blocker.unblock():
        host = Host(copy_database(*migrated_database, name, folder), folder / "media")
    yield host
    host.close()
    with django_db_blocker.unblock():
        remove_database(name)


def _new_name() -> str:
    return f"badges_host_{next(_numbers)}"
