"""What a learner holds: certificates and badges, in one format."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Q
from django.utils import timezone

from badges import api as badges
from badges.common.merged_pagination import Entry, Source
from badges.common.permissions import permission
from credentials_config import api
from credentials_config.issuing import documents
from credentials_config.issuing.holdings import CERTIFICATE, address, source_of, state_of
from credentials_config.models import Credential, CredentialStatus

BADGE = "badge"
KINDS = (CERTIFICATE, BADGE)
PERMISSIONS = {CERTIFICATE: permission("view", Credential), BADGE: "lms_badges.view_lms_badges_usercredential"}


def sources(person: badges.Person | None, *, kinds: tuple[str, ...], ended: bool) -> list[Source]:
    """Return the lists of what a person holds; ``ended``: also what they held before."""
    builders = {CERTIFICATE: _certificates, BADGE: _badges}
    return [builders[kind](person, ended) for kind in KINDS if kind in kinds]


def represent(entry: Entry) -> dict[str, Any]:
    """Return the data of an entry, for ``HoldingSerializer``."""
    return represent_certificate(entry.row) if entry.kind == CERTIFICATE else _represent_badge(entry.row)


def represent_certificate(row: Credential, *, now: dt.datetime | None = None) -> dict[str, Any]:
    """Return the data of a scheduled credential, for ``HoldingSerializer``."""
    status = state_of(row, now or timezone.now())
    return {
        "kind": CERTIFICATE,
        "id": row.pk,
        "title": row.configuration.credential_type.name,
        "description": "",
        "image_url": "",
        "status": status,
        "held": status == CredentialStatus.AVAILABLE,
        "issued_at": row.issued_at,
        "expires_at": row.expires_at,
        "certificate": {
            "configuration": row.configuration_id,
            "context_key": row.configuration.context_key,
            "context_name": row.context_name,
            "name": row.learner_name,
            "verification_code": row.verification_code,
            "verify_url": address(lambda: documents.verify_url(row.verification_code)),
            "document_url": address(lambda: api.link_to(row) or ""),
            "reason": row.public_reason,
        },
        "badge": None,
    }


def _represent_badge(row: Any) -> dict[str, Any]:
    now = timezone.now()
    return {
        "kind": BADGE,
        "id": row.pk,
        "title": row.template.name,
        "description": row.template.description,
        "image_url": row.template.image_url,
        "status": row.status_at(now),
        "held": row.status_at(now) == "awarded",
        "issued_at": row.awarded_at,
        "expires_at": row.valid_until,
        "certificate": None,
        "badge": {"uuid": row.template.uuid, "slug": row.template.slug, "reason": row.public_reason},
    }


def _certificates(person: badges.Person | None, ended: bool) -> Source:
    rows = Credential.objects.none() if person is None else api.credentials_of(person)
    return source_of(rows, ended=ended, now=timezone.now())


def _badges(person: badges.Person | None, ended: bool) -> Source:
    rows = badges.credentials_of(person) if person is not None else badges.credentials_of(-1).none()
    if not ended:
        rows = rows.filter(Q(valid_until=None) | Q(valid_until__gt=timezone.now())).exclude(active_key=None)
    return Source(BADGE, rows, "awarded_at")
