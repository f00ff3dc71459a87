"""The admin of credential types: processor, generator and options."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges.common.admin import link_to_list
from credentials_config import registry
from credentials_config.admin.option_fields import OPTIONS_HELP, OptionsField, findings, option_help, plugin_choices
from credentials_config.admin.pages import Page
from credentials_config.admin.previews import PreviewMixin
from credentials_config.admin.stale_forms import StaleForm
from credentials_config.models import CredentialConfiguration, CredentialType
from credentials_config.options import merge

# At most so many configurations are checked again when the options of their type change.
_CHECKED = 200


class TypeForm(StaleForm):
    """A credential type, checked by its plug-ins."""

    processor = forms.ChoiceField(label=gettext_lazy("Who gets it"))
    generator = forms.ChoiceField(label=gettext_lazy("What they get"))
    options = OptionsField(label=gettext_lazy("Options"), required=False, help_text=OPTIONS_HELP)
    incomplete = forms.BooleanField(
        required=False,
        label=gettext_lazy("Save although something is missing or wrong"),
        help_text=gettext_lazy("For options that each configuration completes; a configuration's own must be right."),
    )

    class Meta:
        model = CredentialType
        fields = ["name", "processor", "generator", "options"]

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.fields["processor"].choices = plugin_choices(registry.processors(), self.instance.processor)  # type: ignore[attr-defined]
        self.fields["generator"].choices = plugin_choices(registry.generators(), self.instance.generator)  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not cleaned.get("incomplete") and {"processor", "generator", "options"} <= cleaned.keys():
            for finding in findings(cleaned["processor"], cleaned["generator"], cleaned["options"]):
                self.add_error("options", finding)
        return cleaned


@admin.register(CredentialType)
class CredentialTypeAdmin(PreviewMixin, Page):
    """A type's page lists the possible options, and shows a preview of the document before it is saved."""

    form = TypeForm
    change_form_template = "admin/lms_credentials_config/credentialtype/change_form.html"
    list_display = ("name", "processor", "generator", "used")
    search_fields = ("name",)
    ordering = ("name",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = ["name", "processor", "generator", "options"]
        if self._may_write(request, obj):
            fields += ["incomplete", "help"]
            if obj:
                fields.append("opened")
        return [*fields, "used"] if obj else fields

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("help", "used")

    def _may_write(self, request: HttpRequest, obj: Any) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    @admin.display(description=gettext_lazy("possible options"))
    def help(self, credential_type: CredentialType) -> SafeString:
        if credential_type is None or credential_type.pk is None:
            return option_help()
        return option_help(credential_type.processor, credential_type.generator)

    @admin.display(description=gettext_lazy("configurations"))
    def used(self, credential_type: CredentialType) -> SafeString:
        text = _("where it is given")
        return link_to_list(CredentialConfiguration, text, credential_type__id__exact=credential_type.pk)

    def save_model(self, request: HttpRequest, obj: CredentialType, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if change and {"processor", "generator", "options"} & set(form.changed_data):
            self._warn_of_broken(request, obj)

    def _warn_of_broken(self, request: HttpRequest, credential_type: CredentialType) -> None:
        for configuration in credential_type.configurations.order_by("pk")[:_CHECKED]:
            options = merge(credential_type.options, configuration.options)
            found = findings(credential_type.processor, credential_type.generator, options)
            if found:
                message = _("The configuration of %(context)s does not work with these options: %(finding)s")
                message %= {"context": configuration.context_key, "finding": found[0]}
                self.message_user(request, message, messages.WARNING)

    def preview_parts(self, cleaned: dict[str, Any], instance: Any) -> tuple[str, dict[str, Any]] | None:
        if not {"generator", "options"} <= cleaned.keys():
            return None
        return cleaned["generator"], cleaned["options"]
