"""Activities of learners."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.models import Activity


@admin.register(Activity)
class ActivityAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """What learners did for XP and streaks."""

    list_display = ("event_id", "kind", "learner", "score", "cards", "occurred_at", "received_at")
    list_select_related = ("learner__user",)
    search_help_text = gettext_lazy("An LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    fields = ("learner", "kind", "source", "event_id", "score", "cards", "occurred_at", "received_at")

    def search_condition(self, term: str) -> Q:
        return Q(learner__in=learner_ids_for(term))
