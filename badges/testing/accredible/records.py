"""
What the stand-in writes down. Each class is a table of the same name in its SQLite file, with the same columns.

A checker may open the file and read with its own queries. ``group_`` has an underscore, since SQL has the word.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from badges.testing.standin import Call, Delivery, Record


@dataclass(frozen=True)
class Organization(Record):
    """An account at Accredible, which ``key`` opens. ``credits``: how many credentials it may publish, None: any."""

    id: int
    name: str
    key: str
    created_at: datetime
    credits: int | None = None


@dataclass(frozen=True)
class Group(Record):
    """What credentials are issued from; a deleted one is gone from the table. ``course_name`` may be blank."""

    id: int
    organization_id: int
    name: str
    course_name: str
    description: str
    allows_duplicates: bool
    created_at: datetime
    updated_at: datetime

    table = "group_"


@dataclass(frozen=True)
class Credential(Record):
    """
    A credential issued to somebody; a deleted one is gone from the table.

    ``approve``: whether it is published. ``issued_on`` and ``expired_on`` are days as text. ``request`` is the body of
    the issue call as it came in.
    """

    id: int
    organization_id: int
    group_id: int
    recipient_name: str
    recipient_email: str
    recipient_id: str | None
    name: str
    issued_on: str
    expired_on: str | None
    complete: bool
    approve: bool
    created_at: datetime
    updated_at: datetime
    meta_data: dict = field(default_factory=dict)
    request: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Event(Record):
    """Something that happened to a credential, with what the webhook says of it (``data``)."""

    id: str
    organization_id: int
    event_type: str
    occurred_at: datetime
    data: dict = field(default_factory=dict)


RECORDS: tuple[type[Record], ...] = (Organization, Group, Credential, Event, Call, Delivery)
