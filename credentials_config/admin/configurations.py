"""The admin of configurations: their schedule, options, counts and last runs, and the buttons."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges.common.admin import format_time, link_to, link_to_list
from badges.exceptions import Permanent, Retryable
from credentials_config import api, registry
from credentials_config.admin import schedule_fields
from credentials_config.admin.dry_runs import dry_run_page
from credentials_config.admin.option_fields import OPTIONS_HELP, OptionsField, findings, option_help
from credentials_config.admin.pages import Page
from credentials_config.admin.previews import PreviewMixin
from credentials_config.admin.stale_forms import StaleForm
from credentials_config.contracts import GenerationError
from credentials_config.issuing import renderers
from credentials_config.models import (
    Availability,
    Credential,
    CredentialConfiguration,
    CredentialRun,
    CredentialStatus,
    CredentialType,
)
from credentials_config.options import merge

_RUNS_SHOWN = 8
_DATE_FIELDS = ("availability", "days_after_end", "available_on", "ignore_start", "grace_hours")
_VALIDITY = ("valid_days", "valid_until")


class ConfigurationForm(schedule_fields.ScheduleForm, StaleForm):  # type: ignore[misc]
    """A configuration, checked by the plug-ins of its type. One that is enabled must be able to work."""

    options = OptionsField(label=gettext_lazy("Options"), required=False, help_text=OPTIONS_HELP)

    class Meta:
        model = CredentialConfiguration
        fields = ["context_key", "credential_type", "enabled", "options", *_DATE_FIELDS, *_VALIDITY]

    def stored_state(self, row: CredentialConfiguration) -> dict[str, Any]:
        """Return what the form shows of a row, with its schedule."""
        return {**super().stored_state(row), "schedule": str(schedule_fields.describe(row.periodic_task))}

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        self._clean_availability(cleaned)
        credential_type = cleaned.get("credential_type") or _type_of(self.instance)
        if credential_type is not None:
            if "context_key" in cleaned:
                self._clean_context(cleaned["context_key"], credential_type)
            if "options" in cleaned:
                self._clean_options(cleaned, credential_type)
        return cleaned

    def _clean_availability(self, cleaned: dict[str, Any]) -> None:
        needed = {Availability.AFTER_END: "days_after_end", Availability.ON_DATE: "available_on"}
        field = needed.get(cleaned.get("availability"))  # type: ignore[arg-type]
        if field in cleaned and cleaned[field] is None:
            self.add_error(field, _("This is needed for what you chose above."))

    def _clean_context(self, context_key: str, credential_type: CredentialType) -> None:
        try:
            supported = registry.processor(credential_type.processor).supports(context_key)
        except Permanent as error:
            self.add_error("credential_type", str(error))
            return
        if not supported:
            message = _(
                "Credentials of this type (%(processor)s) cannot be given here. Write the key of a course, a lesson or "
                "a pathway that it supports."
            )
            self.add_error("context_key", message % {"processor": credential_type.processor})

    def _clean_options(self, cleaned: dict[str, Any], credential_type: CredentialType) -> None:
        merged = merge(credential_type.options, cleaned["options"])
        found = findings(credential_type.processor, credential_type.generator, merged)
        for finding in found:
            self.add_error("options", finding)
        touched = {"options", "credential_type", "enabled"} & set(self.changed_data)
        if not found and touched and cleaned.get("enabled"):
            self._try_document(credential_type, merged)

    def _try_document(self, credential_type: CredentialType, merged: dict[str, Any]) -> None:
        """Report a broken template or a missing font to the person who enables the configuration, before any run."""
        try:
            with renderers.renderer_with(credential_type.generator, merged):
                pass  # it is loaded, and has made its first document
        except (GenerationError, Permanent, Retryable) as error:
            self.add_error("options", _("No document can be made: %(problem)s") % {"problem": error})


@admin.register(CredentialConfiguration)
class CredentialConfigurationAdmin(PreviewMixin, Page):
    """A configuration's page shows its schedule, its options with help, its counts and last runs, and its buttons."""

    form = ConfigurationForm
    change_form_template = "admin/lms_credentials_config/credentialconfiguration/change_form.html"
    list_display = ("context_key", "credential_type", "enabled", "short_state", "fires", "last_run")
    list_filter = ("enabled", "credential_type")
    list_select_related = ("credential_type", "periodic_task__interval", "periodic_task__crontab")
    search_fields = ("context_key",)
    ordering = ("context_key", "credential_type__name")
    buttons: ClassVar = ("generate", "dry_run", "retry")
    verbs: ClassVar = dict.fromkeys(buttons, "generate")

    # --- what is shown -----------------------------------------------------------------------------------------------

    def get_queryset(self, request: HttpRequest) -> QuerySet[CredentialConfiguration]:
        latest = CredentialRun.objects.filter(configuration=OuterRef("pk")).order_by("-pk")
        related = ("credential_type", "periodic_task__interval", "periodic_task__crontab")
        rows = super().get_queryset(request).select_related(*related)
        return rows.annotate(last_started=Subquery(latest.values("run__asked_at")[:1]))

    def get_fieldsets(self, request: HttpRequest, obj: CredentialConfiguration | None = None) -> Any:
        when = schedule_fields.ROWS if self._may_write(request, obj) else ("fires",)
        options: tuple[str, ...] = ("options", "type_options", "help") if obj else ("options", "help")
        if obj and self._may_write(request, obj):
            options = (*options, "opened")
        return [
            (None, {"fields": ("context_key", "credential_type", "enabled")}),
            (_("Schedule"), {"fields": when, "classes": ["lms-cc-schedule"]}),
            (_("From when on"), {"fields": _DATE_FIELDS}),
            (_("For how long it is valid"), {"fields": _VALIDITY}),
            (_("Options"), {"fields": options}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: CredentialConfiguration | None = None) -> tuple[str, ...]:
        """Type and context cannot be changed: credentials may have been issued by them."""
        shown = ("fires", "type_options", "help")
        return ("context_key", "credential_type", *shown) if obj else shown

    def _may_write(self, request: HttpRequest, obj: CredentialConfiguration | None) -> bool:
        return self.has_change_permission(request, obj) if obj else self.has_add_permission(request)

    @admin.display(description=gettext_lazy("state"))
    def short_state(self, configuration: CredentialConfiguration) -> str:
        return Truncator(self.state(configuration)).chars(80)

    def state(self, configuration: CredentialConfiguration) -> str:
        if configuration.problem:
            return _("Problem: %(problem)s") % {"problem": configuration.problem}
        if not configuration.enabled:
            return _("Switched off")
        if configuration.closed_at:
            return _("Closed since %(time)s") % {"time": format_time(configuration.closed_at)}
        return _("Open")

    @admin.display(description=gettext_lazy("schedule"))
    def fires(self, configuration: CredentialConfiguration) -> str:
        return schedule_fields.describe(configuration.periodic_task)

    @admin.display(description=gettext_lazy("last run"), empty_value="-")
    def last_run(self, configuration: Any) -> Any:
        return configuration.last_started

    @admin.display(description=gettext_lazy("options of the type"))
    def type_options(self, configuration: CredentialConfiguration) -> Any:
        return link_to(configuration.credential_type, _("These options are laid over those of the type."))

    @admin.display(description=gettext_lazy("possible options"))
    def help(self, configuration: CredentialConfiguration | None) -> SafeString:
        credential_type = _type_of(configuration)
        if credential_type is None:
            return option_help()
        return option_help(credential_type.processor, credential_type.generator)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        configuration = kwargs.get("obj")
        if configuration is not None:
            context["lms_cc"] = self._panel(request, configuration)
        return super().render_change_form(request, context, *args, **kwargs)

    def _panel(self, request: HttpRequest, configuration: CredentialConfiguration) -> dict[str, Any]:
        rows = Credential.objects.filter(configuration=configuration)
        counted = dict(rows.order_by().values_list("status").annotate(Count("pk")))
        runs_link = link_to_list(CredentialRun, _("All runs"), configuration__id__exact=configuration.pk)
        return {
            "state": self.state(configuration),
            "counts": [
                (
                    label,
                    counted.get(value, 0),
                    reverse("admin:lms_credentials_config_credential_changelist")
                    + f"?configuration__id__exact={configuration.pk}&status__exact={value}",
                )
                for value, label in CredentialStatus.choices
            ],
            "failed": counted.get(CredentialStatus.ERROR, 0),
            "runs": CredentialRun.objects.filter(configuration=configuration).select_related("run")[:_RUNS_SHOWN],
            "runs_link": runs_link,
            "can_run_actions": self.may(request, "generate"),
        }

    # --- saving ------------------------------------------------------------------------------------------------------

    def save_model(self, request: HttpRequest, obj: CredentialConfiguration, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change or set(schedule_fields.FIELDS) & set(form.changed_data):
            assert obj.periodic_task_id is not None  # the save has created it
            schedule_fields.set_schedule(obj.periodic_task_id, form.cleaned_data)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Let runs be deleted with their configuration, though nobody may delete them alone. Credentials protect it."""
        to_delete, counts, perms_needed, protected = super().get_deleted_objects(objs, request)
        with_it = {model._meta.verbose_name for model in (CredentialRun, Credential)}
        return to_delete, counts, perms_needed - with_it, protected

    # --- buttons -----------------------------------------------------------------------------------------------------

    def preview_parts(self, cleaned: dict[str, Any], instance: Any) -> tuple[str, dict[str, Any]] | None:
        credential_type = cleaned.get("credential_type") or _type_of(instance)
        if credential_type is None or "options" not in cleaned:
            return None
        return credential_type.generator, merge(credential_type.options, cleaned["options"])

    def generate(self, request: HttpRequest, configuration: CredentialConfiguration) -> HttpResponse:
        """Request a run now."""
        ignored = "ignore_dates" in request.POST
        run = api.generate(configuration, person=request.user, ignore_dates=ignored)
        message = _("Asked for a run, in spite of the date checks.") if ignored else _("Asked for a run.")
        self.log_change(request, configuration, message)
        self.message_user(request, format_html("{} {}", message, link_to(run, _("Watch it here."))), messages.SUCCESS)
        return self.back_to(configuration)

    def dry_run(self, request: HttpRequest, configuration: CredentialConfiguration) -> HttpResponse:
        """Show who would get a credential, and who not and why."""
        try:
            return dry_run_page(self, request, configuration)
        except (Permanent, Retryable) as error:
            self.message_user(request, str(error), messages.ERROR)
            return self.back_to(configuration)

    def retry(self, request: HttpRequest, configuration: CredentialConfiguration) -> HttpResponse:
        """Try failed credentials again, after the cause was removed."""
        count = api.retry_configuration(configuration)
        message = (
            ngettext("%d failed credential is tried again.", "%d failed credentials are tried again.", count) % count
        )
        self.log_change(request, configuration, message)
        self.message_user(request, message, messages.SUCCESS)
        return self.back_to(configuration)


def _type_of(configuration: CredentialConfiguration | None) -> CredentialType | None:
    if configuration is None or configuration.credential_type_id is None:
        return None
    return configuration.credential_type
