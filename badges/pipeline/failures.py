"""What becomes of a row that failed: whose fault it was, when it is tried again, and the reason that is stored."""

from __future__ import annotations

import datetime as dt

from celery.exceptions import SoftTimeLimitExceeded

from badges.common.backoff import next_delay
from badges.conf import config
from badges.exceptions import EventError, Retryable

# No event is to blame for these: the database did not answer, or the time of the Celery task is over.
TRANSIENT_ERRORS = (Retryable, SoftTimeLimitExceeded)


def next_attempt(error: Exception, *, attempts: int, now: dt.datetime) -> dt.datetime | None:
    """Return when to try again what failed alone, or None when it becomes a dead letter."""
    if isinstance(error, EventError) or attempts >= config.intake["max_attempts"]:
        return None
    backoff_delay = next_delay(attempts, base=config.delivery["base_delay"], cap=config.delivery["max_delay"])
    return now + dt.timedelta(seconds=backoff_delay)


def reason_of(error: Exception) -> str:
    """Return what went wrong without personal data. Messages of the database and of other packages may quote values."""
    if isinstance(error, EventError):
        return str(error)
    return f"{type(error).__name__} while it was processed; the log has the details."
