"""Pages that only show: what the pipeline and delivery wrote, in tables that may be very long."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from badges.catalog.models import BadgeTemplate
from badges.intake.models import Learner

COUNTED = 5_000
LARGEST_ID = 2**63 - 1


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts no further than people turn pages: a full count of a long table takes longer than all the rest of it."""

    @cached_property
    def count(self) -> int:
        return self.object_list.order_by()[:COUNTED].count()

    @property
    def total(self) -> str:
        """The count as it may be said."""
        return f"{self.count}+" if self.count >= COUNTED else str(self.count)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows rows to whoever may view them; nobody adds, changes or deletes them here."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_max_show_all = 0
    list_per_page = 50
    sortable_by: ClassVar[Sequence[str]] = ()
    actions_selection_counter = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return any(request.user.has_perm(f"lms_badges.{verb}_{self.opts.model_name}") for verb in ("view", "change"))

    def may_change(self, request: HttpRequest) -> bool:
        """Whether somebody may press this page's buttons."""
        return request.user.has_perm(f"lms_badges.change_{self.opts.model_name}")


class SearchByExactWords:
    """
    A search box that finds by whole identifiers, with indexes.

    ``finders`` look the term up where it can be; each returns conditions on the page's own rows.
    """

    search_fields = ("pk",)  # the box is shown

    def find(self, term: str) -> Any:
        """Return the condition that a term means."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.find(term)) if term else queryset), False


def lms_user_id(term: str) -> int | None:
    """Read a term as an LMS user id."""
    number = int(term) if term.isascii() and term.isdigit() and len(term) < 20 else None
    return number if number is not None and number <= LARGEST_ID else None


def learners_named(term: str) -> list[int]:
    """Return the learners that a term may mean: an LMS user id, or a username or its beginning."""
    number = lms_user_id(term)
    found = list(Learner.objects.filter(lms_user_id=number).values_list("pk", flat=True)) if number is not None else []
    by_name = {f"user__{get_user_model().USERNAME_FIELD}__startswith": term}
    return found + list(Learner.objects.filter(**by_name).values_list("pk", flat=True)[:200])


def templates_named(term: str) -> list[int]:
    """Return the templates that a term means: one with this slug."""
    return list(BadgeTemplate.objects.filter(slug=term).values_list("pk", flat=True))


def link_to(row: Model | None, text: Any = None) -> SafeString | str:
    """Link to the page of a row."""
    if row is None:
        return "-"
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, row if text is None else text)


def link_to_list(model: type[Model], text: Any, **conditions: Any) -> SafeString:
    """Link to the list of rows for which conditions hold."""
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', address, urlencode(conditions), text)
