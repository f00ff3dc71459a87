"""Credly: organizations, whose tokens go in and never come out, and the badges issued there."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.common.admin import PluginModelAdmin, link_to
from badges.common.permissions import may
from badges.exceptions import Permanent
from badges.issuers.credly.client import is_in_settings
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.issuers.credly.organizations import check_organization, let_badges_go_on, needed_by
from badges.issuers.credly.targets import SLUG
from badges.issuers.run_kinds import SYNC
from badges.issuers.webhooks import note_organizations
from badges.runs import queue
from badges.runs.models import Run, RunMode


class OrganizationForm(forms.ModelForm):
    """An organization and its token, asked of Credly before it is saved."""

    new_token = forms.CharField(
        required=False,
        label=gettext_lazy("Token"),
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("Stored encrypted and never shown again. Leave it empty to keep the stored one."),
    )
    unchecked = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save without asking Credly"),
        help_text=gettext_lazy("For when Credly cannot be reached: a wrong token then shows when badges are issued."),
    )

    class Meta:
        model = CredlyOrganization
        fields = ["uuid", "name"]
        help_texts = {"name": gettext_lazy("Left empty, Credly's own name is taken.")}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        asked = {"uuid", "new_token"}.intersection(self.changed_data)
        if asked and "uuid" in cleaned and "new_token" in cleaned:
            self._check(cleaned)
        return cleaned

    def _check(self, cleaned: dict[str, Any]) -> None:
        if is_in_settings(cleaned["uuid"]):  # its credentials are used, whatever is entered here
            if not cleaned["unchecked"]:
                self._ask(cleaned, None)
            return
        token = cleaned["new_token"]
        if not token:
            try:
                token = self.instance.token
            except Permanent as error:
                self.add_error("new_token", str(error))
                return
        if not token:
            self.add_error("new_token", _("Enter the organization's token."))
        elif not cleaned["unchecked"]:
            self._ask(cleaned, token)

    def _ask(self, cleaned: dict[str, Any], token: str | None) -> None:
        try:
            name = check_organization(cleaned["uuid"], token)
        except ValidationError as error:
            self.add_error({"uuid": "uuid", "token": "new_token"}.get(error.code or ""), error)
        else:
            cleaned["name"] = cleaned.get("name") or name[:255]

    def save(self, commit: bool = True) -> CredlyOrganization:
        if self.cleaned_data["new_token"]:
            self.instance.token = self.cleaned_data["new_token"]
        return super().save(commit)


@admin.register(CredlyOrganization)
class CredlyOrganizationAdmin(PluginModelAdmin):
    """Organizations that badges are issued for, beside those of the settings."""

    form = OrganizationForm
    list_display = ("__str__", "uuid", "has_token")
    fields = ("uuid", "name", "new_token", "unchecked")
    actions = ("sync_templates",)

    def has_sync_permission(self, request: Any) -> bool:
        return may(request.user, "add", Run)

    @admin.action(description=gettext_lazy("Sync the templates"), permissions=["sync"])
    def sync_templates(self, request: Any, queryset: Any) -> None:
        """Start a run for each organization."""
        for organization in queryset:
            parameters = {"provider": SLUG, "organization": str(organization.uuid)}
            try:
                run = queue.start(SYNC, mode=RunMode.APPLY, parameters=parameters, person=request.user)
            except Permanent as error:
                self.message_user(request, f"{organization}: {error}", messages.ERROR)
            else:
                text = format_html("{}: {}", organization, link_to(run, _("the run was started")))
                self.message_user(request, text, messages.SUCCESS)

    def save_model(self, request: Any, obj: CredlyOrganization, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        note_organizations([(SLUG, str(obj.uuid))])
        let_badges_go_on(obj.uuid)

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """Refuse to delete what is needed, and name what needs it."""
        to_delete, counts, lacking, protected = super().get_deleted_objects(objs, request)
        needs = [f"{organization}: {need}" for organization in objs for need in needed_by(organization)]
        return to_delete, counts, lacking, [*protected, *needs]

    def get_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        may = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        return ("uuid", "name", "new_token", "unchecked") if may else ("uuid", "name", "has_token")

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        return ("has_token",)

    @admin.display(boolean=True, description=gettext_lazy("token"))
    def has_token(self, organization: CredlyOrganization) -> bool:
        return bool(organization.encrypted_token)


@admin.register(CredlyBadge)
class CredlyBadgeAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Badges at Credly; the delivery of the outbox writes them."""

    list_display = ("__str__", "state", "organization", "issued_at")
    list_filter = ("state",)
    search_help_text = gettext_lazy("An LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    fields = ("owner", "state", "organization", "external_template", "external_uuid", "issued_at", "address")

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("credential__template", "credential__learner__user")

    def search_condition(self, term: str) -> Q:
        return Q(credential__learner_id__in=learner_ids_for(term))

    @admin.display(description=gettext_lazy("credential"))
    def owner(self, badge: CredlyBadge) -> Any:
        return link_to(badge.credential, f"{badge.credential.template} / {badge.credential.learner}")

    @admin.display(description=gettext_lazy("address"))
    def address(self, badge: CredlyBadge) -> Any:
        return format_html('<a href="{0}" rel="noreferrer">{0}</a>', badge.url) if badge.url else "-"
