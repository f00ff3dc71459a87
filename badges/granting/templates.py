"""Templates as granting needs them, read from their rows: for awards that no compiled catalog decides."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery

from badges.catalog.expiry import Expiry, expiry_in
from badges.catalog.models import BadgeRequirement, BadgeTemplate, TemplateIssuer, TemplateRevision
from badges.granting.awards import GrantedTemplate


@dataclass(frozen=True, slots=True)
class _Template:
    id: int
    slug: str
    revision_id: int
    award_once: bool
    expiry: Expiry | None
    issuers: list[tuple[str, str, str]] = field(default_factory=list)


def awardable_templates() -> QuerySet[BadgeTemplate]:
    """
    Return the templates whose badges are awarded now.

    A template that demands nothing is never active, and people award it.
    """
    demanded = BadgeRequirement.objects.filter(template=OuterRef("pk"), archived_at=None)
    return BadgeTemplate.objects.filter(Q(is_active=True) | ~Exists(demanded), archived_at=None)


def awardable(template_ids: Collection[int]) -> dict[int, GrantedTemplate]:
    """
    Return those of the templates whose badges are awarded now, by id; two statements, or none.

    A template that is inactive or archived is left out.
    """
    return _read(awardable_templates(), template_ids)


def granted(template_ids: Collection[int]) -> dict[int, GrantedTemplate]:
    """Return templates by id, also those whose badges are not awarded now; two statements, or none."""
    return _read(BadgeTemplate.objects.all(), template_ids)


def _read(templates: QuerySet[BadgeTemplate], template_ids: Collection[int]) -> dict[int, GrantedTemplate]:
    if not template_ids:
        return {}
    newest = TemplateRevision.objects.filter(template=OuterRef("pk")).order_by("-number")
    rows: Sequence[tuple[int, str, bool, int, str]] = list(
        templates.filter(pk__in=template_ids)
        .annotate(newest=Subquery(newest.values("id")[:1]), document=Subquery(newest.values("document")[:1]))
        .order_by()
        .values_list("pk", "slug", "award_once", "newest", "document")
    )
    found = {
        pk: _Template(pk, slug, revision_id, award_once, expiry_in(document))
        for pk, slug, award_once, revision_id, document in rows
    }
    issuers = TemplateIssuer.objects.filter(template__in=found).order_by("provider")
    for template_id, *issuer in issuers.values_list("template_id", "provider", "organization", "external_template"):
        found[template_id].issuers.append((issuer[0], issuer[1], issuer[2]))
    return dict(found)
