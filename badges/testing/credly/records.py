"""
What the stand-in writes down. Each class is a table of the same name in its SQLite file, with the same columns.

A checker may open the file and read with its own queries; the words of the record are the columns of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from badges.testing.standin import Call, Delivery, Record


@dataclass(frozen=True)
class Organization(Record):
    """An account at Credly: ``token`` opens it by HTTP Basic, ``client_id`` and ``client_secret`` by OAuth2."""

    id: str
    name: str
    token: str
    client_id: str
    client_secret: str
    created_at: datetime


@dataclass(frozen=True)
class AccessToken(Record):
    """What ``/oauth/token`` handed out; worthless from ``expires_at`` on."""

    token: str
    organization_id: str
    expires_at: datetime


@dataclass(frozen=True)
class Template(Record):
    """A badge that can be issued. ``state`` is draft, active or archived; a deleted one is gone from the table."""

    id: str
    organization_id: str
    name: str
    description: str
    state: str
    allows_duplicates: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Badge(Record):
    """
    A badge issued to somebody.

    ``state`` is pending, accepted, rejected, revoked or replaced. ``issued_at`` is what the client said,
    ``created_at`` when the stand-in wrote the row. ``request`` is the body of the issue call as it came in.
    """

    id: str
    organization_id: str
    template_id: str
    state: str
    recipient_email: str
    first_name: str
    last_name: str
    issuer_earner_id: str | None
    issued_at: datetime
    created_at: datetime
    updated_at: datetime
    expires_at: str | None = None
    public: bool = True
    revoke_reason: str | None = None
    request: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Event(Record):
    """Something that happened to a badge or a template, with the thing as it was then (``data``)."""

    id: str
    organization_id: str
    event_type: str
    occurred_at: datetime
    data: dict = field(default_factory=dict)


RECORDS: tuple[type[Record], ...] = (Organization, AccessToken, Template, Badge, Event, Call, Delivery)
