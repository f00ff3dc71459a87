"""Read-only pages for rows that the pipeline and delivery write. Their tables may be very long."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from badges.catalog.models import BadgeTemplate
from badges.common.admin import LongTableAdmin, ReadOnlyMixin
from badges.intake.models import Learner

LARGEST_ID = 2**63 - 1


class ReadOnlyAdmin(ReadOnlyMixin, LongTableAdmin):
    """Shows rows to users who may view them. Nothing can be changed except by actions."""

    actions_selection_counter = False

    class Media:
        css = {"all": ["lms_badges/pages.css"]}


class ExactSearchMixin:
    """
    A search box for exact identifiers, which uses indexes.

    Subclasses define ``search_condition``.
    """

    search_fields = ("pk",)  # not used, but the box is shown

    def search_condition(self, term: str) -> Any:
        """Return the condition of the rows that a search term finds."""
        raise NotImplementedError

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.search_condition(term)) if term else queryset), False


def lms_user_id(term: str) -> int | None:
    """Return the LMS user id that a search term is; None when it is none."""
    number = int(term) if term.isascii() and term.isdigit() and len(term) < 20 else None
    return number if number is not None and number <= LARGEST_ID else None


def uuid_of(term: str) -> uuid.UUID | None:
    """Return the UUID that a search term is; None when it is none."""
    with contextlib.suppress(ValueError):
        return uuid.UUID(term)
    return None


def learner_ids_for(term: str) -> list[int]:
    """Return the ids of learners by LMS user id, by the beginning of the username, or by UUID."""
    number = lms_user_id(term)
    found = list(Learner.objects.filter(lms_user_id=number).values_list("pk", flat=True)) if number is not None else []
    if (identifier := uuid_of(term)) is not None:
        found += Learner.objects.filter(uuid=identifier).values_list("pk", flat=True)
    by_name = {f"user__{get_user_model().USERNAME_FIELD}__startswith": term}
    return found + list(Learner.objects.filter(**by_name).values_list("pk", flat=True)[:200])


def template_ids_for(term: str) -> list[int]:
    """Return the ids of templates by slug."""
    return list(BadgeTemplate.objects.filter(slug=term).values_list("pk", flat=True))
