"""The admin of runs."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.common.admin import link_to, link_to_list
from credentials_config.admin.pages import ReadOnlyPage
from credentials_config.models import Credential, CredentialRun


@admin.register(CredentialRun)
class CredentialRunAdmin(ReadOnlyPage):
    """Shows runs. The counts grow while a run is carried out."""

    list_display = ("started_at", "configuration", "cause", "outcome", "eligible", "issued", "failed", "note")
    list_filter = ("outcome", "cause")
    list_select_related = ("configuration__credential_type",)
    ordering = ("-started_at", "-pk")
    fields = (
        *("configuration_link", "cause", "person", "ignore_dates", "started_at", "finished_at", "outcome", "note"),
        *("checked", "eligible", "issued", "failed", "credentials_link"),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("configuration__credential_type", "person")

    @admin.display(description=gettext_lazy("configuration"))
    def configuration_link(self, run: CredentialRun) -> Any:
        return link_to(run.configuration)

    @admin.display(description=gettext_lazy("credentials"))
    def credentials_link(self, run: CredentialRun) -> SafeString:
        return link_to_list(Credential, _("of this run"), run__id__exact=run.pk)
