"""Model fields that hold the same truth on every database."""

from __future__ import annotations

from typing import Any

from django.db import models


class KeyField(models.CharField):
    """
    Text that identifies something: an event id, a slug, a provider's key.

    Equal means equal byte by byte, and spaces at the end count. MariaDB and MySQL would otherwise equate ``Abc-1`` with
    ``abc-1``, ``jose`` with ``josé`` and ``abc`` with ``abc`` and a space; SQLite and PostgreSQL compare text as it is.
    """

    def db_parameters(self, connection: Any) -> Any:
        """Return what Django asks of a column, with the collation of MariaDB or MySQL."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = exact_collation(connection)
        return parameters


def exact_collation(connection: Any) -> str:
    """
    Return the collation of MariaDB or MySQL that compares byte by byte and does not pad with spaces.

    ``utf8mb4_bin``, which both have, pads. Asks the server which of the two it is, once for each connection.
    """
    return "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
