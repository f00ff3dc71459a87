"""Progress: the requirements of a template that a learner has fulfilled, their causes, and the open ones."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from badges.admin.decisions import ButtonsMixin
from badges.admin.descriptions import describe_cause, describe_fulfillment_reset, describe_reset
from badges.admin.readonly import ExactSearchMixin, ReadOnlyAdmin, learner_ids_for, template_ids_for
from badges.admin.why import why_address
from badges.api import last_resets, missing_criteria
from badges.catalog.rule_words import describe_rules
from badges.common.admin import format_time, link_to
from badges.common.permissions import may
from badges.explanations import may_explain_everybody
from badges.models import BadgeProgress, Fulfillment, LoggedEvent
from badges.progress.reading import GroupReport, RequirementReport, report, with_reports


class _CompletedFilter(admin.SimpleListFilter):
    title = gettext_lazy("completed")
    parameter_name = "completed"

    def lookups(self, request: Any, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", _("Yes")), ("no", _("No"))]

    def queryset(self, request: Any, queryset: Any) -> Any:
        return queryset if self.value() is None else queryset.filter(completed_at__isnull=self.value() != "yes")


@admin.register(BadgeProgress)
class BadgeProgressAdmin(ButtonsMixin, ExactSearchMixin, ReadOnlyAdmin):
    """Progress of learners, read-only."""

    list_display = ("learner", "template", "state", "created_at", "completed_at")
    list_display_links = ("learner",)
    list_filter = (_CompletedFilter,)
    search_help_text = gettext_lazy(
        "An LMS user id, a username or its beginning, the UUID of a learner, or the slug of a template."
    )
    ordering = ("-pk",)  # ids begin with the learner, so the newest learner is first; an index has this order
    fields = ("badge", "holder", "created_at", "completed_at", "state", "demands", "past")

    def get_queryset(self, request: Any) -> Any:
        rows = super().get_queryset(request).select_related("learner__user", "template")
        return with_reports(rows).prefetch_related("template__live_requirements__rules")

    def buttons(self, request: HttpRequest, row: BadgeProgress) -> list[tuple[str, str]]:
        may_ask = may_explain_everybody(request.user)
        return [(why_address(row.learner, row.template.slug), _("Why?"))] if may_ask else []

    def search_condition(self, term: str) -> Q:
        return Q(learner_id__in=learner_ids_for(term)) | Q(template_id__in=template_ids_for(term))

    @admin.display(description=gettext_lazy("template"))
    def badge(self, progress: BadgeProgress) -> Any:
        return link_to(progress.template)

    @admin.display(description=gettext_lazy("learner"))
    def holder(self, progress: BadgeProgress) -> Any:
        return link_to(progress.learner)

    @admin.display(description=gettext_lazy("state"))
    def state(self, progress: BadgeProgress) -> str:
        found = report(progress)
        return _("%(met)s of %(all)s") % {"met": found.fulfilled, "all": found.total}

    def get_object(self, request: Any, object_id: str, from_field: str | None = None) -> Any:
        """Return a row with its resets; for who may view logged events with what is missing of its document, too."""
        progress = super().get_object(request, object_id, from_field)
        if progress is not None:
            progress.resets = last_resets([progress]).get(progress.pk)
        if progress is not None and may(request.user, "view", LoggedEvent):
            progress.missing = missing_criteria([progress]).get(progress.pk)
        return progress

    @admin.display(description=gettext_lazy("current requirements"))
    def demands(self, progress: BadgeProgress) -> SafeString:
        given = {"missing": getattr(progress, "missing", None), "resets": getattr(progress, "resets", None)}
        groups = report(progress, **given).groups
        items = format_html_join("", "<li>{}</li>", ((_group(group),) for group in groups))
        return format_html('<ul class="lms-badges-requirements">{}</ul>', items)

    @admin.display(description=gettext_lazy("no longer counted"))
    def past(self, progress: BadgeProgress) -> SafeString | str:
        live = {requirement.pk for requirement in progress.template.live_requirements}  # type: ignore[attr-defined]
        related = ("requirement", "revision", "cause_person", "reset_person")
        rows = Fulfillment.objects.filter(progress=progress).select_related(*related)
        gone = [row for row in rows if row.active_key is None or row.requirement_id not in live]
        lines = (
            (row.requirement.key, format_time(row.fulfilled_at), describe_cause(row), describe_fulfillment_reset(row))
            for row in gone
        )
        return format_html_join(SafeString("<br>"), "{}, {} · {} {}", lines) or "-"


def _group(group: GroupReport) -> SafeString:
    state = _("fulfilled") if group.fulfilled else _("open")
    members = format_html_join("", "<li>{}</li>", ((_requirement(requirement),) for requirement in group.requirements))
    if group.name is None:
        title = _("Requirement")
    else:
        title = ngettext("Group %(name)s", "Group %(name)s: one of these is enough", len(group.requirements))
        title %= {"name": group.name}
    return format_html("<strong>{}: {}</strong><ul>{}</ul>", title, state, members)


def _requirement(reported: RequirementReport) -> SafeString:
    requirement, met = reported.requirement, reported.fulfillment
    text = reported.description or describe_rules(requirement.rules.all(), requirement.event_type)
    if reported.reset is not None:
        text = format_html("{}<br>{}", text, describe_reset(reported.reset))
    if met is None:
        missing = format_html_join(
            "", "<br>{}", ((_("Missing: %(what)s") % {"what": it},) for it in reported.missing or ())
        )
        return format_html("{}: {}{}", requirement.key, text, missing)
    return format_html("{}: {}<br>{} · {}", requirement.key, text, format_time(met.fulfilled_at), describe_cause(met))
