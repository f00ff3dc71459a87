"""
When credentials are given, by the dates of a learning context. Pure: ``now`` is an argument.

No credential is given before the context starts, unless the configuration ignores the start. None is given before the
configuration makes it available. A context is over when its end, the grace period after it and the date of availability
have passed. One final run then finds everyone who is eligible, and closes the context. Without an end date it never
closes. When the end date is moved or removed later, the context is open again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from credentials_config.contracts import Context


@dataclass(frozen=True, slots=True)
class ScheduleRules:
    """
    What a configuration says about dates.

    ``availability`` is "earned", "course_end", "after_end" (then with ``days_after_end``) or "on_date" (then with
    ``available_on``). ``closed`` is True when the final run is done.
    """

    availability: str = "earned"
    days_after_end: int | None = None
    available_on: dt.datetime | None = None
    ignore_start: bool = False
    grace_hours: int = 48
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Look for eligible learners now. ``reopens``: the context was closed, but its dates have changed since."""

    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Do nothing yet. ``reopens`` is as in ``Run``."""

    reason: str
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class FinalRun:
    """The context is over: look for eligible learners once more, then close it."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The context is over and its final run is done: do nothing."""

    reason: str


Decision = Run | Skip | FinalRun | Closed


def decide(rules: ScheduleRules, context: Context, now: dt.datetime) -> Decision:
    """Return what a schedule that is due at ``now`` should do, by the current dates of the context."""
    over_at = closes_at(rules, context)
    if over_at is not None and now >= over_at:
        return (
            Closed(f"The context was over on {_day(over_at)} and its last run is done.") if rules.closed else FinalRun()
        )
    if not rules.ignore_start and context.start is not None and now < context.start:
        return Skip(f"The context starts on {_day(context.start)}.", reopens=rules.closed)
    available_at = available_from(rules, context)
    if available_at is not None and now < available_at:
        return Skip(f"Credentials are available from {_day(available_at)} on.", reopens=rules.closed)
    return Run(reopens=rules.closed)


def available_from(rules: ScheduleRules, context: Context) -> dt.datetime | None:
    """Return the time from which earned credentials are given, or None when there is nothing to wait for."""
    if rules.availability == "on_date":
        return rules.available_on
    if rules.availability == "course_end":
        return context.end
    if rules.availability == "after_end" and context.end is not None:
        return _later(context.end, days=rules.days_after_end or 0)
    return None


def closes_at(rules: ScheduleRules, context: Context) -> dt.datetime | None:
    """Return when the final run is due, or None for never."""
    if context.end is None:
        return None
    after_grace = _later(context.end, hours=rules.grace_hours)
    return max(after_grace, available_from(rules, context) or after_grace)


def expires_at(
    issued_at: dt.datetime, *, valid_days: int | None, valid_until: dt.datetime | None
) -> dt.datetime | None:
    """Return when a credential expires, the earlier of both limits, or None for never."""
    ends = [valid_until] if valid_until is not None else []
    if valid_days is not None:
        ends.append(_later(issued_at, days=valid_days))
    return min(ends, default=None)


def expiry_error(now: dt.datetime, *, valid_days: int | None, valid_until: dt.datetime | None) -> str:
    """Return an error with its remedy when a credential given at ``now`` would have expired already, else ""."""
    ends = expires_at(now, valid_days=valid_days, valid_until=valid_until)
    if ends is None or ends > now:
        return ""
    return (
        f"Credentials of today would have expired on {_day(ends)} already. Correct valid_until and valid_days of the "
        "configuration, or switch it off."
    )


def _later(time: dt.datetime, **by: int) -> dt.datetime:
    try:
        return time + dt.timedelta(**by)
    except OverflowError:  # the number is too large for a date
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def _day(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time.utcoffset() == dt.timedelta() else f"{time:%Y-%m-%d %H:%M %z}"
