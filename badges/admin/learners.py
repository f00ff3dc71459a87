"""Learners."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.common.admin import link_to_list
from badges.models import BadgeProgress, InboxMessage, Learner, OutboxMessage, UserCredential


@admin.register(Learner)
class LearnerAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Learners that matched events were about."""

    list_display = ("__str__", "lms_user_id", "created_at")
    list_select_related = ("user",)
    search_help_text = gettext_lazy("An LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    fields = ("uuid", "lms_user_id", "user", "created_at", "badges")

    def search_condition(self, term: str) -> Q:
        return Q(pk__in=learner_ids_for(term))

    @admin.display(description=gettext_lazy("related rows"))
    def badges(self, learner: Learner) -> SafeString:
        links: list[Any] = [
            link_to_list(UserCredential, _("credentials"), learner__id__exact=learner.pk),
            link_to_list(BadgeProgress, _("progress"), learner__id__exact=learner.pk),
            link_to_list(OutboxMessage, _("outbox messages"), key=learner.pk),
        ]
        if learner.lms_user_id is not None:
            links.append(link_to_list(InboxMessage, _("inbox messages"), lms_user_id=learner.lms_user_id))
        return SafeString(" · ".join(links))
