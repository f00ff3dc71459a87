"""Learners."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges import api
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for
from badges.common.admin import link_to_list
from badges.models import BadgeProgress, InboxMessage, Learner, OutboxMessage, UserCredential
from badges.retirement import RetirementResult


@admin.register(Learner)
class LearnerAdmin(ExactSearchMixin, ReadOnlyAdmin):
    """Learners that matched events were about."""

    list_display = ("__str__", "lms_user_id", "created_at")
    list_select_related = ("user",)
    search_help_text = gettext_lazy("An LMS user id, or a username or its beginning.")
    ordering = ("-pk",)
    fields = ("uuid", "lms_user_id", "user", "created_at", "badges")

    actions = ("retire",)

    def has_retire_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "retire")

    @admin.action(description=gettext_lazy("Retire: remove personal data"), permissions=["retire"])
    def retire(self, request: HttpRequest, queryset: QuerySet[Learner]) -> HttpResponse | None:
        """Ask first, with what would go; then do it."""
        learners = list(queryset.order_by("pk")[: self.list_per_page])
        is_confirmed = "confirmed" in request.POST
        results = [api.retire(learner, plan=not is_confirmed) for learner in learners]
        if not is_confirmed:
            return TemplateResponse(request, "admin/lms_badges/learner/retire.html", self._question(request, results))
        for learner in Learner.objects.filter(pk__in=[learner.pk for learner in learners]):
            self.log_change(request, learner, [{"changed": {"name": _("retired"), "object": str(learner.uuid)}}])
        text = ngettext("%d learner was retired.", "%d learners were retired.", len(learners)) % len(learners)
        self.message_user(request, text, messages.SUCCESS)
        return None

    def _question(self, request: HttpRequest, results: list[RetirementResult]) -> dict[str, Any]:
        changed: Counter[tuple[str, str]] = Counter()
        for result in results:
            changed.update({(app, what): n for app, counts in result.counts.items() for what, n in counts.items()})
        return {
            **self.admin_site.each_context(request),
            "title": _("Retire learners"),
            "opts": self.opts,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "learners": len(results),
            "unknown": sum(1 for result in results if not result.is_remembered),
            "changed": [(app, what, number) for (app, what), number in changed.items() if number],
        }

    def search_condition(self, term: str) -> Q:
        return Q(pk__in=learner_ids_for(term))

    @admin.display(description=gettext_lazy("related rows"))
    def badges(self, learner: Learner) -> SafeString:
        links: list[Any] = [
            link_to_list(UserCredential, _("credentials"), learner__id__exact=learner.pk),
            link_to_list(BadgeProgress, _("progress"), learner__id__exact=learner.pk),
            link_to_list(OutboxMessage, _("outbox messages"), key=learner.pk),
        ]
        if learner.lms_user_id is not None:
            links.append(link_to_list(InboxMessage, _("inbox messages"), lms_user_id=learner.lms_user_id))
        return SafeString(" · ".join(links))
