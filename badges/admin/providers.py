"""
Organizations at providers, with the addresses of their webhooks, and the templates there.

The credentials of organizations have pages of their own, one for each provider (``issuers.<provider>.admin``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from badges.admin.readonly import ReadOnlyAdmin
from badges.common.admin import admin_url, link_to, link_to_list
from badges.common.permissions import may
from badges.exceptions import Permanent, Retryable
from badges.issuers import registry, webhooks
from badges.issuers.run_kinds import SWEEP, SYNC
from badges.models import BadgeTemplate, ProviderOrganization, ProviderTemplate, Run
from badges.pages.addresses import public_url
from badges.runs import queue
from badges.runs.models import RunMode


@admin.register(ProviderOrganization)
class ProviderOrganizationAdmin(ReadOnlyAdmin):
    """
    Organizations at providers.

    A row appears when an organization was saved in the admin, or when one of the settings was asked for the first time.
    """

    change_form_template = "admin/lms_badges/providerorganization/change_form.html"
    list_display = ("__str__", "provider", "organization", "webhook_since", "swept_at", "synced_at")
    list_filter = ("provider",)
    actions = ("sync_templates", "plan_sync")
    fields = ("provider", "organization", "webhook", "swept_until", "swept_at", "synced_at", "templates")
    ordering = ("provider", "organization")

    # --- display -----------------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("webhook address"))
    def webhook(self, row: ProviderOrganization) -> str:
        if not row.webhook_digest:
            return _("There is none yet. A button makes one and shows it once.")
        return _("There is one; it was shown when it was made.")

    @admin.display(description=gettext_lazy("templates there"))
    def templates(self, row: ProviderOrganization) -> SafeString:
        return link_to_list(ProviderTemplate, _("Show"), provider=row.provider, organization=row.organization)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        row = kwargs.get("obj")
        context["badges_post_buttons"] = self._buttons(request, row) if row is not None else ()
        return super().render_change_form(request, context, *args, **kwargs)

    def _buttons(self, request: HttpRequest, row: ProviderOrganization) -> list[dict[str, Any]]:
        issuer = registry.working().get(row.provider)
        offered: list[tuple[str, Any]] = []
        if issuer is not None and issuer.webhook is not None and self.may(request, "change"):
            text = _("Make a new webhook address; the old one is refused then") if row.webhook_digest else ""
            offered.append(("webhook", text or _("Make the webhook address")))
        if self.may(request, "change"):
            offered.append(("check", _("Check the credentials")))
        if issuer is not None and may(request.user, "add", Run):
            offered += [("sync", _("Sync the templates"))] if issuer.can_sync else []
            offered += [("sweep", _("Read the events now"))] if issuer.can_sweep else []
        return [
            {"address": reverse("admin:lms_badges_providerorganization_do", args=[row.pk, verb]), "text": text}
            for verb, text in offered
        ]

    # --- doing -------------------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.do))
        return [
            path("<path:object_id>/do/<str:verb>/", view, name="lms_badges_providerorganization_do"),
            *super().get_urls(),
        ]

    def do(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Do what a button says: ``webhook``, ``check``, ``sync`` or ``sweep``."""
        verbs: dict[str, tuple[bool, Callable[[HttpRequest, ProviderOrganization], HttpResponse | None]]] = {
            "webhook": (self.may(request, "change"), self._new_address),
            "check": (self.may(request, "change"), self._check),
            "sync": (may(request.user, "add", Run), self._sync),
            "sweep": (may(request.user, "add", Run), self._sweep),
        }
        if verb not in verbs:
            raise Http404
        is_allowed, work = verbs[verb]
        if not (is_allowed and self.has_view_permission(request)):
            raise PermissionDenied
        row: ProviderOrganization | None = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        try:
            answer = work(request, row)
        except (Permanent, Retryable) as error:
            self.message_user(request, str(error), messages.ERROR)
            answer = None
        return answer or HttpResponseRedirect(admin_url(row))

    def _new_address(self, request: HttpRequest, row: ProviderOrganization) -> HttpResponse:
        """Show a new address, once. The page is the answer to the POST, so it is kept nowhere."""
        address = webhooks.new_address(row.provider, row.organization, host=public_url(request))
        self.log_change(request, row, "A new webhook address was made.")
        context = {
            **self.admin_site.each_context(request),
            "title": _("The new webhook address"),
            "opts": self.opts,
            "original": row,
            "address": address,
            "back": admin_url(row),
        }
        return TemplateResponse(request, "admin/lms_badges/providerorganization/address.html", context)

    def _check(self, request: HttpRequest, row: ProviderOrganization) -> None:
        issuer, organization = webhooks.known_organization(row.provider, row.organization)
        name = issuer.check_organization(organization)
        self.message_user(request, _("The provider accepts the credentials of %s.") % (name or row), messages.SUCCESS)

    def _sync(self, request: HttpRequest, row: ProviderOrganization) -> HttpResponse:
        return HttpResponseRedirect(admin_url(self._start(request, row, SYNC, RunMode.APPLY)))

    def _sweep(self, request: HttpRequest, row: ProviderOrganization) -> HttpResponse:
        return HttpResponseRedirect(admin_url(self._start(request, row, SWEEP, RunMode.APPLY)))

    def _start(self, request: HttpRequest, row: ProviderOrganization, kind: str, mode: RunMode) -> Run:
        parameters = {"provider": row.provider, "organization": row.organization}
        return queue.start(kind, mode=mode, parameters=parameters, person=request.user)

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return may(request.user, "add", Run)

    @admin.action(description=gettext_lazy("Sync the templates"), permissions=["sync"])
    def sync_templates(self, request: HttpRequest, queryset: Any) -> None:
        self._start_each(request, queryset, RunMode.APPLY)

    @admin.action(description=gettext_lazy("Plan a sync of the templates, which changes nothing"), permissions=["sync"])
    def plan_sync(self, request: HttpRequest, queryset: Any) -> None:
        self._start_each(request, queryset, RunMode.PLAN)

    def _start_each(self, request: HttpRequest, queryset: Any, mode: RunMode) -> None:
        for row in queryset:
            try:
                run = self._start(request, row, SYNC, mode)
            except Permanent as error:
                self.message_user(request, f"{row}: {error}", messages.ERROR)
            else:
                text = format_html("{}: {}", row, link_to(run, _("the run was started")))
                self.message_user(request, text, messages.SUCCESS)


@admin.register(ProviderTemplate)
class ProviderTemplateAdmin(ReadOnlyAdmin):
    """Templates at providers, as they described them last."""

    list_display = ("name", "provider", "state", "organization", "changed_at")
    list_filter = ("provider", "state")
    search_fields = ("external_id", "name")
    search_help_text = gettext_lazy("An id at the provider, or a part of the name.")
    ordering = ("provider", "name", "pk")
    fields = (
        *("provider", "organization", "external_id", "name", "description", "state", "image", "managed_at"),
        *("changed_at", "taken_over_at", "created_at", "used_by"),
    )

    @admin.display(description=gettext_lazy("image"))
    def image(self, copy: ProviderTemplate) -> SafeString | str:
        return shown_image(copy.image_url)

    @admin.display(description=gettext_lazy("managed at"))
    def managed_at(self, copy: ProviderTemplate) -> SafeString | str:
        return link_outside(copy.management_url)

    @admin.display(description=gettext_lazy("templates here"))
    def used_by(self, copy: ProviderTemplate) -> SafeString | str:
        issuer = registry.working().get(copy.provider)
        if issuer is None:
            return "-"
        named = BadgeTemplate.objects.filter(
            issuers__provider=copy.provider,
            issuers__organization__in=issuer.spellings(copy.organization),
            issuers__external_template__in=issuer.spellings(copy.external_id),
        )
        return SafeString(", ".join(link_to(template) for template in named.order_by("slug")[:20])) or "-"


def shown_copy(copy: ProviderTemplate) -> SafeString:
    """Return what is shown of a template at a provider: image, state, and links."""
    return format_html(
        "{} {} · {} · {}",
        shown_image(copy.image_url, size=32),
        link_to(copy, copy.provider),
        copy.get_state_display(),
        link_outside(copy.management_url, _("Manage it there")),
    )


def shown_image(address: str, *, size: int = 96) -> SafeString | str:
    """Return an image as it is shown. Only addresses that were checked are stored."""
    if not address:
        return "-"
    html = '<img src="{}" alt="" width="{}" height="{}" loading="lazy" referrerpolicy="no-referrer">'
    return format_html(html, address, size, size)


def link_outside(address: str, text: Any = None) -> SafeString | str:
    """Return a link to a page of a provider."""
    return format_html('<a href="{}" rel="noreferrer noopener">{}</a>', address, text or address) if address else "-"
