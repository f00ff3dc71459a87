"""
Where a badge is issued: which organization at Accredible, and which group there.

Until Accredible is asked, that is what the badge template says now, so that a wrong id can be corrected. While
Accredible was asked and the outcome is not known, it is where it was asked.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import F, OuterRef, Subquery

from badges.catalog.models import TemplateIssuer
from badges.exceptions import SharedProblem
from badges.issuers.accredible.models import AccredibleBadge, AccredibleState
from badges.issuers.base import IssuerTarget
from badges.issuers.models import ProviderTemplate

SLUG = "accredible"

# Of a text that was mistyped.
_LONGEST_ID = 100


def of_template(template_id: int) -> IssuerTarget:
    """Return where the badges of a template are issued. Raises SharedProblem when it is not issued at Accredible."""
    issuer = TemplateIssuer.objects.filter(template=template_id, provider=SLUG).first()
    if issuer is None:
        raise SharedProblem(
            "The template of this badge is not issued at Accredible any more. Add Accredible to the issuers of the "
            "template, and the badges that wait are issued; or close their messages.",
            circuit=_circuit_without_issuer(template_id),
        )
    return IssuerTarget(SLUG, issuer.organization, issuer.external_template)


def circuits_of_credentials(credential_ids: Sequence[uuid.UUID]) -> list[Sequence[str]]:
    """Return the circuits of where badges were asked for, or else of where their templates say; one statement."""
    issuers = TemplateIssuer.objects.filter(template=OuterRef("credential__template"), provider=SLUG)
    badges = (
        AccredibleBadge.objects.filter(pk__in=credential_ids)
        .annotate(
            template_id=F("credential__template"),
            organization_now=Subquery(issuers.values("organization")[:1]),
            template_now=Subquery(issuers.values("external_template")[:1]),
        )
        .in_bulk()
    )
    return [_circuits_of(badges.get(credential_id)) for credential_id in credential_ids]


def where_asked(badge: AccredibleBadge) -> IssuerTarget:
    """Return where Accredible was asked for a badge."""
    return IssuerTarget(SLUG, badge.organization, badge.external_template)


def is_bound(badge: AccredibleBadge) -> bool:
    """Return whether a badge was asked for somewhere, and is there or may be there."""
    return badge.state not in (AccredibleState.CREATED, AccredibleState.ERROR)


def group_of(target: IssuerTarget) -> str:
    """Return Accredible's id of the group. It becomes part of addresses, so nothing but a number will do."""
    if not re.fullmatch(r"[0-9]{1,18}", target.external_template):
        raise SharedProblem(
            f"The Accredible group {target.external_template[:50]!r} is no number. Correct the issuer of the template; "
            "the badges wait for it.",
            circuit=circuits(target)[1],
        )
    return str(int(target.external_template))


def circuits(target: IssuerTarget) -> Sequence[str]:
    """Return the names of the circuits of a target: its organization, and its group there."""
    organization = circuit_of(target.organization)
    return organization, f"{organization}:{target.external_template[:_LONGEST_ID]}"


def circuit_of(organization: str) -> str:
    """Return the name of an organization's circuit."""
    return f"{SLUG}:{organization[:_LONGEST_ID]}"


def _circuit_without_issuer(template_id: int) -> str:
    # No organization has an empty slug.
    return f"{SLUG}::template-{template_id}"


def _circuits_of(badge: Any) -> Sequence[str]:
    """Return the circuits of a badge that was loaded with where its template says."""
    if badge is None:
        return (SLUG,)
    if is_bound(badge):
        return circuits(where_asked(badge))
    if badge.organization_now is None:
        return SLUG, _circuit_without_issuer(badge.template_id)
    return circuits(IssuerTarget(SLUG, badge.organization_now, badge.template_now))


def is_known(organization: str, group: str) -> bool:
    """Return whether a group was seen at Accredible before, or templates name it; two statements at most."""
    seen = ProviderTemplate.objects.filter(provider=SLUG, organization=organization, external_id=group)
    named = TemplateIssuer.objects.filter(provider=SLUG, organization=organization, external_template=group)
    return seen.exists() or named.exists()
