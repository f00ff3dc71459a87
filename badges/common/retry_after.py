"""How long another service asks us to wait."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 24 * 3600.0  # an operator wants to hear from what waits within a day


def retry_after_seconds(header: str | None, *, now: dt.datetime) -> float | None:
    """
    Read a ``Retry-After`` header, seconds or HTTP date, as seconds from ``now``; None when it says nothing readable.

    A moment that has passed is 0; more than a day is a day.
    """
    text = (header or "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return min(float(text), LONGEST_WAIT)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:  # "-0000" and asctime dates are UTC by RFC 9110
        moment = moment.replace(tzinfo=dt.UTC)
    return min(max((moment - now).total_seconds(), 0.0), LONGEST_WAIT)
