"""
What a stand-in writes down. Each class is a table of the same name in its SQLite file, with the same columns.

The first field of a record is its key.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self


@dataclass(frozen=True)
class Record:
    """
    Something worth remembering, with its two plain forms: a row for SQLite, a dictionary for JSON.

    ``table`` is the name of its table; without one it is that of the class.
    """

    table: ClassVar[str] = ""

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
