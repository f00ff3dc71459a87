"""What the admin pages of both apps share: tables that may be very long, who may press buttons, links between rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from badges.common.permissions import may

COUNTED = 5_000


class CappedPaginator(Paginator):
    """
    Counts no further than people turn pages: a full count of a long table takes longer than all the rest of it.

    Each app's ``pagination.html`` says the ``total``.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows.order_by()[:COUNTED].count()

    @property
    def total(self) -> str:
        """The count as it may be said."""
        return f"{self.count}+" if self.count >= COUNTED else str(self.count)


class OwnPermissions:
    """Asks for the plugin's own codenames (``common.permissions``). Who may change rows may view them."""

    model: type[Model]

    def may(self, request: HttpRequest, verb: str) -> bool:
        """Whether somebody may do this to the rows of the page, by a verb of the model's ``Meta.permissions``."""
        return may(request.user, verb, self.model)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "view") or self.may(request, "change")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "add")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "change")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.may(request, "delete")


class PluginModelAdmin(OwnPermissions, admin.ModelAdmin):
    """The base of every admin page of both apps."""


class LongTable(PluginModelAdmin):
    """A page whose table may be very long."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    list_per_page = 50
    sortable_by = ()


class NothingByHand:
    """Shows rows that others write; nobody adds, changes or deletes them here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def address_of(row: Model) -> str:
    """Return the address of a row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def link_to(row: Model | None, text: Any = None) -> SafeString | str:
    """Link to the page of a row."""
    if row is None:
        return "-"
    return format_html('<a href="{}">{}</a>', address_of(row), row if text is None else text)


def link_to_list(model: type[Model], text: Any, **conditions: Any) -> SafeString:
    """Link to the list of rows for which conditions hold."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(conditions), text)


def moment(time: Any) -> str:
    """Spell a time in the reader's zone and language."""
    return formats.date_format(timezone.localtime(time), "DATETIME_FORMAT")
