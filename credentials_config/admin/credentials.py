"""The admin of credentials: who has which, what failed, and the buttons."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges import api as badges
from badges.common.admin import link_to
from badges.exceptions import Permanent, Retryable
from credentials_config import api
from credentials_config.admin.pages import ReadOnlyPage
from credentials_config.issuing import codes
from credentials_config.models import Credential, CredentialStatus
from credentials_config.processors.csv_list import MAX_ID_DIGITS


@admin.register(Credential)
class CredentialAdmin(ReadOnlyPage):
    """Shows credentials. Only the buttons and actions change them."""

    change_form_template = "admin/lms_credentials_config/credential/change_form.html"
    list_display = ("verification_code", "learner", "learner_name", "status", "issued_at", "configuration")
    list_filter = ("status", "issued_at")
    # Not joined: MariaDB would begin with a short table, and sort the long one.
    list_select_related = ()
    search_fields = ("pk",)  # so that the search box is shown
    search_help_text = gettext_lazy("A verification code, an LMS user id or a username.")
    ordering = ("-pk",)  # newest first, by an index
    actions = ("reissue_chosen", "retry_chosen")
    buttons: ClassVar = ("reissue", "invalidate", "retry")
    fields = (
        *("verification", "status", "learner_link", "learner_name", "context_name", "configuration_link", "run_link"),
        *("issued_at", "expires_at", "file", "document_number", "made_from"),
        *("due_at", "attempts", "error", "invalidated_at", "public_reason", "internal_note"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        related = ("learner__user", "configuration__credential_type", "run__configuration__credential_type")
        return super().get_queryset(request).prefetch_related(*related)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(pk__in=[])
        code = codes.normalized(term)
        if code:
            found |= Q(verification_code=code)
        too_long = term.isascii() and term.isdigit() and len(term) > MAX_ID_DIGITS
        learner = None if too_long else badges.learner_of(term)
        if learner is not None:
            found |= Q(learner=learner)
        return queryset.filter(found), False

    # --- what is shown -----------------------------------------------------------------------------------------------

    @admin.display(description=gettext_lazy("verification code"))
    def verification(self, credential: Credential) -> Any:
        address = reverse("lms_credentials_config:verify", args=[credential.verification_code])
        return format_html('<a href="{}"><code>{}</code></a>', address, credential.verification_code)

    @admin.display(description=gettext_lazy("learner"))
    def learner_link(self, credential: Credential) -> Any:
        return link_to(credential.learner)

    @admin.display(description=gettext_lazy("configuration"))
    def configuration_link(self, credential: Credential) -> Any:
        return link_to(credential.configuration)

    @admin.display(description=gettext_lazy("found by the run"))
    def run_link(self, credential: Credential) -> Any:
        return link_to(credential.run)

    @admin.display(description=gettext_lazy("document"))
    def file(self, credential: Credential) -> Any:
        if not credential.document:
            return "-"
        try:
            address = api.link_to(credential)
        except Permanent as error:
            return format_html("{}<br>{}", credential.document, str(error))
        return format_html('<a href="{}" rel="noreferrer">{}</a>', address, credential.document)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        credential = kwargs["obj"]
        context["lms_cc"] = {
            "can_run_actions": any(self.may(request, verb) for verb in self.buttons),
            "may_reissue": self.may(request, "reissue") and credential.status == CredentialStatus.AVAILABLE,
            "may_invalidate": self.may(request, "invalidate") and credential.status != CredentialStatus.INVALIDATED,
            "may_retry": self.may(request, "retry") and bool(credential.active_key and credential.error),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    # --- buttons and actions -----------------------------------------------------------------------------------------

    def reissue(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        """Have a new document made, with the names that the LMS has now."""
        self._reissue(request, [credential], mail="mail" in request.POST)
        return self.back_to(credential)

    def invalidate(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        """Invalidate the credential, with a public reason and a note for staff."""
        reason, note = request.POST.get("public_reason", ""), request.POST.get("internal_note", "")
        try:
            done = api.invalidate([credential], public_reason=reason, note=note.replace("\0", ""), by=request.user)
        except Permanent as error:
            self.message_user(request, str(error), messages.ERROR)
            return self.back_to(credential)
        if done:
            self.log_change(request, credential, _("Invalidated: %(reason)s") % {"reason": reason})
            self.message_user(request, _("The credential was invalidated."), messages.SUCCESS)
        else:
            self.message_user(request, _("It was invalidated before."), messages.WARNING)
        return self.back_to(credential)

    def retry(self, request: HttpRequest, credential: Credential) -> HttpResponse:
        """Try again to make its document."""
        self._retry(request, Credential.objects.filter(pk=credential.pk))
        return self.back_to(credential)

    def has_reissue_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "reissue")

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retry")

    @admin.action(description=gettext_lazy("Reissue, and tell the learners"), permissions=["reissue"])
    def reissue_chosen(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        self._reissue(request, list(queryset), mail=True)

    @admin.action(description=gettext_lazy("Try again what failed"), permissions=["retry"])
    def retry_chosen(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        self._retry(request, queryset)

    def _reissue(self, request: HttpRequest, chosen: list[Credential], *, mail: bool) -> None:
        try:
            done = api.reissue(chosen, mail=mail)
        except (Permanent, Retryable) as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        for credential in chosen:
            self.log_change(request, credential, _("Reissued."))
        message = ngettext("%d new document will be made.", "%d new documents will be made.", done) % done
        self.message_user(request, message, messages.SUCCESS)

    def _retry(self, request: HttpRequest, rows: QuerySet[Credential]) -> None:
        done = api.retry(rows)
        message = ngettext("%d credential is tried again.", "%d credentials are tried again.", done) % done
        self.message_user(request, message, messages.SUCCESS if done else messages.WARNING)
