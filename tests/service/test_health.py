"""What a process manager and a load balancer rely on."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder


@pytest.mark.django_db
def test_a_running_host_is_live_and_ready(client: Any) -> None:
    assert client.get("/health/live").json() == {"status": "ok"}
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()) == (200, {"status": "ok", "database": "ok"})


def test_live_asks_nothing_of_the_database(client: Any) -> None:
    """Without the database mark any query fails. A host must not be restarted because its database is down."""
    assert client.get("/health/live").status_code == 200


@pytest.mark.django_db
def test_a_host_whose_tables_are_older_than_its_code_is_not_ready(client: Any) -> None:
    MigrationRecorder.Migration.objects.filter(app="lms_badges").delete()
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json()["database"]) == (503, "run manage.py migrate")


@pytest.mark.django_db(transaction=True)
def test_a_host_without_its_database_is_alive_but_not_ready(client: Any) -> None:
    """The settings name a database that does not exist. The page says so and shows nothing of the address."""
    connection.close()
    good = dict(connection.settings_dict)
    connection.settings_dict.update(NAME="/no/such/place", HOST="127.0.0.1", PORT="1", PASSWORD="x")
    try:
        ready = client.get("/health/ready")
        live = client.get("/health/live")
    finally:
        connection.close()
        connection.settings_dict.update(good)
    assert (ready.status_code, ready.json()) == (503, {"status": "unavailable", "database": "does not answer"})
    assert live.status_code == 200


def test_health_pages_only_answer_reading(client: Any) -> None:
    assert client.post("/health/live").status_code == 405
    assert client.post("/health/ready").status_code == 405
