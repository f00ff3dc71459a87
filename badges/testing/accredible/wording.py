"""The JSON that Accredible answers with, made from what the stand-in wrote down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from badges.testing.accredible.records import Credential, Event, Group, Organization

PER_PAGE = 50


def organization_json(organization: Organization) -> dict[str, Any]:
    """Describe an account; never with its key."""
    return {
        "id": organization.id,
        "name": organization.name,
        "email": "badges@example.com",
        "certificate_left": 100 if organization.credits is None else organization.credits,
        "language": "en",
        "url": "http://www.example.com",
    }


def group_json(group: Group) -> dict[str, Any]:
    """Describe a group."""
    return {
        "id": group.id,
        "name": group.name,
        "course_name": group.course_name or None,
        "course_description": group.description,
        "course_link": "http://www.example.com",
        "language": "en",
        "design_id": group.id + 1,
        "badge_design_id": group.id + 1,
        "certificate_design_id": None,
        "department_id": 123,
        "meta_data": None,
        "created_at": time_text(group.created_at),
        "updated_at": time_text(group.updated_at),
    }


def design_json(design_id: int) -> dict[str, Any]:
    """Describe a design, of which groups have one each."""
    return {
        "id": design_id,
        "name": f"Design {design_id}",
        "kind": "badge",
        "rasterized_content_url": f"https://images.example.com/{design_id}.png",
    }


def credential_json(credential: Credential, group: Group | None) -> dict[str, Any]:
    """Describe a credential in full."""
    return {
        **listed_json(credential, group),
        "id": str(credential.id),
        "approve": credential.approve,
        "group_id": credential.group_id,
        "url": f"https://www.example.com/{credential.id}",
        "encoded_id": str(credential.id),
        "evidence_items": [],
        "references": [],
    }


def listed_json(credential: Credential, group: Group | None) -> dict[str, Any]:
    """Describe a credential as lists do: without its group's id, its address, and whether it is published."""
    return {
        "id": credential.id,
        "name": credential.name,
        "description": group.description if group else None,
        "grade": None,
        "complete": credential.complete,
        "issued_on": credential.issued_on,
        "expired_on": credential.expired_on,
        "group_name": group.name if group else None,
        "private": False,
        "encoded_id": f"x{credential.id}",
        "recipient": {
            "name": credential.recipient_name,
            "email": credential.recipient_email,
            "id": credential.recipient_id,
            "meta_data": None,
        },
        "issuer": {"name": "Stand-in Academy", "id": credential.organization_id},
        "meta_data": credential.meta_data or None,
    }


def webhook_json(event: Event) -> dict[str, Any]:
    """Say that something happened to a credential, without the address of its recipient."""
    return {"event_type": event.event_type, "occurred_at": time_text(event.occurred_at), "data": event.data}


def page_json(name: str, rows: Sequence[dict[str, Any]], *, page: int, size: int, total: int) -> dict[str, Any]:
    """Give one page of a list."""
    pages = max(1, math.ceil(total / size))
    meta = {
        "current_page": page,
        "next_page": page + 1 if page < pages else None,
        "prev_page": page - 1 if page > 1 else None,
        "total_pages": pages,
        "total_count": total,
    }
    return {name: list(rows), "meta": meta}


def time_text(time: datetime) -> str:
    """Spell a time as Accredible does: UTC, milliseconds, Z."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
