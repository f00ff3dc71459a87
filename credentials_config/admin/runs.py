"""The admin of credential runs: what the page of runs does not show."""

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
    """
    Shows credential runs. The counts grow while a run is carried out.

    A run is cancelled and resumed on the page that all runs have.
    """

    list_display = ("asked_at", "configuration", "cause", "outcome", "eligible", "issued", "failed", "note")
    list_filter = ("run__state", "cause")
    list_select_related = ("configuration__credential_type", "run")
    ordering = ("-pk",)
    fields = (
        *("run_link", "configuration_link", "cause", "person", "ignore_dates", "asked_at", "finished_at"),
        *("outcome", "note", "checked", "eligible", "issued", "failed", "credentials_link"),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("configuration__credential_type", "run__asked_by")

    @admin.display(description=gettext_lazy("started"))
    def asked_at(self, row: CredentialRun) -> Any:
        return row.asked_at

    @admin.display(description=gettext_lazy("finished"))
    def finished_at(self, row: CredentialRun) -> Any:
        return row.finished_at

    @admin.display(description=gettext_lazy("started by"))
    def person(self, row: CredentialRun) -> Any:
        return row.person

    @admin.display(description=gettext_lazy("outcome"))
    def outcome(self, row: CredentialRun) -> str:
        return str(row.run.get_state_display()) if row.outcome else ""

    @admin.display(description=gettext_lazy("note"))
    def note(self, row: CredentialRun) -> str:
        return row.note

    @admin.display(description=gettext_lazy("looked at"))
    def checked(self, row: CredentialRun) -> int:
        return row.checked

    @admin.display(description=gettext_lazy("eligible"))
    def eligible(self, row: CredentialRun) -> int:
        return row.eligible

    @admin.display(description=gettext_lazy("run"))
    def run_link(self, row: CredentialRun) -> SafeString | str:
        return link_to(row.run, _("Progress, cancelling and resuming"))

    @admin.display(description=gettext_lazy("configuration"))
    def configuration_link(self, row: CredentialRun) -> Any:
        return link_to(row.configuration)

    @admin.display(description=gettext_lazy("credentials"))
    def credentials_link(self, row: CredentialRun) -> SafeString:
        return link_to_list(Credential, _("of this run"), run__pk__exact=row.pk)
