"""Filters of lists. Unknown parameters are errors, because ignoring a mistyped filter would return wrong results."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

import django_filters
from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from badges.api import learner_of
from badges.awarding.models import CredentialStatus, with_status
from badges.catalog.models import BadgeRequirement, TemplateIssuer
from badges.common.permissions import may
from badges.common.query_parameters import refuse_unknown
from badges.rest_api.pagination import NewestFirstPagination
from badges.rules import canonical_time


class StrictFilterBackend(DjangoFilterBackend):
    """Filters by the view's ``filterset_class``, and refuses unknown parameters."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        known = [*view.filterset_class.base_filters, *NewestFirstPagination.params]
        refuse_unknown(request, known)
        return super().filter_queryset(request, queryset, view)


class _TimeField(forms.CharField):
    """A time with its offset. A space before the offset is a plus sign that the client did not escape."""

    def clean(self, value: Any) -> dt.datetime | None:
        text = re.sub(r" (\d\d:\d\d)$", r"+\1", super().clean(value))
        if not text:
            return None
        try:
            return dt.datetime.fromisoformat(canonical_time(text))
        except ValueError as error:
            raise ValidationError(_("Expected %(what)s.") % {"what": error}) from None


class _TimeFilter(django_filters.IsoDateTimeFilter):
    field_class = _TimeField


class _YesNoField(forms.NullBooleanField):
    """True or false. Django's field reads any other text as "unknown", and the filter would have no effect."""

    widget = forms.TextInput

    def to_python(self, value: Any) -> bool | None:
        if not value:
            return None
        known = {"true": True, "false": False}
        if str(value).lower() not in known:
            raise ValidationError(_("Write true or false."))
        return known[str(value).lower()]


class _YesNoFilter(django_filters.BooleanFilter):
    field_class = _YesNoField


class _LmsUserIdFilter(django_filters.NumberFilter):
    field_class = forms.IntegerField

    def __init__(self, **options: Any):
        super().__init__(min_value=0, max_value=2**63 - 1, **options)


class LearnerFilters(django_filters.FilterSet):
    """
    Filters by learner and template.

    Who may not view the rows of others is refused to ask for them. An empty list would say that they have none.
    """

    username = django_filters.CharFilter(method="of_username", label="The exact username.")
    lms_user_id = _LmsUserIdFilter(field_name="learner__lms_user_id", label="The LMS user id.")
    template = django_filters.CharFilter(field_name="template__slug", label="The slug of the template.")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the rows that are asked for. Raises PermissionDenied."""
        if not may(self.request.user, "view", queryset.model):
            self._refuse_others()
        return super().filter_queryset(queryset)

    def _refuse_others(self) -> None:
        asked, user = self.form.cleaned_data, self.request.user
        if asked["username"] not in ("", user.get_username()):
            raise PermissionDenied
        if asked["lms_user_id"] is not None:
            learner = learner_of(user)
            if learner is None or learner.lms_user_id != asked["lms_user_id"]:
                raise PermissionDenied

    def of_username(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(**{f"learner__user__{get_user_model().USERNAME_FIELD}": value})


class CredentialFilters(LearnerFilters):
    """Filters by learner, template, status and time of the award."""

    status = django_filters.ChoiceFilter(
        choices=CredentialStatus.choices, method="of_status", label="Whether it is held, or how it ended."
    )
    awarded_after = _TimeFilter(field_name="awarded_at", lookup_expr="gte", label="Awarded at this time or later.")
    awarded_before = _TimeFilter(field_name="awarded_at", lookup_expr="lt", label="Awarded earlier than this time.")

    def of_status(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(with_status(value, timezone.now()))


class ProgressFilters(LearnerFilters):
    """Filters by learner, template and completion."""

    completed = _YesNoFilter(
        field_name="completed_at", lookup_expr="isnull", exclude=True, label="Whether it was completed."
    )


class TemplateFilters(django_filters.FilterSet):
    """Filters by what templates are and demand. Archived ones are left out unless they are asked for."""

    search = django_filters.CharFilter(method="of_search", label="A part of the name or slug.")
    is_active = _YesNoFilter(label="Whether events are matched against it.")
    archived = django_filters.ChoiceFilter(
        choices=[(word, word) for word in ("false", "true", "all")],
        method="of_archived",
        label="Whether archived templates are listed; false when it is left out.",
    )
    event_type = django_filters.CharFilter(method="of_event_type", label="An event type that a requirement reads.")
    provider = django_filters.CharFilter(method="of_provider", label="A provider where badges are issued, too.")

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data["archived"] else rows.filter(archived_at=None)

    def of_search(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        # MariaDB compares slugs byte by byte, so the case of letters is taken away on both sides.
        rows = rows.annotate(lower_slug=Lower("slug"))
        return rows.filter(Q(name__icontains=value) | Q(lower_slug__contains=value.lower()))

    def of_archived(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows if value == "all" else rows.filter(archived_at__isnull=value == "false")

    def of_event_type(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        live = BadgeRequirement.objects.filter(template=OuterRef("pk"), archived_at=None, event_type=value)
        return rows.filter(Exists(live))

    def of_provider(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(Exists(TemplateIssuer.objects.filter(template=OuterRef("pk"), provider=value)))
