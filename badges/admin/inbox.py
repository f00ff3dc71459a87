"""The inbox: received events with their states, and the retry of dead letters."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, ngettext

from badges.admin.descriptions import pretty
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, lms_user_id
from badges.intake import inbox
from badges.models import InboxMessage
from badges.outbox.worker_notifications import PROCESS_PENDING, notify_worker_on_commit


@admin.register(InboxMessage)
class InboxMessageAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Events that matched or wait, and dead letters."""

    list_display = ("event_id", "event_type", "state", "reason", "received_at", "source", "received_from", "attempts")
    list_filter = ("state", "received_at")
    search_help_text = gettext_lazy("An event id or an LMS user id.")
    actions = ("retry_dead_letters",)
    fields = (
        *("kind", "source", "event_id", "event_type", "event_time", "lms_user_id", "received_from", "received_at"),
        *("state", "reason", "attempts", "due_at", "processed_at", "stored_event"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboxMessage]:
        return super().get_queryset(request).defer("payload")  # up to a megabyte for each row

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Newest first, by an index that fits the filter. The primary key grows with time, too."""
        return ("-received_at", "-pk") if "state__exact" in request.GET else ("-pk",)

    def search_condition(self, term: str) -> Q:
        number = lms_user_id(term)
        return Q(event_id=term) if number is None else Q(event_id=term) | Q(lms_user_id=number)

    @admin.display(description=gettext_lazy("stored event"))
    def stored_event(self, message: InboxMessage) -> SafeString | str:
        return pretty(message.payload) if message.payload is not None else "-"

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retry")

    @admin.action(description=gettext_lazy("Try dead letters again"), permissions=["retry"])
    def retry_dead_letters(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = inbox.requeue(queryset.order_by(), now=timezone.now())
        notify_worker_on_commit(PROCESS_PENDING)
        text = ngettext("%d dead letter is tried again.", "%d dead letters are tried again.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
