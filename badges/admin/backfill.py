"""The button on a template's page that gives the badge to those who have earned it before, and the message with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from badges.admin.template_sections import TemplateSection, register
from badges.backfill.run_kinds import KIND
from badges.catalog.api import Document
from badges.catalog.models import BadgeTemplate
from badges.common.admin import admin_url
from badges.common.permissions import may
from badges.exceptions import Permanent
from badges.models import Run, RunMode
from badges.runs import queue

ADDRESS = "lms_badges_badgetemplate_backfill"


def may_backfill(user: Any) -> bool:
    """Return whether somebody may give badges for what happened before."""
    return may(user, "backfill", BadgeTemplate)


@register
class BackfillSection(TemplateSection):
    """The button that plans a backfill. The page of the run shows who would gain, and offers to apply the plan."""

    order = 85
    below_template_name = "lms_badges/template_backfill.html"

    def context(self, request: HttpRequest, template: BadgeTemplate | None) -> dict[str, Any]:
        if template is None or not template.is_active or not may_backfill(request.user):
            return {}
        if not template.requirements.filter(archived_at=None).exists():
            return {}
        return {"badges_backfill_address": reverse(f"admin:{ADDRESS}", args=[template.pk])}

    def urls(self, model_admin: Any) -> Sequence[Any]:
        def plan(request: HttpRequest, object_id: str) -> HttpResponse:
            return _plan(request, model_admin, object_id)

        view = model_admin.admin_site.admin_view(require_POST(plan))
        return [path("<path:object_id>/backfill/", view, name=ADDRESS)]


def _plan(request: HttpRequest, model_admin: Any, object_id: str) -> HttpResponse:
    """Start a plan for the template, and go to its page; back to the template for those who may not view runs."""
    if not (model_admin.has_view_permission(request) and may_backfill(request.user)):
        raise PermissionDenied
    template = model_admin.get_object(request, unquote(object_id))
    if template is None:
        raise Http404
    try:
        run = queue.start(KIND, mode=RunMode.PLAN, parameters={"templates": [template.slug]}, person=request.user)
    except Permanent as error:
        model_admin.message_user(request, str(error), messages.ERROR)
        return HttpResponseRedirect(admin_url(template))
    model_admin.log_change(request, template, "backfill: plan")
    text = _("This plan finds out who has earned the badge already. It changes nothing. Apply it when it is done.")
    model_admin.message_user(request, text, messages.SUCCESS)
    may_view_run = may(request.user, "view", Run) or may(request.user, "change", Run)
    return HttpResponseRedirect(admin_url(run if may_view_run else template))


def offer(request: HttpRequest, document: Document, template: BadgeTemplate) -> SafeString | None:
    """Return what to tell somebody who has just saved an active template; None if there is nothing to offer."""
    demands = document["requirements"] or document["criteria"] is not None
    if not (document["is_active"] and demands and may_backfill(request.user)):
        return None
    return format_html(
        _('What happened before does not count for {}. <a href="{}">Give it to those who have earned it already</a>.'),
        document["slug"],
        f"{admin_url(template)}#lms-badges-backfill",
    )
