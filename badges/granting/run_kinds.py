"""
The kind ``issue_to_holders`` of runs: issue a template's badges at its providers to those who hold them already.

A provider that is added to a template is asked for the badges that are awarded from then on. This is for those that
were awarded before.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy

from badges.awarding.models import UserCredential, held
from badges.catalog.models import TemplateIssuer
from badges.exceptions import Permanent
from badges.issuers import registry
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.runs.kinds import Job, RunKind, Step

KIND = "issue_to_holders"
CREDENTIALS_PER_STEP = 500


class IssueToHolders(RunKind):
    """
    Writes the provider's row and the outbox message for each held credential without them.

    The parameter ``template`` is the slug of a template. Its providers are those that it has when a step is done.
    Repeating it does nothing to those who have been dealt with.
    """

    label = gettext_lazy("issue at providers to those who hold the badge")

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        slug = parameters.get("template")
        if not isinstance(slug, str) or not TemplateIssuer.objects.filter(template__slug=slug).exists():
            raise Permanent("template: there is no template with this slug that is issued at a provider.")
        unknown = sorted(parameters.keys() - {"template", "provider"})
        if unknown:
            raise Permanent(
                f"{unknown[0]}: there is no such parameter. Give the slug of a template as 'template', and that of a "
                "provider as 'provider', if you like."
            )
        provider = parameters.get("provider")
        if provider is None:
            return {"template": slug}
        if not isinstance(provider, str) or not issuers_of(slug, provider).exists():
            raise Permanent("provider: the template is not issued there. Add the provider to its issuers first.")
        return {"template": slug, "provider": provider}

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters["template"])

    def total(self, job: Job) -> int:
        return _held(job).count()

    def plan(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=True)

    def apply(self, job: Job) -> Iterator[Step]:
        yield from self._steps(job, is_plan=False)

    def _steps(self, job: Job, *, is_plan: bool) -> Iterator[Step]:
        last = uuid.UUID(job.cursor) if job.cursor else None
        while credentials := list(_after(_held(job), last)[:CREDENTIALS_PER_STEP]):
            last = credentials[-1].pk
            work = partial(_issue, job.parameters, credentials, job.clock, is_plan)
            yield Step(cursor=str(last), done=len(credentials), work=work)


def _held(job: Job) -> QuerySet[UserCredential]:
    found = UserCredential.objects.filter(held(job.now), template__slug=job.parameters["template"])
    return found.order_by("pk")


def _after(credentials: QuerySet[UserCredential], last: uuid.UUID | None) -> QuerySet[UserCredential]:
    return credentials if last is None else credentials.filter(pk__gt=last)


def issuers_of(slug: str, provider: str | None = None) -> QuerySet[TemplateIssuer]:
    """Return the query for the issuers of a template, or for the one at a provider."""
    found = TemplateIssuer.objects.filter(template__slug=slug).order_by("provider")
    return found if provider is None else found.filter(provider=provider)


def _issue(
    parameters: Mapping[str, Any], credentials: Sequence[UserCredential], clock: Any, is_plan: bool
) -> dict[str, int]:
    """Write what is missing for these credentials, or only count it; return the numbers by name."""
    now: dt.datetime = clock()
    counts: dict[str, int] = {}
    issuers = issuers_of(parameters["template"], parameters.get("provider"))
    for target in issuers.values_list("provider", "organization", "external_template"):
        provider = target[0]
        known = registry.get(provider).issued([credential.pk for credential in credentials])
        missing = [credential for credential in credentials if credential.pk not in known]
        words = f"to be issued at {provider}"
        counts[words] = len(missing)
        if is_plan or not missing:
            continue
        # A credential that is revoked meanwhile is not issued: its issuer looks at it again before it asks.
        registry.prepare((credential, target) for credential in missing)
        # Somebody may have issued it there by hand since.
        registry.get(provider).look_up_first([credential.pk for credential in missing])
        mailbox.post(
            (
                NewMessage(
                    channel=provider,
                    key=str(credential.learner_template_id),
                    type="issue",
                    payload={"credential": str(credential.pk)},
                )
                for credential in missing
            ),
            now=now,
        )
    return counts
