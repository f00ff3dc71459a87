"""The ``Retry-After`` header of RFC 9110."""

from __future__ import annotations

import datetime as dt
import re
from email.utils import parsedate_to_datetime

LONGEST_WAIT = 24 * 3600.0  # seconds; a longer wait is probably a mistake of the service


def retry_after_seconds(header: str | None, *, now: dt.datetime) -> float | None:
    """
    Return the wait of a ``Retry-After`` header in seconds from ``now``; None when the header is missing or invalid.

    The header has a number of seconds or an HTTP date. A time in the past is 0. The longest wait is a day.
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
