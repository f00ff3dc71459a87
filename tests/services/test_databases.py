"""Tests and their processes use the database that was chosen."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.db import OperationalError, connection

from tests.services import Service
from tests.services.databases import database_url
from tests.services.processes import Process

RENAME = "from django.contrib.auth.models import User; print('saw', User.objects.update(first_name='أليس'))"
VENDORS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql"}


@pytest.mark.tables
@pytest.mark.django_db
def test_tests_run_on_the_chosen_database(pytestconfig: pytest.Config) -> None:
    assert connection.vendor == VENDORS[pytestconfig.option.db]
    if connection.vendor == "mysql":
        assert connection.mysql_is_mariadb
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            assert cursor.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.tables
def test_a_process_shares_the_test_database(run_manage: Callable[..., Process]) -> None:
    user = get_user_model().objects.create(username="marsupilami")
    process = run_manage("shell", "-v", "0", "-c", RENAME)
    assert process.wait() == 0, process.output()
    assert "saw 1" in process.output()
    user.refresh_from_db()
    assert user.first_name == "أليس"


def test_rows_are_still_there_when_the_server_comes_back(database_server: Service) -> None:
    get_user_model().objects.create(username="houba")
    database_server.kill()
    with pytest.raises(OperationalError):
        get_user_model().objects.count()
    database_server.start()
    connection.close()
    assert get_user_model().objects.get().username == "houba"


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"ENGINE": "django.db.backends.sqlite3", "NAME": "/tmp/a.sqlite3"}, "sqlite:////tmp/a.sqlite3"),
        (
            {"ENGINE": "django.db.backends.postgresql", "NAME": "test_b", "USER": "u", "HOST": "127.0.0.1", "PORT": 5},
            "postgresql://u@127.0.0.1:5/test_b",
        ),
        (
            {
                "ENGINE": "django.db.backends.mysql",
                "NAME": "test_c",
                "USER": "root",
                "HOST": "localhost",
                "PORT": "",
                "OPTIONS": {"unix_socket": "/tmp/c/s", "charset": "utf8mb4"},
            },
            "mysql://root@localhost/test_c?unix_socket=%2Ftmp%2Fc%2Fs",
        ),
    ],
)
def test_settings_are_written_as_a_url(settings: dict, url: str) -> None:
    assert database_url(settings) == url
