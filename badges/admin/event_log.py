"""The event log: what each person did."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from badges.admin.descriptions import pretty
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, lms_user_id
from badges.models import LoggedEvent


@admin.register(LoggedEvent)
class LoggedEventAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Events of configured types, without personal data."""

    list_display = ("event_id", "event_type", "person", "occurred_at", "received_at")
    search_help_text = gettext_lazy("An LMS user id.")
    ordering = ("-pk",)
    fields = ("person", "event_source", "event_id", "event_type", "occurred_at", "received_at", "logged_data")

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).defer("data")  # up to a megabyte for each row

    def search_condition(self, term: str) -> Q:
        number = lms_user_id(term)
        return Q(pk__in=[]) if number is None else Q(person=number)

    @admin.display(description=gettext_lazy("data"))
    def logged_data(self, event: LoggedEvent) -> SafeString:
        return pretty(event.data)
