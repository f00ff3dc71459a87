"""The databases that the tests run on, as URLs for the reference host."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.services.service import Service


def chosen_database(choice: str, service: Callable[[str], Service]) -> str:
    """Return the URL of the database to run on. Its server may not run yet."""
    if choice == "sqlite":
        # Never opened: Django creates and removes another file for the test database.
        return f"sqlite:///{Path(tempfile.gettempdir(), 'badges-not-for-tests.sqlite3')}"
    return str(service(choice).url)  # type: ignore[attr-defined]


def test_database_url() -> str:
    """Return the URL of the database that the running test uses, for a process that uses it too."""
    from django.db import connection  # noqa: PLC0415 -- settings are not there yet when this module is imported

    return database_url(connection.settings_dict)


test_database_url.__test__ = False  # type: ignore[attr-defined]  # its name is not a test's


def database_url(settings: dict[str, Any]) -> str:
    """Return Django's settings of a database as a URL."""
    scheme = {"sqlite3": "sqlite", "postgresql": "postgresql", "mysql": "mysql"}[settings["ENGINE"].rpartition(".")[2]]
    if scheme == "sqlite":
        return f"sqlite:///{settings['NAME']}"
    host = f"{settings['HOST']}:{settings['PORT']}" if settings["PORT"] else settings["HOST"]
    url = f"{scheme}://{quote(settings['USER'])}@{host}/{quote(settings['NAME'])}"
    if socket := settings.get("OPTIONS", {}).get("unix_socket"):
        url += "?" + urlencode({"unix_socket": socket})
    return url
