"""The outbox: what must happen outside, what did, and the operator's retry."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy, ngettext

from badges import delivery
from badges.admin.descriptions import pretty
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.models import Circuit, OutboxMessage, UserCredential

# A search for the beginning of a username may find many learners. So many of their credentials are looked at.
MOST_CREDENTIALS = 5_000


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Announcements, badges to be issued, and whatever else waits to be delivered."""

    list_display = ("sequence", "channel", "type", "state", "last_error", "key", "created_at", "due_at", "attempts")
    list_filter = ("state", "created_at")
    search_help_text = gettext_lazy("An LMS user id, a username or its beginning, or the UUID of a learner.")
    actions = ("retry_dead_letters",)
    fields = (
        *("sequence", "id", "channel", "type", "key", "stored_payload", "state", "attempts", "last_error"),
        *("due_at", "postponed_for", "created_at", "finished_at"),
    )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Latest first, by the index that fits the question."""
        return ("-created_at", "-pk") if "state__exact" in request.GET else ("-pk",)

    def search_condition(self, term: str) -> Q:
        """Return the condition of what is about these learners: announcements, and their badges at providers."""
        learners = learner_ids_for(term)
        held = UserCredential.objects.filter(learner__in=learners).order_by("-awarded_at")
        badges = set(held.values_list("learner_template_id", flat=True)[:MOST_CREDENTIALS])
        return Q(key__in=[*map(str, learners), *map(str, badges)])

    @admin.display(description=gettext_lazy("payload"))
    def stored_payload(self, message: OutboxMessage) -> SafeString:
        return pretty(message.payload)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retry")

    @admin.action(description=gettext_lazy("Try dead letters again"), permissions=["retry"])
    def retry_dead_letters(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = delivery.requeue(queryset)
        text = ngettext("%d dead letter is tried again.", "%d dead letters are tried again.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(Circuit)
class CircuitAdmin(ReadOnlyAdmin):
    """Which providers failed too often, and until when their rows are postponed."""

    list_display = ("name", "failures", "open_until")
    ordering = ("name",)
