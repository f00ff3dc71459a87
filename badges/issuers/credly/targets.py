"""
Where a badge is issued: which organization at Credly, and which template there.

Until Credly is asked, that is what the badge template says now, so that a wrong id can be corrected. While Credly was
asked and the outcome is not known, it is where it was asked.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import F, OuterRef, Subquery

from badges.catalog.models import TemplateIssuer
from badges.exceptions import SharedProblem
from badges.issuers.base import IssuerTarget
from badges.issuers.credly.models import CredlyBadge, CredlyState

SLUG = "credly"

# Of a text that was mistyped. An id is a UUID.
_LONGEST_ID = 60


def of_templates(template_ids: Sequence[int]) -> list[IssuerTarget | SharedProblem]:
    """Return where the badges of templates are issued, or a problem for one that is not issued at Credly."""
    found = TemplateIssuer.objects.filter(template__in=set(template_ids), provider=SLUG)
    by_template = {issuer.template_id: issuer for issuer in found}
    return [_target(by_template.get(template_id), template_id) for template_id in template_ids]


def circuits_of_credentials(credential_ids: Sequence[uuid.UUID]) -> list[Sequence[str]]:
    """Return the circuits of where badges were asked for, or else of where their templates say; one statement."""
    issuers = TemplateIssuer.objects.filter(template=OuterRef("credential__template"), provider=SLUG)
    badges = (
        CredlyBadge.objects.filter(pk__in=credential_ids)
        .annotate(
            template_id=F("credential__template"),
            organization_now=Subquery(issuers.values("organization")[:1]),
            template_now=Subquery(issuers.values("external_template")[:1]),
        )
        .in_bulk()
    )
    return [_circuits_of(badges.get(credential_id)) for credential_id in credential_ids]


def where_asked(badge: CredlyBadge) -> IssuerTarget:
    """Return where Credly was asked for a badge."""
    return IssuerTarget(SLUG, badge.organization, badge.external_template)


def is_bound(badge: CredlyBadge) -> bool:
    """Return whether a badge was asked for somewhere, and is there or may be there."""
    return badge.state not in (CredlyState.CREATED, CredlyState.ERROR)


def template_id(target: IssuerTarget) -> str:
    """Return Credly's id of the template. It becomes part of a filter, so nothing but a UUID will do."""
    try:
        return str(uuid.UUID(target.external_template))
    except ValueError:
        raise SharedProblem(
            f"The Credly template {target.external_template[:50]!r} is no UUID. Correct the issuer of the template; "
            "the badges wait for it.",
            circuit=circuits(target)[1],
        ) from None


def circuits(target: IssuerTarget) -> Sequence[str]:
    """Return the names of the circuits of a target: its organization, and its template there."""
    organization = circuit_of(target.organization)
    return organization, f"{organization}:{_id(target.external_template)}"


def circuit_of(organization: str) -> str:
    """Return the name of an organization's circuit."""
    return f"{SLUG}:{_id(organization)}"


def spellings(external_id: str) -> Sequence[str]:
    """Return how people may have written a UUID."""
    try:
        found = uuid.UUID(external_id)
    except ValueError:
        return (external_id,)
    return str(found), str(found).upper(), found.hex, found.hex.upper()


def _target(issuer: TemplateIssuer | None, template_id: int) -> IssuerTarget | SharedProblem:
    if issuer is None:
        return SharedProblem(
            "The template of this badge is not issued at Credly any more. Add Credly to the issuers of the "
            "template, and the badges that wait are issued; or close their messages.",
            circuit=_circuit_without_issuer(template_id),
        )
    return IssuerTarget(SLUG, issuer.organization, issuer.external_template)


def _circuits_of(badge: Any) -> Sequence[str]:
    """Return the circuits of a badge with the columns of ``circuits_of_credentials``."""
    if badge is None:
        return (SLUG,)
    if is_bound(badge):
        return circuits(where_asked(badge))
    if badge.organization_now is None:
        return SLUG, _circuit_without_issuer(badge.template_id)
    return circuits(IssuerTarget(SLUG, badge.organization_now, badge.template_now))


def _circuit_without_issuer(template_id: int) -> str:
    return f"{SLUG}:template-{template_id}"


def _id(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return text[:_LONGEST_ID]
