"""The JSON that Credly answers with, made from what the stand-in wrote down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from badges.testing.credly.records import AccessToken, Badge, Event, Organization, Template

PER_PAGE = 50


def organization_json(organization: Organization) -> dict[str, Any]:
    """Describe an account; never with its keys."""
    return {
        "id": organization.id,
        "name": organization.name,
        "website_url": "http://www.example.com/",
        "contact_email": "badges@example.com",
        "created_at": time_text(organization.created_at),
    }


def template_json(template: Template) -> dict[str, Any]:
    """Describe a template."""
    return {
        "id": template.id,
        "name": template.name,
        "description": template.description,
        "state": template.state,
        "public": True,
        "allow_duplicate_badges": template.allows_duplicates,
        "image_url": f"https://images.example.com/{template.id}.png",
        "url": f"https://www.example.com/org/stand-in/badge/{template.id}",
        "owner": {"type": "Organization", "id": template.organization_id},
        "created_at": time_text(template.created_at),
        "updated_at": time_text(template.updated_at),
    }


def badge_json(badge: Badge, template: Template | None) -> dict[str, Any]:
    """Describe a badge, with as much of its template as still exists."""
    return {
        "id": badge.id,
        "state": badge.state,
        "public": badge.public,
        "issued_at": time_text(badge.issued_at),
        "issued_to": f"{badge.first_name} {badge.last_name}",
        "issued_to_first_name": badge.first_name,
        "issued_to_last_name": badge.last_name,
        "recipient_email": badge.recipient_email,
        "issuer_earner_id": badge.issuer_earner_id,
        "locale": badge.request.get("locale") or "en",
        "expires_at": badge.expires_at,
        "evidence": badge.request.get("evidence") or [],
        "revocation_reason": badge.revoke_reason,
        "created_at": time_text(badge.created_at),
        "updated_at": time_text(badge.updated_at),
        "state_updated_at": time_text(badge.updated_at),
        "badge_url": f"https://www.example.com/badges/{badge.id}",
        "accept_badge_url": f"https://www.example.com/go/{badge.id}" if badge.state == "pending" else None,
        "badge_template": {
            "id": badge.template_id,
            "name": template.name if template else None,
            "state": template.state if template else None,
        },
        "issuer": {"entities": [{"type": "Organization", "id": badge.organization_id}]},
    }


def event_json(event: Event) -> dict[str, Any]:
    """Describe an event with what it is about."""
    return {**webhook_json(event), "organization": {"id": event.organization_id}, **event.data}


def webhook_json(event: Event) -> dict[str, Any]:
    """Say that something happened, as the webhook does: without what."""
    return {
        "id": event.id,
        "organization_id": event.organization_id,
        "event_type": event.event_type,
        "occurred_at": time_text(event.occurred_at),
    }


def access_token_json(token: AccessToken, *, now: datetime) -> dict[str, Any]:
    """Hand out an OAuth2 access token."""
    return {
        "access_token": token.token,
        "token_type": "Bearer",
        "expires_in": int((token.expires_at - now).total_seconds()),
        "created_at": int(now.timestamp()),
    }


def page_json(rows: Sequence[dict[str, Any]], *, page: int, total: int, address: str) -> dict[str, Any]:
    """One page of a list. ``address`` is that of the list, with everything but the page number."""
    pages = max(1, math.ceil(total / PER_PAGE))

    def url(number: int) -> str | None:
        joint = "&" if "?" in address else "?"
        return f"{address}{joint}page={number}" if 1 <= number <= pages else None

    metadata = {
        "count": len(rows),
        "current_page": page,
        "total_count": total,
        "total_pages": pages,
        "per": PER_PAGE,
        "previous_page_url": url(page - 1),
        "next_page_url": url(page + 1),
    }
    return {"data": list(rows), "metadata": metadata}


def time_text(time: datetime) -> str:
    """Spell a time as Credly does: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
