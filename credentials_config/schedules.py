"""
When credentials are given: the gates on a context's dates. Pure: ``now`` is an argument.

Nothing is given before the start, unless that is overridden, nor before the configuration says that it is available.
Without an end date nothing is waited for and nothing closes. A context is over when its end and the grace after it have
passed, and what is available later than that has become available: one last run then finds everyone, and closes it.
An end date that moved, or was taken away, opens it again.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from credentials_config.contracts import Context


@dataclass(frozen=True, slots=True)
class Gates:
    """What a configuration says about dates; ``closed``: its last run was done."""

    availability: str = "earned"  # earned, course_end, after_end or on_date
    days_after_end: int | None = None
    available_on: dt.datetime | None = None
    ignore_start: bool = False
    grace_hours: int = 48
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Look for eligible learners now. ``reopens``: it was closed, and is not over after all."""

    reopens: bool = False


@dataclass(frozen=True, slots=True)
class Skip:
    """Not yet."""

    reason: str
    reopens: bool = False


@dataclass(frozen=True, slots=True)
class FinalRun:
    """It is over: look for eligible learners once more, and close it when that is done."""


@dataclass(frozen=True, slots=True)
class Closed:
    """It is over and the last run is done."""

    reason: str


Decision = Run | Skip | FinalRun | Closed


def decide(gates: Gates, context: Context, now: dt.datetime) -> Decision:
    """Say what a schedule that fires now should do, with the context's dates as they are now."""
    over_at = closes_at(gates, context)
    if over_at is not None and now >= over_at:
        return (
            Closed(f"The context was over on {_day(over_at)} and its last run is done.") if gates.closed else FinalRun()
        )
    if not gates.ignore_start and context.start is not None and now < context.start:
        return Skip(f"The context starts on {_day(context.start)}.", reopens=gates.closed)
    available_at = available_from(gates, context)
    if available_at is not None and now < available_at:
        return Skip(f"Credentials are available from {_day(available_at)} on.", reopens=gates.closed)
    return Run(reopens=gates.closed)


def available_from(gates: Gates, context: Context) -> dt.datetime | None:
    """Return from when on earned credentials are given; None: there is nothing to wait for."""
    if gates.availability == "on_date":
        return gates.available_on
    if gates.availability == "course_end":
        return context.end
    if gates.availability == "after_end" and context.end is not None:
        return _later(context.end, days=gates.days_after_end or 0)
    return None


def closes_at(gates: Gates, context: Context) -> dt.datetime | None:
    """Return when the last run is due; None: never."""
    if context.end is None:
        return None
    after_grace = _later(context.end, hours=gates.grace_hours)
    return max(after_grace, available_from(gates, context) or after_grace)


def expires_at(
    issued_at: dt.datetime, *, valid_days: int | None, valid_until: dt.datetime | None
) -> dt.datetime | None:
    """Return when a credential expires: the earlier of both ways to say it; None: never."""
    ends = [valid_until] if valid_until is not None else []
    if valid_days is not None:
        ends.append(_later(issued_at, days=valid_days))
    return min(ends, default=None)


def over_from_the_start(now: dt.datetime, *, valid_days: int | None, valid_until: dt.datetime | None) -> str:
    """Return what is wrong, with the remedy, when a credential of this moment would be over at once; else nothing."""
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
    except OverflowError:  # somebody typed a very large number
        return dt.datetime.max.replace(tzinfo=dt.UTC)


def _day(time: dt.datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time.utcoffset() == dt.timedelta() else f"{time:%Y-%m-%d %H:%M %z}"
