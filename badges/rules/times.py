"""
Points in time: read from RFC 3339, spelled in one way.

The canonical spelling is UTC with six digits of fraction, ``2026-03-01T09:30:00.000000Z``. Its width is fixed, so two
canonical times compare as text exactly as they do as instants.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

A_TIME = "a time with its offset, such as 2026-03-01T09:30:00Z"

# datetime.fromisoformat reads far more than RFC 3339 (week dates, missing minutes), so the form is checked first.
# 24:00:00 and leap seconds are not points that a datetime can hold: refused.
_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)


def canonical_time(value: Any) -> str:
    """
    Return the canonical text of a time, from RFC 3339 text or from a datetime that knows its offset.

    Fractions finer than microseconds are cut off. Raises ValueError, which says what is accepted.
    """
    return spell_instant(instant(value))


def spell_instant(moment: datetime) -> str:
    """Return the canonical text of a datetime in UTC."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def instant(value: Any) -> datetime:
    """
    Return a time as a datetime in UTC, from RFC 3339 text or from a datetime that knows its offset.

    Fractions finer than microseconds are cut off. Raises ValueError, which says what is accepted.
    """
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        moment = _parse(value)
    elif isinstance(value, datetime):
        moment = value
    else:
        raise ValueError(A_TIME)
    if moment.utcoffset() is None:
        raise ValueError(A_TIME)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # 0001-01-01T00:00:00+01:00 is before the first moment a datetime can hold
        raise ValueError(A_TIME) from None


def _parse(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:  # the 31st of February
        raise ValueError(A_TIME) from None
