"""
What the page of a learner shows of other tables: credentials, progress and deliveries, with what staff can do about it.

Each section shows the newest rows and leads to the list of all. Its number of statements does not depend on the number
of rows. Who may not view a table does not see its section.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from badges.admin.decisions import may_revoke
from badges.admin.descriptions import describe_cause, describe_issued, describe_waiting
from badges.admin.why import why_link
from badges.common.admin import admin_url, format_time, link_to, link_to_list
from badges.common.permissions import may
from badges.issuers import registry
from badges.models import BadgeProgress, CredentialStatus, Learner, OutboxMessage, OutboxState, UserCredential
from badges.progress.reading import report, with_reports

NEWEST = 20
# The deliveries of so many credentials are looked for, the newest ones.
MOST_CREDENTIALS = 500

LINES = SafeString("<br>")


@dataclass(frozen=True, slots=True)
class Section:
    """A table on the page of a learner. ``rows`` have a cell for each heading; ``all_rows`` leads to the list."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]
    all_rows: SafeString


def sections_of(learner: Learner, request: HttpRequest) -> list[Section]:
    """Return what somebody may see of a learner."""
    known: dict[Any, Callable[[Learner, Any], Section]] = {
        UserCredential: _credentials,
        BadgeProgress: _progress,
        OutboxMessage: _deliveries,
    }
    return [make(learner, request.user) for model, make in known.items() if may(request.user, "view", model)]


def _credentials(learner: Learner, user: Any) -> Section:
    related = ("template", "revision", "cause_person")
    rows = UserCredential.objects.filter(learner=learner).select_related(*related).order_by("-awarded_at", "-pk")
    newest, now = list(rows[:NEWEST]), timezone.now()
    issued = registry.issued([row.pk for row in newest])

    def actions(row: UserCredential) -> SafeString | str:
        if not may_revoke(user):
            return ""
        if row.status_at(now) == CredentialStatus.AWARDED:
            return _button("usercredential_revoke", row.pk, _("Revoke"))
        return _button("usercredential_lift_block", row.pk, _("Lift block")) if row.blocked else ""

    cells = [
        (
            link_to(row, row.template.name),
            CredentialStatus(row.status_at(now)).label,
            format_time(row.awarded_at),
            describe_cause(row),
            format_html_join(LINES, "{}", ((describe_issued(badge),) for badge in issued.get(row.pk, []))) or "-",
            actions(row),
            why_link(user, learner, row.template.slug),
        )
        for row in newest
    ]
    headings = [_("badge"), _("status"), _("awarded"), _("cause"), _("at the providers"), _("actions"), _("explained")]
    every = link_to_list(UserCredential, _("All credentials of this learner"), learner__id__exact=learner.pk)
    return Section(_("Credentials"), headings, cells, every)


def _progress(learner: Learner, user: Any) -> Section:
    rows = with_reports(BadgeProgress.objects.filter(learner=learner).select_related("template"))
    cells = []
    for row in rows.order_by("-created_at", "-pk")[:NEWEST]:
        found = report(row)
        still_open = [
            requirement.requirement.key
            for group in found.groups
            if not group.fulfilled
            for requirement in group.requirements
        ]
        state = _("%(met)s of %(all)s") % {"met": found.fulfilled, "all": found.total}
        cells.append(
            (
                link_to(row, row.template.name),
                state,
                ", ".join(still_open) or "-",
                format_time(row.created_at),
                why_link(user, learner, row.template.slug),
            )
        )
    headings = [_("badge"), _("fulfilled"), _("open requirements"), _("begun"), _("explained")]
    every = link_to_list(BadgeProgress, _("All progress of this learner"), learner__id__exact=learner.pk)
    return Section(_("Progress"), headings, cells, every)


def _deliveries(learner: Learner, user: Any) -> Section:
    held = UserCredential.objects.filter(learner=learner).order_by("-awarded_at")
    badges = held.values_list("learner_template_id", flat=True)[:MOST_CREDENTIALS]
    rows = OutboxMessage.objects.filter(Q(key__in=[str(learner.pk), *map(str, badges)])).order_by("-pk")[:NEWEST]
    now, may_retry = timezone.now(), may(user, "retry", OutboxMessage)

    def actions(row: OutboxMessage) -> SafeString | str:
        is_open = row.state in (OutboxState.PENDING, OutboxState.DEAD)
        return _button("outboxmessage_retry", row.pk, _("Try again now")) if is_open and may_retry else ""

    cells = [
        (
            format_html('<a href="{}">{} · {}</a>', admin_url(row), row.channel, row.type),
            OutboxState(row.state).label,
            describe_waiting(row, now=now),
            row.last_error or "-",
            format_time(row.created_at),
            actions(row),
        )
        for row in rows
    ]
    headings = [_("what"), _("state"), _("waits for"), _("last error"), _("created"), _("actions")]
    every = link_to_list(OutboxMessage, _("All deliveries of this learner"), q=learner.uuid)
    return Section(_("Deliveries"), headings, cells, every)


def _button(name: str, pk: Any, text: str) -> SafeString:
    return format_html('<a class="button" href="{}">{}</a>', reverse(f"admin:lms_badges_{name}", args=[pk]), text)
