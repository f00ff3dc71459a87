"""
The kind ``reconcile_provider`` of runs: compares what is written here with what a provider has, template by template.

All badges of a template are read before anything is written: only then it is known what is missing. So a template is
one step, and a run that is killed goes on with the template that it was at. Repairs are messages of the outbox and new
states of rows. Whoever delivers a message looks at the badge anew, so a difference that is gone by then does no harm.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, TypeVar

from django.db.models import Q
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext_lazy

from badges.awarding.models import CredentialStatus, UserCredential, held
from badges.catalog.models import BadgeTemplate, TemplateIssuer
from badges.common.csv_text import as_text
from badges.common.http import NotFound, Refused
from badges.exceptions import Permanent
from badges.inserts import insert
from badges.issuers import registry
from badges.issuers.base import BadgeFact, Issuer, IssuerTarget, KnownBadge, ListedBadge
from badges.issuers.differences import Finding, HeldHere, Repair, are_all_gone, of_known, of_others
from badges.issuers.models import Difference, ProviderDifference, TemplateState
from badges.issuers.run_kinds import LOOKED_UP, MOST_PAGES, SUSPICIOUS, ProviderRun
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage, OutboxState
from badges.runs.kinds import Job, Step
from badges.runs.models import Run

T = TypeVar("T")

KIND = "reconcile_provider"
CHUNK = 500

# The states of rows whose badge is not at the provider yet. They are called so at every provider.
UNISSUED = frozenset({"created", "no_response", "error"})


_RETIRED = Q(learner__user=None, learner__lms_user_id=None)


@dataclass(frozen=True, slots=True)
class _ComparedTemplate:
    """A template at a provider, and the templates of ours that are issued there."""

    issuer: Issuer
    organization: str
    external_template: str

    def ours(self) -> Any:
        return BadgeTemplate.objects.filter(
            issuers__provider=self.issuer.slug,
            issuers__organization__in=self.issuer.spellings(self.organization),
            issuers__external_template__in=self.issuer.spellings(self.external_template),
        )


class Reconcile(ProviderRun):
    """
    Finds the differences between an organization at a provider and what is written here, and repairs them if applied.

    The parameter ``reissue_all`` says that badges are issued anew also where the provider has none of a template's.
    """

    label = gettext_lazy("reconcile with a provider")

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        given = dict(parameters)
        reissue_all = given.pop("reissue_all", False)
        if not isinstance(reissue_all, bool):
            raise Permanent("reissue_all: write true or false.")
        return {**super().check(given), "reissue_all": reissue_all}

    def check_issuer(self, issuer: Issuer) -> None:
        if not issuer.can_reconcile:
            raise Permanent(f"provider: {issuer.slug} has no list of badges that is understood here.")

    def plan(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=True)

    def apply(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=False)

    def result(self, job: Job) -> tuple[str, bytes]:
        """Return a CSV file with all differences."""
        mode = Run.objects.values_list("mode", flat=True).get(pk=job.run_id)
        return f"reconcile-{job.parameters['provider']}-{mode}.csv", as_csv(job.run_id)

    def page(self, run_id: uuid.UUID) -> str | None:
        """Return the admin page of the differences that a run has found."""
        with suppress(NoReverseMatch):  # the host has no admin
            return f"{reverse('admin:lms_badges_providerdifference_changelist')}?run={run_id}"
        return None

    def _steps(self, job: Job, *, is_plan: bool) -> Iterator[Step]:
        issuer, organization = registry.get(job.parameters["provider"]), job.parameters["organization"]
        cursor = job.cursor
        for external_template in _templates(issuer, organization):
            if cursor is not None and external_template <= cursor:
                continue
            compared = _ComparedTemplate(issuer, organization, external_template)
            # Before the first page: what a webhook tells meanwhile is newer than the list.
            asked_at = job.clock()
            found: list[Finding] = []
            listed: dict[str, ListedBadge] = {}
            for number in _compare(compared, job, listed, found):
                # Keeps the lease, and shows how far it is.
                yield Step(cursor=cursor, done=number)
            cursor = external_template
            yield Step(cursor=cursor, work=partial(_write, compared, listed, found, job, asked_at, is_plan))


def _templates(issuer: Issuer, organization: str) -> list[str]:
    """Return the templates at the provider that are of interest here, each in one spelling, in their order."""
    named = TemplateIssuer.objects.filter(provider=issuer.slug, organization__in=issuer.spellings(organization))
    ids = chain(named.order_by().values_list("external_template", flat=True), issuer.templates_of_badges(organization))
    return sorted({issuer.spellings(each)[0] for each in ids if each})


def _compare(
    compared: _ComparedTemplate, job: Job, listed: dict[str, ListedBadge], found: list[Finding]
) -> Iterator[int]:
    """Fill ``listed`` and ``found``; yield after each request how many badges it has told of."""
    issuer = compared.issuer
    try:
        yield from _listed(compared, listed)
        found += _names(compared)
    except NotFound:
        pass  # the template is not there, and so no badge is
    except Refused:
        raise
    except Permanent as error:  # the id of the template is none: nothing can be asked
        found.append(Finding(Difference.MISSING_THERE, "template", str(error)[:255], external_id=""))
        return
    known = issuer.known_badges(compared.organization, compared.external_template)
    statuses = _statuses([badge.credential_id for badge in known], job.now)
    # A list may shift while it is read.
    missing = [
        badge
        for badge in known
        if badge.external_id not in listed and statuses.get(badge.credential_id) == CredentialStatus.AWARDED
    ]
    are_suspicious = False
    for chunk in _chunks(missing, LOOKED_UP):
        for badge in chunk:
            if there := issuer.badge(compared.organization, badge.external_id):
                listed[badge.external_id] = there
        yield 0
        are_suspicious = are_all_gone(known, listed, suspicious=SUSPICIOUS) and not job.parameters["reissue_all"]
        if are_suspicious:
            break
    findings = of_known(known, listed, statuses, issuer.state_here, issuer.ended_states)
    found += [_left(finding) if are_suspicious else finding for finding in findings]
    found += of_others(list(_held(compared, known, job.now)), {badge.external_id for badge in known}, listed)


def _listed(compared: _ComparedTemplate, listed: dict[str, ListedBadge]) -> Iterator[int]:
    cursor = None
    for _ in range(MOST_PAGES):
        page = compared.issuer.badge_page(compared.organization, compared.external_template, cursor)
        listed |= {badge.id: badge for badge in page.badges}
        yield len(page.badges)
        cursor = page.cursor
        if cursor is None:
            return
    raise Permanent(f"The list of badges of {compared.issuer.slug} does not end. Tell its administrator.")


def _names(compared: _ComparedTemplate) -> Iterator[Finding]:
    """Yield a difference for each template of ours that is called otherwise at the provider."""
    if not compared.issuer.can_sync:
        return
    fact = compared.issuer.template(compared.organization, compared.external_template)
    for name in compared.ours().order_by("pk").values_list("name", flat=True):
        if fact.state != TemplateState.GONE and fact.name and fact.name != name:
            yield Finding(Difference.OTHER_NAME, name[:255], fact.name[:255])


def _statuses(credential_ids: Sequence[uuid.UUID], now: dt.datetime) -> dict[uuid.UUID, str]:
    """Return the statuses of credentials; those of retired people have none, because nothing is issued to them."""
    found: dict[uuid.UUID, str] = {}
    for chunk in _chunks(credential_ids, CHUNK):
        rows = UserCredential.objects.filter(pk__in=chunk).exclude(_RETIRED)
        found |= {credential.pk: credential.status_at(now) for credential in rows}
    return found


def _held(compared: _ComparedTemplate, known: Sequence[KnownBadge], now: dt.datetime) -> Iterator[HeldHere]:
    """Yield the credentials of the template that are held, and have no badge there by what is written here."""
    ids = {badge.credential_id for badge in known}
    rows = UserCredential.objects.filter(held(now), template__in=compared.ours()).exclude(_RETIRED)
    rows = rows.select_related("learner").order_by("pk")
    last: uuid.UUID | None = None
    while chunk := list((rows if last is None else rows.filter(pk__gt=last))[:CHUNK]):
        last = chunk[-1].pk
        unknown = [credential for credential in chunk if credential.pk not in ids]
        issued = compared.issuer.issued([credential.pk for credential in unknown])
        is_open = _keys_with_open_messages(compared.issuer.slug, unknown)
        for credential in unknown:
            row = issued.get(credential.pk)
            # What was deleted or has ended at the provider is as written here, and is not issued anew.
            if row is None or row.state in UNISSUED:
                yield HeldHere(
                    credential.pk,
                    str(credential.learner.uuid),
                    row.state if row else "",
                    str(credential.learner_template_id) in is_open,
                )


def _keys_with_open_messages(provider: str, credentials: Sequence[UserCredential]) -> set[str]:
    keys = [str(credential.learner_template_id) for credential in credentials]
    rows = OutboxMessage.objects.filter(channel=provider, key__in=keys, type="issue")
    return set(rows.filter(Q(state=OutboxState.PENDING) | Q(state=OutboxState.DEAD)).values_list("key", flat=True))


def _left(finding: Finding) -> Finding:
    """Return a difference that is not repaired."""
    return Finding(
        finding.difference,
        finding.here,
        finding.there,
        Repair.NOTHING,
        finding.credential_id,
        finding.external_id,
    )


def _chunks(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# --- the work of a step ----------------------------------------------------------------------------------------------


def _write(
    compared: _ComparedTemplate,
    listed: Mapping[str, ListedBadge],
    found: Sequence[Finding],
    job: Job,
    asked_at: dt.datetime,
    is_plan: bool,
) -> dict[str, int]:
    """Write the differences of a template, repair them unless it is a plan, and return the numbers."""
    repairable = [finding for finding in found if finding.repair is not Repair.NOTHING]
    if not is_plan:
        _repair(compared, listed, repairable, asked_at=asked_at, now=job.clock())
    insert(
        ProviderDifference(
            run_id=job.run_id,
            organization=compared.organization,
            external_template=compared.external_template,
            difference=finding.difference,
            credential_id=finding.credential_id,
            external_id=finding.external_id,
            here=finding.here,
            there=finding.there,
            is_repaired=not is_plan and finding.repair is not Repair.NOTHING,
        )
        for finding in found
    )
    counts = Counter(str(Difference(finding.difference).value).replace("_", " ") for finding in found)
    counts["would be repaired" if is_plan else "repaired"] = len(repairable)
    return dict(+counts)


def _repair(
    compared: _ComparedTemplate,
    listed: Mapping[str, ListedBadge],
    found: Sequence[Finding],
    *,
    asked_at: dt.datetime,
    now: dt.datetime,
) -> None:
    issuer = compared.issuer
    by_repair: dict[Repair, list[Finding]] = {repair: [] for repair in Repair}
    for finding in found:
        by_repair[finding.repair].append(finding)
    told = [listed[finding.external_id] for finding in by_repair[Repair.WRITE_STATE]]
    if told:
        facts = [BadgeFact(badge.id, badge.state, badge.state_at or asked_at) for badge in told]
        issuer.write_badges(compared.organization, facts, now=now)
    for chunk in _chunks([listed[finding.external_id] for finding in by_repair[Repair.REVOKE]], CHUNK):
        issuer.write_held(compared.organization, chunk, at=asked_at)
    gone = by_repair[Repair.ISSUE_ANEW]
    for of_chunk in _chunks(gone, CHUNK):
        issuer.reset([KnownBadge(_id(each), each.external_id, each.here) for each in of_chunk])
    to_issue = [_id(each) for each in by_repair[Repair.ISSUE]]
    to_revoke = [_id(each) for each in by_repair[Repair.REVOKE]] if issuer.can_revoke else []
    _prepare_missing(compared, [_id(each) for each in by_repair[Repair.ISSUE] if not each.here])
    for ids in _chunks(to_issue, CHUNK):
        issuer.look_up_first(ids)
    to_issue = [_id(each) for each in gone] + to_issue
    mailbox.post(chain(_messages(issuer.slug, "issue", to_issue), _messages(issuer.slug, "revoke", to_revoke)), now=now)


def _prepare_missing(compared: _ComparedTemplate, credential_ids: Sequence[uuid.UUID]) -> None:
    """Write the provider's rows of credentials that have none."""
    target = IssuerTarget(compared.issuer.slug, compared.organization, compared.external_template)
    for chunk in _chunks(credential_ids, CHUNK):
        there = compared.issuer.issued(chunk)
        credentials = UserCredential.objects.filter(pk__in=[each for each in chunk if each not in there])
        registry.prepare((credential, target) for credential in credentials)


def _messages(provider: str, what: str, credential_ids: Sequence[uuid.UUID]) -> Iterator[NewMessage]:
    for chunk in _chunks(credential_ids, CHUNK):
        rows = UserCredential.objects.filter(pk__in=chunk).order_by("pk")
        for pk, key in rows.values_list("pk", "learner_template_id"):
            yield NewMessage(channel=provider, key=str(key), type=what, payload={"credential": str(pk)})


def _id(finding: Finding) -> uuid.UUID:
    assert finding.credential_id is not None
    return finding.credential_id


# --- for people ------------------------------------------------------------------------------------------------------

COLUMNS = ("difference", "template there", "credential", "id there", "here", "there", "repaired")


def rows_of(run_id: uuid.UUID) -> Iterator[tuple[str, ...]]:
    """Yield the differences that a run has found, as texts in the order of ``COLUMNS``."""
    for row in ProviderDifference.objects.filter(run=run_id).order_by("pk").iterator(2000):
        yield (
            row.difference.replace("_", " "),
            row.external_template,
            str(row.credential_id or ""),
            row.external_id,
            row.here,
            row.there,
            "yes" if row.is_repaired else "no",
        )


def as_csv(run_id: uuid.UUID) -> bytes:
    """Return the differences that a run has found as a CSV file."""
    text = io.StringIO()
    # Names of templates come from elsewhere.
    csv.writer(text).writerows([as_text(each) for each in row] for row in (COLUMNS, *rows_of(run_id)))
    return text.getvalue().encode()
