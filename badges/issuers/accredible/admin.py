"""Accredible: organizations, whose keys go in and never come out, and the badges issued there."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.common.admin import PluginModelAdmin, link_to
from badges.issuers.accredible.client import is_in_settings
from badges.issuers.accredible.models import SLUG_PATTERN, AccredibleBadge, AccredibleOrganization
from badges.issuers.accredible.organizations import check_organization, let_badges_go_on, needed_by
from badges.issuers.accredible.targets import SLUG
from badges.issuers.webhooks import note_organizations

_EDITED = ("slug", "name", "new_api_key", "new_webhook_secret", "no_webhook_secret", "unchecked")


class OrganizationForm(forms.ModelForm):
    """An organization and its key, asked of Accredible before it is saved."""

    new_api_key = forms.CharField(
        required=False,
        label=gettext_lazy("API key"),
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy("Stored encrypted and never shown again. Leave it empty to keep the stored one."),
    )
    new_webhook_secret = forms.CharField(
        required=False,
        label=gettext_lazy("Webhook secret"),
        widget=forms.PasswordInput(render_value=False, attrs={"autocomplete": "new-password"}),
        help_text=gettext_lazy(
            "With one, webhooks have to be signed with it. Stored encrypted and never shown again. "
            "Leave it empty to keep the stored one."
        ),
    )
    no_webhook_secret = forms.BooleanField(
        required=False,
        label=gettext_lazy("Remove the webhook secret"),
        help_text=gettext_lazy("Signatures count no more."),
    )
    unchecked = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save without asking Accredible"),
        help_text=gettext_lazy("For when Accredible cannot be reached: a wrong key then shows when badges are issued."),
    )

    class Meta:
        model = AccredibleOrganization
        fields = ["slug", "name"]
        help_texts = {"name": gettext_lazy("Left empty, Accredible's own name is taken.")}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "new_api_key" in self.changed_data or not self.instance.encrypted_key:
            self._check(cleaned)
        return cleaned

    def _check(self, cleaned: dict[str, Any]) -> None:
        # The slug of an organization that is there is shown only.
        slug = cleaned.get("slug") or self.instance.slug
        if not re.fullmatch(SLUG_PATTERN, slug) or "new_api_key" not in cleaned:
            return  # the fields have errors of their own
        if not cleaned["new_api_key"]:
            if is_in_settings(slug):
                return  # its key is used
            self.add_error("new_api_key", _("Enter the organization's API key."))
        elif not cleaned["unchecked"]:
            self._ask(cleaned, slug)

    def _ask(self, cleaned: dict[str, Any], slug: str) -> None:
        try:
            name = check_organization(slug, cleaned["new_api_key"])
        except ValidationError as error:
            self.add_error({"key": "new_api_key"}.get(error.code or ""), error)
        else:
            cleaned["name"] = cleaned.get("name") or name[:255]

    def save(self, commit: bool = True) -> AccredibleOrganization:
        if self.cleaned_data["new_api_key"]:
            self.instance.api_key = self.cleaned_data["new_api_key"].strip()
        if self.cleaned_data["new_webhook_secret"] or self.cleaned_data["no_webhook_secret"]:
            self.instance.webhook_secret = self.cleaned_data["new_webhook_secret"]
        return super().save(commit)


@admin.register(AccredibleOrganization)
class AccredibleOrganizationAdmin(PluginModelAdmin):
    """Organizations that badges are issued for, beside those of the settings."""

    form = OrganizationForm
    list_display = ("__str__", "slug", "has_key")
    fields = _EDITED

    def save_model(self, request: Any, obj: AccredibleOrganization, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        note_organizations([(SLUG, obj.slug)])
        let_badges_go_on(obj.slug)

    def get_deleted_objects(self, objs: Any, request: Any) -> Any:
        """Refuse to delete what is needed, and name what needs it."""
        to_delete, counts, lacking, protected = super().get_deleted_objects(objs, request)
        needs = [f"{organization}: {need}" for organization in objs for need in needed_by(organization)]
        return to_delete, counts, lacking, [*protected, *needs]

    def get_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        may = self.has_add_permission(request) if obj is None else self.has_change_permission(request, obj)
        return _EDITED if may else ("slug", "name", "has_key", "has_webhook_secret")

    def get_readonly_fields(self, request: Any, obj: Any = None) -> tuple[str, ...]:
        # Templates and badges name it by its slug.
        shown = ("has_key", "has_webhook_secret")
        return shown if obj is None else (*shown, "slug")

    @admin.display(boolean=True, description=gettext_lazy("API key"))
    def has_key(self, organization: AccredibleOrganization) -> bool:
        return bool(organization.encrypted_key)

    @admin.display(boolean=True, description=gettext_lazy("webhook secret"))
    def has_webhook_secret(self, organization: AccredibleOrganization) -> bool:
        return bool(organization.encrypted_webhook_secret)


@admin.register(AccredibleBadge)
class AccredibleBadgeAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Badges at Accredible; the delivery of the outbox writes them."""

    list_display = ("__str__", "state", "organization", "issued_at")
    list_filter = ("state",)
    search_help_text = gettext_lazy("An LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    fields = ("owner", "state", "organization", "external_template", "external_id", "issued_at", "address")

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).select_related("credential__template", "credential__learner__user")

    def search_condition(self, term: str) -> Q:
        return Q(credential__learner_id__in=learner_ids_for(term))

    @admin.display(description=gettext_lazy("credential"))
    def owner(self, badge: AccredibleBadge) -> Any:
        return link_to(badge.credential, f"{badge.credential.template} / {badge.credential.learner}")

    @admin.display(description=gettext_lazy("address"))
    def address(self, badge: AccredibleBadge) -> Any:
        return format_html('<a href="{0}" rel="noreferrer">{0}</a>', badge.url) if badge.url else "-"
