"""
How long a badge holds: what the document of a template says, and the moment at which a badge ends. Pure.

A document says nothing, or one of a number of days, months or years, or a day of each year. It is counted on the
calendar of a time zone: a badge that was awarded at ten in the morning ends at ten in the morning, also when the clocks
were changed in between.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from badges.rules.criteria.calendar import LAST_MOMENT, Shift

DAYS, MONTHS, YEARS, EACH_YEAR = "days", "months", "years", "each_year"
KEYS = (DAYS, MONTHS, YEARS, EACH_YEAR)


@dataclass(frozen=True, slots=True)
class Expiry:
    """
    How long a badge holds: ``period`` after its award, or to the end of ``month_day``.

    One of both is None. ``month_day`` is a month and a day. 29 February is 28 February in years that do not have it.
    """

    period: Shift | None = None
    month_day: tuple[int, int] | None = None

    def valid_until(self, awarded_at: dt.datetime, zone: dt.tzinfo) -> dt.datetime:
        """
        Return the moment from which on a badge does not hold any more, on the calendar of a time zone.

        A month after 31 January is the last day of February. With a day of each year it is the end of the first such
        day: of the day of the award itself, if that is the day. What would lie after the last moment of the calendar is
        that moment.
        """
        if self.month_day is None:
            return (self.period or Shift()).after(awarded_at, zone)
        try:
            local = awarded_at.astimezone(zone).date()
            last_day = _day_of(local.year, *self.month_day)
            if last_day < local:
                last_day = _day_of(local.year + 1, *self.month_day)
            next_day = last_day + dt.timedelta(days=1)
            return dt.datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone).astimezone(dt.UTC)
        except (OverflowError, ValueError):
            return LAST_MOMENT


def read_expiry(document: Mapping[str, Any] | None) -> Expiry | None:
    """Return what a valid document says under ``expiry``; None if the badge holds for ever."""
    if not document:
        return None
    ((key, value),) = document.items()
    if key == EACH_YEAR:
        month, day = value.split("-")
        return Expiry(month_day=(int(month), int(day)))
    return Expiry(Shift(days=value) if key == DAYS else Shift(months=value * (12 if key == YEARS else 1)))


def expiry_in(text: str) -> Expiry | None:
    """Return how long the badge holds by the document of a revision, given as its text."""
    return read_expiry(json.loads(text).get("expiry"))


def is_day(month_day: str) -> bool:
    """Return whether a text such as ``02-29`` is a day of some year."""
    try:
        dt.date.fromisoformat(f"2000-{month_day}")  # a leap year
    except ValueError:
        return False
    return True


def describe_expiry(document: Mapping[str, Any] | None) -> str:
    """Return what a valid document says, in the reader's language."""
    if not document:
        return _("For ever.")
    ((key, value),) = document.items()
    if key == EACH_YEAR:
        return _("Until the end of the next %(day)s (month and day).") % {"day": value}
    if key == DAYS:
        return ngettext("For %(number)d day.", "For %(number)d days.", value) % {"number": value}
    if key == MONTHS:
        return ngettext("For %(number)d month.", "For %(number)d months.", value) % {"number": value}
    return ngettext("For %(number)d year.", "For %(number)d years.", value) % {"number": value}


def renewal_begins(awarded_at: dt.datetime, valid_until: dt.datetime, *, days: float) -> dt.datetime:
    """
    Return the moment from which on what a learner does counts for the next badge instead of the present one.

    It is so many days before the end, and at the earliest half-way. Otherwise every event would renew a badge that
    holds for a shorter time.
    """
    half = (valid_until - awarded_at) / 2
    return valid_until - min(dt.timedelta(days=max(days, 0)), half)


def _day_of(year: int, month: int, day: int) -> dt.date:
    try:
        return dt.date(year, month, day)
    except ValueError:  # 29 February; validation lets no other day through that a year may lack
        return dt.date(year, month, day - 1)
