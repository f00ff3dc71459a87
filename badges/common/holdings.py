"""
The registry of what people hold: badges, certificates, and what other apps give.

The learner's own page lists it, newest first. An app registers a source of its own in ``AppConfig.ready``.
"""

from __future__ import annotations

import datetime as dt
import enum
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from badges.common.merged_pagination import Source


class HoldingState(enum.StrEnum):
    """Whether something is still held."""

    HELD = "held"
    REVOKED = "revoked"
    EXPIRED = "expired"
    REPLACED = "replaced"  # renewed before its end: the learner holds a newer one


@dataclass(frozen=True, slots=True)
class Holding:
    """
    One thing that a learner holds or held, as the learner's own page shows it.

    ``public_address`` is where everybody can see it, with or without the name of the host; empty when nobody else can.
    ``document_address`` is a file for the learner. ``reason`` is the public reason of a revocation.
    """

    kind: str
    id: uuid.UUID
    state: HoldingState
    title: str
    issued_at: dt.datetime
    description: str = ""
    image_url: str = ""
    valid_until: dt.datetime | None = None
    revoked_at: dt.datetime | None = None
    reason: str = ""
    public_address: str = ""
    document_address: str = ""


class HoldingSource(Protocol):
    """What one app knows of what people hold."""

    def rows(self, learner_id: int, *, ended: bool, now: dt.datetime) -> Source:
        """
        Return the rows of a learner; no statement.

        ``ended``: also what was revoked, has expired or was replaced. The list is read in pages, by the time and the
        primary key, which is a UUID. So an index should have the learner and the time.
        """

    def represent(self, rows: Sequence[Any], *, now: dt.datetime) -> Sequence[Holding]:
        """Return the holdings of rows in their order. The number of statements does not depend on that of the rows."""


_sources: dict[str, HoldingSource] = {}


def register_holdings(kind: str, source: HoldingSource) -> None:
    """Add a source. ``kind`` is the name of what it lists, such as ``certificate``; a second one replaces the first."""
    _sources[kind] = source


def holding_sources() -> Mapping[str, HoldingSource]:
    """Return the sources by kind, in the order in which they were registered."""
    return dict(_sources)
