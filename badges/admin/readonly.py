"""Pages that only show: what the pipeline and delivery wrote, in tables that may be very long."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from badges.catalog.models import BadgeTemplate
from badges.common.admin import LongTableAdmin, ReadOnlyMixin
from badges.intake.models import Learner

LARGEST_ID = 2**63 - 1


class ReadOnlyAdmin(ReadOnlyMixin, LongTableAdmin):
    """Shows rows to whoever may view them; actions are the only buttons."""

    actions_selection_counter = False

    class Media:
        css = {"all": ["lms_badges/pages.css"]}


class ExactSearchMixin:
    """
    A search box that finds by whole identifiers, with indexes.

    ``finders`` look the term up where it can be; each returns conditions on the page's own rows.
    """

    search_fields = ("pk",)  # the box is shown

    def search_condition(self, term: str) -> Any:
        """Return the condition that a term means."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.search_condition(term)) if term else queryset), False


def lms_user_id(term: str) -> int | None:
    """Read a term as an LMS user id."""
    number = int(term) if term.isascii() and term.isdigit() and len(term) < 20 else None
    return number if number is not None and number <= LARGEST_ID else None


def learner_ids_for(term: str) -> list[int]:
    """Return the learners that a term may mean: an LMS user id, or a username or its beginning."""
    number = lms_user_id(term)
    found = list(Learner.objects.filter(lms_user_id=number).values_list("pk", flat=True)) if number is not None else []
    by_name = {f"user__{get_user_model().USERNAME_FIELD}__startswith": term}
    return found + list(Learner.objects.filter(**by_name).values_list("pk", flat=True)[:200])


def template_ids_for(term: str) -> list[int]:
    """Return the templates that a term means: one with this slug."""
    return list(BadgeTemplate.objects.filter(slug=term).values_list("pk", flat=True))
