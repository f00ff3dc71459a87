"""Model fields that behave the same on every database."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models.fields.related_descriptors import ForwardManyToOneDescriptor, ForwardOneToOneDescriptor


class KeyField(models.CharField):
    """
    Text that identifies something: an event id, a slug, a provider's key.

    Values are compared byte by byte, and spaces at the end count. By default MariaDB and MySQL equate ``Abc-1`` with
    ``abc-1``, ``jose`` with ``josé``, and ``abc`` with the same and a space. SQLite and PostgreSQL compare exactly
    without help.
    """

    def db_parameters(self, connection: Any) -> Any:
        """Return what Django asks of a column, with the collation of MariaDB or MySQL."""
        parameters = super().db_parameters(connection)
        if connection.vendor == "mysql":
            parameters["collation"] = exact_collation(connection)
        return parameters


class EncryptedField(models.TextField):
    """
    Text that was encrypted before it was stored, by ``badges.issuers.secrets``.

    Forms do not show it, and the admin takes no filter on it from an address.
    """

    is_encrypted = True

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"editable": False, "blank": True, **options})

    def deconstruct(self) -> Any:
        """Return what migrations write: the column is plain text."""
        name, _path, args, options = super().deconstruct()
        return name, "django.db.models.TextField", args, options


def exact_collation(connection: Any) -> str:
    """
    Return the collation of MariaDB or MySQL that compares byte by byte and does not pad with spaces.

    ``utf8mb4_bin``, which both have, pads. Asks the server which of the two it is, once for each connection.
    """
    return "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"


class _NoneWhenGone:
    """Reads a row of a table that the database does not guard: one that is gone is None, as if there was none."""

    field: Any

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        try:
            return super().__get__(instance, cls)  # type: ignore[misc]  # Django's descriptor comes next
        except self.field.remote_field.model.DoesNotExist:
            if not self.field.null:
                raise
            self.field.set_cached_value(instance, None)
            return None


class _ForeignRow(_NoneWhenGone, ForwardManyToOneDescriptor):
    pass


class _OneForeignRow(_NoneWhenGone, ForwardOneToOneDescriptor):
    pass


class UnconstrainedForeignKey(models.ForeignKey):
    """
    A reference to a table of another app, which Django keeps and the database does not know of.

    So that the host can delete its rows after this plugin was uninstalled, while our tables are still there. Django
    does what ``on_delete`` says as long as the plugin is installed. What was deleted without us leaves an id without a
    row: reading it gives None, and ``badges_purge`` clears it.
    """

    forward_related_accessor_class = _ForeignRow

    def __init__(self, to: Any, on_delete: Any, **options: Any) -> None:
        super().__init__(to, on_delete, **{"db_constraint": False, **options})


class UnconstrainedOneToOneField(models.OneToOneField):
    """As ``UnconstrainedForeignKey``, for one row each."""

    forward_related_accessor_class = _OneForeignRow

    def __init__(self, to: Any, on_delete: Any, **options: Any) -> None:
        super().__init__(to, on_delete, **{"db_constraint": False, **options})


def clear_gone(rows: type[models.Model], *, step: int = 500) -> int:
    """
    Set references to NULL whose row was deleted without us, in a model's unconstrained fields; returns how many.

    In transactions of ``step`` rows each.
    """
    cleared = 0
    for field in rows._meta.local_concrete_fields:
        if isinstance(field, (UnconstrainedForeignKey, UnconstrainedOneToOneField)) and field.null:
            there = field.remote_field.model._base_manager.filter(pk=models.OuterRef(field.attname))
            gone = rows._base_manager.filter(~models.Exists(there), **{f"{field.attname}__isnull": False}).order_by()
            while found := list(gone.values_list("pk", flat=True)[:step]):
                cleared += gone.filter(pk__in=found).update(**{field.attname: None})
    return cleared
