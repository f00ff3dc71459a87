"""
What the stand-in writes down. Each class is a table of the same name in its SQLite file, with the same columns.

A checker may open the file and read with its own queries; the words of the record are the columns of the table.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self


@dataclass(frozen=True)
class Record:
    """Something worth remembering, with its two plain forms: a row for SQLite, a dictionary for JSON."""

    @classmethod
    def kinds(cls) -> dict[str, str]:
        """Say what each field holds: its annotation without the ``None``."""
        return {one.name: str(one.type).removesuffix(" | None") for one in dataclasses.fields(cls)}

    def to_row(self) -> list[Any]:
        """Give the values in the order of the fields, as SQLite keeps them."""
        return [_to_column(getattr(self, name), kind) for name, kind in self.kinds().items()]

    @classmethod
    def from_row(cls, row: tuple[Any, ...]) -> Self:
        """Read what ``to_row`` gave."""
        return cls(*(_from_column(value, kind) for value, kind in zip(row, cls.kinds().values(), strict=True)))

    def to_json(self) -> dict[str, Any]:
        """Give a dictionary that JSON can carry."""
        return {name: _to_json(getattr(self, name)) for name in self.kinds()}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Read what ``to_json`` gave."""
        times = {name for name, kind in cls.kinds().items() if kind == "datetime"}
        return cls(**{name: _from_json(value, name in times) for name, value in values.items()})


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


@dataclass(frozen=True)
class Call(Record):
    """
    A request that reached the stand-in: written before anything is done about it.

    ``status`` is filled before the answer leaves; ``None``: no answer was given (dropped), or the stand-in was killed
    first.
    """

    id: str
    method: str
    path: str
    endpoint: str
    at: datetime
    body: str = ""
    status: int | None = None


@dataclass(frozen=True)
class Delivery(Record):
    """One attempt to post an event to the webhook address: the status that came back, or the error."""

    id: str
    event_id: str
    at: datetime
    url: str
    status: int | None = None
    error: str | None = None


RECORDS: tuple[type[Record], ...] = (Organization, AccessToken, Template, Badge, Event, Call, Delivery)


def _to_column(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return value.astimezone(UTC).isoformat()
    return json.dumps(value) if kind == "dict" else value


def _from_column(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "datetime":
        return datetime.fromisoformat(value)
    if kind == "dict":
        return json.loads(value)
    return bool(value) if kind == "bool" else value


def _to_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _from_json(value: Any, is_time: bool) -> Any:
    return datetime.fromisoformat(value) if is_time and value is not None else value
