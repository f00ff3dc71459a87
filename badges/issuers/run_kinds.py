"""
The kinds of runs that ask a provider for what it has: ``sync_badge_templates`` and ``sweep_provider_events``.

A page of the provider's list is a step. So a run that is killed or cancelled goes on with the next page, and one that
is repeated changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext_lazy

from badges.catalog.models import TemplateIssuer
from badges.exceptions import Permanent
from badges.issuers import registry, webhooks
from badges.issuers.base import Issuer, TemplateFact
from badges.issuers.facts import write_facts
from badges.issuers.models import ProviderOrganization, TemplateState
from badges.issuers.templates import of_organization, plan_templates, write_templates
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import RunMode

SYNC = "sync_badge_templates"
SWEEP = "sweep_provider_events"

# After so many pages a list counts as endless.
MOST_PAGES = 2000

# Templates that are looked up one by one in one step.
LOOKED_UP = 25

# So much of what was read before is read again: events may appear in the list a little late.
OVERLAP = dt.timedelta(hours=1)

# From so many templates on it is no accident that the provider has none of them.
SUSPICIOUS = 3

WRONG_ACCOUNT = (
    "{provider} has none of the {number} templates that were there before. Is this the right account, and the right "
    "one of production and sandbox? If they were all deleted, archive the templates here."
)


class ProviderRun(RunKind):
    """A run about an organization: the parameters ``provider`` and ``organization``."""

    result_names_people = False

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        for name in ("provider", "organization"):
            if not isinstance(parameters.get(name), str) or not parameters[name]:
                raise Permanent(f"{name}: this is missing. Give the slug of the provider and the organization's id.")
        unknown = sorted(parameters.keys() - {"provider", "organization"})
        if unknown:
            raise Permanent(f"{unknown[0]}: there is no such parameter. Give 'provider' and 'organization'.")
        issuer, organization = webhooks.known_organization(parameters["provider"], parameters["organization"])
        self.check_issuer(issuer)
        return {"provider": issuer.slug, "organization": organization}

    def check_issuer(self, issuer: Issuer) -> None:
        """Raise Permanent when the provider has no such list."""

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return f"{parameters['provider']}/{parameters['organization']}"


@dataclass(frozen=True, slots=True)
class _SyncCursor:
    """
    Where a sync goes on.

    ``page`` is the provider's cursor of the next page, ``pages`` how many were read, ``known`` how many templates on
    them were known before. ``after`` is None while pages are read; then the id of the last copy that was looked up.
    """

    page: Any = None
    pages: int = 0
    known: int = 0
    after: int | None = None


class SyncTemplates(ProviderRun):
    """
    Reads all templates of an organization, and lets those here follow.

    Those that the list does not have any more are looked up one by one: a list may shift while it is read.
    """

    label = gettext_lazy("sync the templates of a provider")

    def check_issuer(self, issuer: Issuer) -> None:
        if not issuer.can_sync:
            raise Permanent(f"provider: {issuer.slug} has no list of templates that is understood here.")

    def plan(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=True)

    def apply(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=False)

    def _steps(self, job: Job, *, is_plan: bool) -> Iterator[Step]:
        issuer, organization = registry.get(job.parameters["provider"]), job.parameters["organization"]
        cursor = _SyncCursor(**(job.cursor or {}))
        copies = of_organization(issuer.slug, organization)
        before = _of_last_sync(copies, issuer, organization)
        while cursor.after is None:
            if cursor.pages >= MOST_PAGES:
                raise Permanent(f"The list of templates of {issuer.slug} does not end. Tell its administrator.")
            page = issuer.template_page(organization, cursor.page)
            known = before.filter(external_id__in={fact.id for fact in page.templates}).count()
            cursor = _SyncCursor(
                page.cursor, cursor.pages + 1, cursor.known + known, after=0 if page.cursor is None else None
            )
            work = partial(self._write, issuer, organization, page.templates, job, is_plan)
            yield Step(cursor=asdict(cursor), done=len(page.templates), work=work)
        unseen = copies.filter(Q(seen_in=None) | ~Q(seen_in=job.run_id)).exclude(state=TemplateState.GONE)
        missing = unseen.filter(pk__gt=cursor.after).order_by("pk")
        if cursor.after == 0 and not cursor.known:
            in_use = _in_use(issuer, organization)
            lost = before.filter(pk__in=missing.values("pk")).values_list("external_id", flat=True)
            number = sum(external_id in in_use for external_id in lost)
            if number >= SUSPICIOUS:
                raise Permanent(WRONG_ACCOUNT.format(provider=issuer.slug, number=number))
        while chunk := list(missing.filter(pk__gt=cursor.after)[:LOOKED_UP]):
            facts = [issuer.template(organization, copy.external_id) for copy in chunk]
            cursor = _SyncCursor(None, cursor.pages, cursor.known, after=chunk[-1].pk)
            work = partial(self._write, issuer, organization, facts, job, is_plan)
            yield Step(cursor=asdict(cursor), done=len(chunk), work=work)
        if not is_plan:
            yield Step(cursor=asdict(cursor), work=partial(_note, issuer, organization, synced_at=job.clock()))

    def _write(
        self, issuer: Issuer, organization: str, facts: Sequence[TemplateFact], job: Job, is_plan: bool
    ) -> dict[str, int]:
        if is_plan:
            planned = plan_templates(issuer, organization, facts, now=job.clock(), seen_in=job.run_id)
            return {f"would be {outcome}": number for outcome, number in planned.items()}
        return dict(write_templates(issuer, organization, facts, now=job.clock(), seen_in=job.run_id))


class SweepEvents(ProviderRun):
    """Reads the events of an organization since the last sweep, and writes what webhooks may have missed."""

    label = gettext_lazy("read the events of a provider")
    modes = (RunMode.APPLY,)

    def check_issuer(self, issuer: Issuer) -> None:
        if not issuer.can_sweep:
            raise Permanent(f"provider: {issuer.slug} has no list of events that is understood here.")

    def apply(self, job: Job) -> Iterator[Step]:
        issuer, organization = registry.get(job.parameters["provider"]), job.parameters["organization"]
        cursor = job.cursor or {"page": None, "pages": 0, "newest": None, "since": None, "ended": False}
        if cursor["since"] is None:
            webhooks.note_organizations([(issuer.slug, organization)], now=job.now)
            row = ProviderOrganization.objects.get(provider=issuer.slug, organization=organization)
            cursor["since"] = ((row.swept_until or job.now) - OVERLAP).isoformat()
        since = dt.datetime.fromisoformat(cursor["since"])
        while not cursor["ended"]:
            if cursor["pages"] >= MOST_PAGES:
                raise Permanent(f"The list of events of {issuer.slug} does not end. Tell its administrator.")
            page = issuer.event_page(organization, since, cursor["page"])
            newest = max(filter(None, [cursor["newest"], page.newest and page.newest.isoformat()]), default=None)
            cursor = {
                **cursor,
                "page": page.cursor,
                "pages": cursor["pages"] + 1,
                "newest": newest,
                "ended": page.cursor is None,
            }
            work = partial(self._write, issuer, organization, page.facts, job)
            yield Step(cursor=cursor, done=len(page.facts), work=work)
        until = {"swept_until": dt.datetime.fromisoformat(cursor["newest"])} if cursor["newest"] else {}
        yield Step(cursor=cursor, work=partial(_note, issuer, organization, swept_at=job.clock(), **until))

    def _write(self, issuer: Issuer, organization: str, facts: Any, job: Job) -> dict[str, int]:
        return dict(write_facts(issuer, organization, facts, now=job.clock()))


def _of_last_sync(copies: Any, issuer: Issuer, organization: str) -> Any:
    """
    Return the query for those copies that were there when the last sync ended; for all if there was none.

    A sync of a wrong account fails after it has written that account's templates. Those say nothing about the account.
    """
    row = ProviderOrganization.objects.filter(provider=issuer.slug, organization=organization).first()
    return copies.filter(created_at__lte=row.synced_at) if row and row.synced_at else copies


def _in_use(issuer: Issuer, organization: str) -> set[str]:
    """Return the ids there of the templates that templates of ours name which are not archived."""
    rows = TemplateIssuer.objects.filter(
        provider=issuer.slug, organization__in=issuer.spellings(organization), template__archived_at=None
    )
    named = rows.order_by().values_list("external_template", flat=True)
    return {spelling for each in named for spelling in issuer.spellings(each)}


def _note(issuer: Issuer, organization: str, **columns: Any) -> None:
    """Write when an organization was asked."""
    webhooks.note_organizations([(issuer.slug, organization)])
    ProviderOrganization.objects.filter(provider=issuer.slug, organization=organization).update(**columns)
