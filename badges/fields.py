"""Model fields that hold the same truth on every database."""

from __future__ import annotations

from typing import Any

from django.db import models


class KeyField(models.CharField):
    """
    Text that identifies something: an event id, a slug, a provider's key.

    Equal means equal byte by byte. MariaDB and MySQL would otherwise equate ``Abc-1`` with ``abc-1`` and ``jose`` with
    ``josé``; SQLite and PostgreSQL compare exactly as they are.
    """

    def db_parameters(self, connection: Any) -> Any:
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = "utf8mb4_bin"
        return parameters
