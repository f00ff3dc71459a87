"""Model fields that behave the same on every database."""

from __future__ import annotations

from typing import Any

from django.db import models


class KeyField(models.CharField):
    """
    Text that identifies something: an event id, a slug, a provider's key.

    Values are compared byte by byte. By default MariaDB and MySQL equate ``Abc-1`` with ``abc-1`` and ``jose`` with
    ``josé``. SQLite and PostgreSQL compare exactly without help.
    """

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
