"""What the pages share: long tables, links between rows, buttons that only a POST with the permission presses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, wraps
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

APP = "lms_credentials_config"
COUNTED = 5_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than people turn pages: a full count of a long table takes longer than all the rest of it."""

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:COUNTED].count()


class Page(admin.ModelAdmin):  # type: ignore[type-arg]
    """A page of ours. Who may change its rows may press its ``buttons``: methods, and parts of addresses."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    list_per_page = 50
    sortable_by: ClassVar[Sequence[str]] = ()
    buttons: ClassVar[Sequence[str]] = ()

    class Media:
        css = {"all": [f"{APP}/admin.css"]}

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(f"{APP}.{verb}_{self.opts.model_name}") for verb in ("view", "change"))

    def may_press(self, request: HttpRequest) -> bool:
        """Whether somebody may press this page's buttons."""
        return request.user.has_perm(f"{APP}.change_{self.opts.model_name}")

    def get_urls(self) -> list[URLPattern]:
        ours = [path(f"<path:object_id>/{name}/", self._button(name), name=self.name_of(name)) for name in self.buttons]
        return [*ours, *super().get_urls()]

    def name_of(self, button: str) -> str:
        """Return the name of a button's address."""
        return f"{self.opts.app_label}_{self.opts.model_name}_{button}"

    def back_to(self, row: Model) -> HttpResponseRedirect:
        """Lead back to a row's page after one of its buttons was pressed."""
        return HttpResponseRedirect(address_of(row))

    def _button(self, name: str) -> Callable[..., HttpResponse]:
        method = getattr(self, name)

        @wraps(method)
        def pressed(request: HttpRequest, object_id: str) -> HttpResponse:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            if not self.may_press(request):
                raise PermissionDenied
            row = self.get_object(request, object_id)
            if row is None:
                raise Http404
            return method(request, row)

        return self.admin_site.admin_view(pressed)


class ReadOnlyPage(Page):
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
