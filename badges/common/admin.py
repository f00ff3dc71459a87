"""Base classes of the admin pages of both apps: long tables, permissions for actions, links between rows."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from badges.common.permissions import may

MAX_COUNT = 5_000


class CappedPaginator(Paginator):
    """
    Counts at most ``MAX_COUNT`` rows: a full count of a long table would take most of the time of a page.

    The ``pagination.html`` of each app shows the ``total``.
    """

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return rows.order_by()[:MAX_COUNT].count()

    @property
    def total(self) -> str:
        """The count as text, with a plus sign when there may be more."""
        return f"{self.count}+" if self.count >= MAX_COUNT else str(self.count)


class OwnPermissions:
    """Asks for the plugin's own codenames (``common.permissions``). Who may change rows may view them."""

    model: type[Model]

    def may(self, request: HttpRequest, verb: str) -> bool:
        """Return whether the user may do this to the rows of the page: a verb of the model's ``Meta.permissions``."""
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

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Refuse filters of an address that would ask an encrypted column, letter after letter."""
        return not _asks_encrypted_column(self.model, lookup) and super().lookup_allowed(lookup, value, request)


def _asks_encrypted_column(model: type[Model], lookup: str) -> bool:
    """Return whether a lookup such as ``organization__encrypted_token__startswith`` names an encrypted column."""
    for name in lookup.split("__"):
        try:
            field = model._meta.get_field(name)
        except FieldDoesNotExist:
            return False
        if getattr(field, "is_encrypted", False):
            return True
        if field.related_model is None:
            return False
        model = field.related_model
    return False


class LongTableAdmin(PluginModelAdmin):
    """A page for a table that may be very long."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    list_per_page = 50
    sortable_by = ()


class ReadOnlyMixin:
    """Shows rows that are written by other code. They cannot be added, changed or deleted here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def admin_url(row: Model) -> str:
    """Return the URL of a row's admin page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def link_to(row: Model | None, text: Any = None) -> SafeString | str:
    """Return a link to the admin page of a row; a dash when there is none."""
    if row is None:
        return "-"
    return format_html('<a href="{}">{}</a>', admin_url(row), row if text is None else text)


def link_to_list(model: type[Model], text: Any, **conditions: Any) -> SafeString:
    """Return a link to the admin list of the rows for which the conditions hold."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(conditions), text)


def format_time(time: Any) -> str:
    """Return a time as text in the current time zone and language."""
    return formats.date_format(timezone.localtime(time), "DATETIME_FORMAT")
