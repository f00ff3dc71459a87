"""
What the doors hand to the pipeline.

A door (Kafka, file, REST, signal receiver) turns what it got into an ``Event`` in the one canonical form, or into an
``Unreadable`` that says why it could not. Both become rows of the inbox; only an ``Event`` is shown to the rules.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """
    One learning event.

    ``id`` is the metadata id of its sender, ``time`` is aware and UTC, ``data`` maps the signal's arguments to
    canonical JSON values (``badges.rules.Shape.canonical``), ``source`` tells operators where it came in, such as
    ``kafka:learning/3@1207`` or ``file:events.jsonl:17``.
    """

    id: str
    type: str
    time: dt.datetime
    data: Mapping[str, Any]
    source: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """
    Something that arrived and cannot be used: it becomes a dead letter.

    ``id`` is made of the place it was found at, the metadata id where that could be read, and a digest of what was
    there: reading it again finds the same row, and the event itself, sent again and corrected, is new. ``reason`` names
    what is wrong and the remedy, without personal data. ``body`` is what arrived, as text (Base64 for bytes), or None
    when it is too big to keep.
    """

    id: str
    reason: str
    source: str
    type: str = ""
    body: str | None = None
