"""
What other services have told: claims and completed certifications, and which badges certifications give. Accounts that
were registered here.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for, template_ids_for
from badges.common.admin import PluginModelAdmin
from badges.models import (
    CertificationAward,
    CertificationCompletion,
    CertificationMapping,
    Registration,
    StickerClaim,
    WelcomeAward,
)

FROM_EVENT = ("event_source", "event_id", "event_time", "received_at")


@admin.register(CertificationMapping)
class CertificationMappingAdmin(PluginModelAdmin):
    """Which badges the certifications of another service give."""

    list_display = ("certification_id", "template", "created_at")
    list_select_related = ("template",)
    search_fields = ("certification_id", "template__slug")
    ordering = ("certification_id", "pk")
    raw_id_fields = ("template",)


class _FromEventAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Rows that an event of another service has caused."""

    list_select_related: Any = ("learner__user", "template")
    ordering = ("-pk",)


@admin.register(StickerClaim)
class StickerClaimAdmin(_FromEventAdmin):
    """Badges that learners have claimed at another service."""

    list_display = ("learner", "template", "event_time", "received_at")
    fields = ("learner", "template", *FROM_EVENT)
    search_help_text = gettext_lazy(
        "An LMS user id, a username or its beginning, the UUID of a learner, or the slug of a template."
    )

    def search_condition(self, term: str) -> Q:
        return Q(learner__in=learner_ids_for(term)) | Q(template__in=template_ids_for(term))


@admin.register(CertificationCompletion)
class CertificationCompletionAdmin(_FromEventAdmin):
    """Certifications that learners have completed at another service."""

    list_display = ("certification_id", "learner", "event_time", "received_at")
    list_select_related = ("learner__user",)
    fields = ("certification_id", "learner", *FROM_EVENT)
    search_help_text = gettext_lazy(
        "A certification id, an LMS user id, a username or its beginning, or the UUID of a learner."
    )

    def search_condition(self, term: str) -> Q:
        return Q(certification_id=term) | Q(learner__in=learner_ids_for(term))


@admin.register(CertificationAward)
class CertificationAwardAdmin(StickerClaimAdmin):
    """Badges that completed certifications have given, each once to each learner."""


@admin.register(WelcomeAward)
class WelcomeAwardAdmin(StickerClaimAdmin):
    """Welcome badges that registrations at another service have given, one to each learner."""


@admin.register(Registration)
class RegistrationAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Accounts that were registered here."""

    list_display = ("learner", "registered_at")
    list_select_related = ("learner__user",)
    fields = ("learner", "registered_at")
    ordering = ("-pk",)
    search_help_text = gettext_lazy("An LMS user id, a username or its beginning, or the UUID of a learner.")

    def search_condition(self, term: str) -> Q:
        return Q(learner__in=learner_ids_for(term))
