"""Credentials: the awarded badges with their causes and their states at the providers."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.descriptions import describe_cause
from badges.admin.readonly import (
    ExactSearchMixin,
    ReadOnlyAdmin,
    learner_ids_for,
    template_ids_for,
)
from badges.common.admin import format_time, link_to, link_to_list
from badges.issuers import registry
from badges.issuers.base import Issued
from badges.models import OutboxMessage, UserCredential


@admin.register(UserCredential)
class UserCredentialAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Awarded credentials, read-only."""

    list_display = ("learner", "template", "status", "awarded_at")
    list_display_links = ("learner",)
    list_filter = ("status", "awarded_at")
    list_select_related = ("learner__user", "template")
    search_help_text = gettext_lazy("An LMS user id, a username or its beginning, or the slug of a template.")
    ordering = ("-awarded_at", "-pk")
    fields = ("id", "badge", "holder", "status", "awarded_at", "cause", "revision_link", "providers", "messages")

    def get_queryset(self, request: Any) -> Any:
        related = ("learner__user", "template", "revision__template", "cause_person")
        return super().get_queryset(request).select_related(*related)

    def search_condition(self, term: str) -> Q:
        return Q(learner_id__in=learner_ids_for(term)) | Q(template_id__in=template_ids_for(term))

    @admin.display(description=gettext_lazy("template"))
    def badge(self, credential: UserCredential) -> Any:
        return link_to(credential.template)

    @admin.display(description=gettext_lazy("learner"))
    def holder(self, credential: UserCredential) -> Any:
        return link_to(credential.learner)

    @admin.display(description=gettext_lazy("cause"))
    def cause(self, credential: UserCredential) -> str:
        return describe_cause(credential)

    @admin.display(description=gettext_lazy("template revision"))
    def revision_link(self, credential: UserCredential) -> Any:
        return link_to(credential.revision)

    @admin.display(description=gettext_lazy("at the providers"))
    def providers(self, credential: UserCredential) -> SafeString | str:
        known = registry.issued([credential.pk]).get(credential.pk, [])
        return format_html_join(SafeString("<br>"), "{}", ((_state(badge),) for badge in known)) or _("Nowhere.")

    @admin.display(description=gettext_lazy("outbox messages"))
    def messages(self, credential: UserCredential) -> SafeString:
        return link_to_list(OutboxMessage, _("outbox messages of this learner"), key=credential.learner_id)


def _state(badge: Issued) -> SafeString:
    text = format_html("{}: {}", badge.provider, badge.label)
    if badge.issued_at:
        text = format_html("{}, {}", text, format_time(badge.issued_at))
    if badge.url:
        text = format_html('{} (<a href="{}" rel="noreferrer">{}</a>)', text, badge.url, badge.external_id or badge.url)
    elif badge.external_id:
        text = format_html("{} ({})", text, badge.external_id)
    return text
