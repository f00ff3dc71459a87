"""Credentials: the awarded badges with their causes and their states at the providers; revoking, lifting a block."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from badges import api
from badges.admin.bulk import BulkMixin
from badges.admin.decisions import (
    ButtonsMixin,
    DecisionForm,
    LiftBlockForm,
    RevokeForm,
    decided,
    decider,
    decision_page,
    may_revoke,
)
from badges.admin.descriptions import describe_cause, describe_issued, describe_revocation
from badges.admin.readonly import (
    ExactSearchMixin,
    ReadOnlyAdmin,
    learner_ids_for,
    template_ids_for,
    uuid_of,
)
from badges.admin.why import why_address
from badges.awarding.models import with_status
from badges.awarding.sharing import is_public
from badges.common.admin import admin_url, format_time, link_to, link_to_list
from badges.explanations import may_explain_everybody
from badges.issuers import registry
from badges.models import CredentialStatus, OutboxMessage, UserCredential
from badges.pages.addresses import address_of


class _StatusFilter(admin.SimpleListFilter):
    """Filters by the status at the moment. A badge has expired at its end, also before its row is marked."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return CredentialStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        status = self.value()
        return queryset.filter(with_status(status, timezone.now())) if status else queryset


@admin.register(UserCredential)
class UserCredentialAdmin(BulkMixin, ButtonsMixin, ExactSearchMixin, ReadOnlyAdmin):
    """
    Awarded credentials. The buttons revoke one and lift its block; nothing else of them changes.

    Above the list are buttons to award and revoke what a file says.
    """

    list_display = ("learner", "template", "state", "awarded_at", "valid_until")
    list_display_links = ("learner",)
    list_filter = (_StatusFilter, "blocked", "awarded_at")
    list_select_related = ("learner__user", "template")
    search_help_text = gettext_lazy(
        "An LMS user id, a username or its beginning, the UUID of a learner or credential, or the slug of a template."
    )
    ordering = ("-awarded_at", "-pk")

    def get_fieldsets(self, request: HttpRequest, obj: UserCredential | None = None) -> Any:
        about = [
            "id",
            "badge",
            "holder",
            "state",
            "awarded_at",
            "cause",
            "revision_link",
            "providers",
            "messages",
            "public_page",
        ]
        if obj is not None and obj.valid_until is not None:
            about[5:5] = ["valid_until", "ended_at", "replaced"]
        revoked = ("revoked_at", "revocation", "public_reason", "internal_reason", "block")
        if obj is None or obj.status != CredentialStatus.REVOKED:
            return [(None, {"fields": about})]
        return [(None, {"fields": about}), (_("Revocation"), {"fields": revoked})]

    def get_queryset(self, request: Any) -> Any:
        related = ("learner__user", "template", "revision__template", "cause_person")
        revoked = ("revocation_person", "revocation_revision", "block_lifted_person")
        return super().get_queryset(request).select_related(*related, *revoked)

    def search_condition(self, term: str) -> Q:
        found = Q(learner_id__in=learner_ids_for(term)) | Q(template_id__in=template_ids_for(term))
        identifier = uuid_of(term)
        return found if identifier is None else found | Q(pk=identifier)

    @admin.display(description=gettext_lazy("status"), ordering="status")
    def state(self, credential: UserCredential) -> str:
        return str(CredentialStatus(credential.status_at(timezone.now())).label)

    @admin.display(description=gettext_lazy("public page"))
    def public_page(self, credential: UserCredential) -> Any:
        if not is_public(credential) or credential.learner.is_anonymous:
            return _("The learner does not share it, or the settings do not allow that.")
        address = address_of(credential.pk)
        return format_html('<a href="{}">{}</a>', address, address)

    @admin.display(description=gettext_lazy("took the place of"))
    def replaced(self, credential: UserCredential) -> Any:
        return link_to(credential.replaces) if credential.replaces else "-"

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
        return format_html_join(SafeString("<br>"), "{}", ((describe_issued(badge),) for badge in known)) or _(
            "Nowhere."
        )

    @admin.display(description=gettext_lazy("outbox messages"))
    def messages(self, credential: UserCredential) -> SafeString:
        of_badge = link_to_list(OutboxMessage, _("of this badge at the providers"), key=credential.learner_template_id)
        of_learner = link_to_list(OutboxMessage, _("all of this learner"), q=credential.learner.uuid)
        return format_html("{} · {}", of_badge, of_learner)

    @admin.display(description=gettext_lazy("cause"))
    def revocation(self, credential: UserCredential) -> str:
        return describe_revocation(credential)

    @admin.display(description=gettext_lazy("block"))
    def block(self, credential: UserCredential) -> str:
        if credential.blocked:
            return _("The learner does not get this badge again until staff lift the block.")
        if credential.block_lifted_at is None:
            return _("There is none. The learner can get this badge again.")
        text = _("Lifted by %(person)s, %(time)s") % {
            "person": credential.block_lifted_person or _("other code, or somebody whose account is gone"),
            "time": format_time(credential.block_lifted_at),
        }
        return f"{text}: {credential.block_lifted_reason}" if credential.block_lifted_reason else text

    # --- what staff decide -------------------------------------------------------------------------------------------

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/revoke/", wrap(self.revoke), name="lms_badges_usercredential_revoke"),
            path("<path:object_id>/lift-block/", wrap(self.lift_block), name="lms_badges_usercredential_lift_block"),
            *super().get_urls(),
        ]

    def buttons(self, request: HttpRequest, row: UserCredential) -> list[tuple[str, str]]:
        offered = []
        if may_explain_everybody(request.user):
            offered.append((why_address(row.learner, row.template.slug), _("Why?")))
        if not may_revoke(request.user):
            return offered
        if row.status_at(timezone.now()) == CredentialStatus.AWARDED:
            return [*offered, (reverse("admin:lms_badges_usercredential_revoke", args=[row.pk]), _("Revoke"))]
        if row.blocked:
            return [*offered, (reverse("admin:lms_badges_usercredential_lift_block", args=[row.pk]), _("Lift block"))]
        return offered

    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Revoke the credential, with its reasons."""
        credential = self._for_decision(request, object_id)
        if credential.status_at(timezone.now()) != CredentialStatus.AWARDED:
            return self._nothing_to_do(request, credential, _("The learner does not hold this badge any more."))

        def decide(given: dict[str, Any]) -> HttpResponse:
            revoked = api.revoke(
                credential.learner,
                credential.template.slug,
                by=decider(request),
                reason=given["public_reason"],
                internal_reason=given["internal_reason"],
                block=given["block"],
                credential_id=credential.pk,
            )
            text = _("The badge was revoked. This is announced, and the providers are told.")
            return decided(request, self, revoked, text=text, back=credential)

        return self._page(
            request,
            credential,
            RevokeForm,
            title=_("Revoke a badge"),
            button=_("Revoke"),
            explanation=_("%(badge)s, held by %(learner)s. The credential stays, marked as revoked."),
            decide=decide,
        )

    def lift_block(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lift the block of the credential, with the reason."""
        credential = self._for_decision(request, object_id)
        if not credential.blocked:
            return self._nothing_to_do(request, credential, _("There is no block to lift."))

        def decide(given: dict[str, Any]) -> HttpResponse:
            awarded = api.lift_block(
                credential.learner,
                credential.template.slug,
                by=decider(request),
                reason=given["reason"],
                credential_id=credential.pk,
            )
            if awarded is None:
                text = _("The block was lifted. The learner can get the badge again.")
                return decided(request, self, credential, text=text, back=credential)
            self.log_change(request, credential, _("The block was lifted."))
            text = _("The block was lifted. All requirements are fulfilled, so the learner got the badge again.")
            return decided(request, self, awarded, text=text, back=credential)

        return self._page(
            request,
            credential,
            LiftBlockForm,
            title=_("Lift a block"),
            button=_("Lift block"),
            explanation=_(
                "%(badge)s, revoked for %(learner)s. If all requirements are fulfilled, the learner gets it again now."
            ),
            decide=decide,
        )

    def _page(
        self,
        request: HttpRequest,
        credential: UserCredential,
        form_class: type[DecisionForm],
        *,
        explanation: str,
        **given: Any,
    ) -> HttpResponse:
        names = {"badge": credential.template.name, "learner": credential.learner}
        return decision_page(request, self, credential, form_class=form_class, explanation=explanation % names, **given)

    def _for_decision(self, request: HttpRequest, object_id: str) -> UserCredential:
        if not (self.has_view_permission(request) and may_revoke(request.user)):
            raise PermissionDenied
        credential = self.get_object(request, unquote(object_id))
        if credential is None:
            raise Http404
        return credential

    def _nothing_to_do(self, request: HttpRequest, credential: UserCredential, text: str) -> HttpResponse:
        self.message_user(request, text, messages.WARNING)
        return HttpResponseRedirect(admin_url(credential))
