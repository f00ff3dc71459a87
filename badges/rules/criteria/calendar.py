"""
Calendar arithmetic: time zones, units, moving back by months, and the periods that events are counted in.

Days, weeks, months, quarters and years are counted on the clock of a time zone: a day before noon is noon of the day
before, also when the clocks were changed in between. Months end where the shorter month ends: a month before 31 March
is the last day of February. What would lie before the first or after the last moment of the calendar is that moment.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

FIRST_MOMENT = datetime.min.replace(tzinfo=UTC)
LAST_MOMENT = datetime.max.replace(tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

PERIOD_TYPES = ("day", "week", "month", "quarter", "year")


class Shift(NamedTuple):
    """How far to move: months on the calendar, days on the clock of the zone, then an exact length of time."""

    months: int = 0
    days: int = 0
    exact: timedelta = timedelta()

    def before(self, moment: datetime, zone: tzinfo) -> datetime:
        """Return the moment that lies this far before another."""
        return Shift(-self.months, -self.days, -self.exact).after(moment, zone)

    def after(self, moment: datetime, zone: tzinfo) -> datetime:
        """Return the moment that lies this far after another."""
        try:
            if self.months or self.days:
                local = moment.astimezone(zone).replace(tzinfo=None)
                local = _add_months(local, self.months) + timedelta(days=self.days)
                moment = local.replace(tzinfo=zone).astimezone(UTC)
            return moment + self.exact
        except (OverflowError, ValueError):
            if zone is not UTC:  # the last hours of the calendar have no local time everywhere
                return self.after(moment, UTC)
            forwards = (self.months, self.days, self.exact) > (0, 0, timedelta())
            return LAST_MOMENT if forwards else FIRST_MOMENT


def _add_months(local: datetime, months: int) -> datetime:
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    return local.replace(year=year, month=month + 1, day=min(local.day, _days_in_month(year, month + 1)))


def _days_in_month(year: int, month: int) -> int:
    if month == 12:
        return 31
    return (date(year, month + 1, 1) - timedelta(days=1)).day


# --- as documents write them -----------------------------------------------------------------------------------------

_LAST = re.compile(r"([1-9][0-9]{0,4})([dwmqy])")
_LAST_UNITS = {"d": (0, 1), "w": (0, 7), "m": (1, 0), "q": (3, 0), "y": (12, 0)}
_LENGTH = re.compile(r"([1-9][0-9]{0,4})([smhdw])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_NOW = re.compile(r"\$NOW(?:\(((?:[+-][0-9]{1,5}[smhdwMy])+)\))?")
_NOW_STEP = re.compile(r"([+-][0-9]+)([smhdwMy])")


class Last(NamedTuple):
    """The operand of ``last``, such as 30d: a number and one of d, w, m, q, y."""

    number: int
    unit: str

    @property
    def shift(self) -> Shift:
        """How far it reaches back."""
        months, days = _LAST_UNITS[self.unit]
        return Shift(self.number * months, self.number * days)


def read_last(text: str) -> Last | None:
    """Return what ``last`` says, None if it cannot be read."""
    found = _LAST.fullmatch(text)
    return Last(int(found[1]), found[2]) if found else None


class Length(NamedTuple):
    """The operand of ``window``, such as 24h: a number and one of s, m (minutes), h, d, w. It is a fixed length."""

    number: int
    unit: str

    @property
    def delta(self) -> timedelta:
        """The length; a day is always 24 hours."""
        return timedelta(seconds=self.number * _SECONDS[self.unit])


def read_length(text: str) -> Length | None:
    """Return what ``window`` says, None if it cannot be read."""
    found = _LENGTH.fullmatch(text)
    return Length(int(found[1]), found[2]) if found else None


def read_now(text: str) -> Shift | None:
    """Return how far ``$NOW(-1y-3M)`` is from now, None if it cannot be read. Here ``m`` is minutes, ``M`` months."""
    found = _NOW.fullmatch(text)
    if not found:
        return None
    months, days, seconds = 0, 0, 0
    for number, unit in _NOW_STEP.findall(found[1] or ""):
        if unit in "yM":
            months += int(number) * (12 if unit == "y" else 1)
        elif unit in "dw":
            days += int(number) * (7 if unit == "w" else 1)
        else:
            seconds += int(number) * _SECONDS[unit]
    return Shift(months, days, timedelta(seconds=seconds))


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


def find_zone(name: str) -> tzinfo | None:
    """Return the time zone of an IANA name, None if there is none."""
    # ZoneInfo also opens files that are no time zones, and refuses some names with other errors.
    return UTC if name == "UTC" else ZoneInfo(name) if name in _zone_names() else None


def near_zones(name: str) -> list[str]:
    """Return names of time zones that somebody may have meant."""
    return difflib.get_close_matches(name, sorted(_zone_names()), n=3)


# --- periods ---------------------------------------------------------------------------------------------------------

_EPOCH_MONDAY = date(1, 1, 1)  # a Monday in the calendar that Python uses for all years


def _first_of_month(months: int) -> date:
    year, month = divmod(months, 12)
    return date(year, month + 1, 1)


class _Calendar(NamedTuple):
    number: Callable[[date], int]
    first_day: Callable[[int], date]


_CALENDARS = {
    "day": _Calendar(date.toordinal, date.fromordinal),
    # ISO weeks begin on Monday, and one over New Year is one week.
    "week": _Calendar(
        lambda day: (day - _EPOCH_MONDAY).days // 7, lambda number: _EPOCH_MONDAY + timedelta(days=7 * number)
    ),
    "month": _Calendar(lambda day: day.year * 12 + day.month - 1, _first_of_month),
    "quarter": _Calendar(lambda day: day.year * 4 + (day.month - 1) // 3, lambda number: _first_of_month(number * 3)),
    "year": _Calendar(lambda day: day.year, lambda number: date(number, 1, 1)),
}


@dataclass(frozen=True)
class Periods:
    """Days, ISO weeks, months, quarters or years on the clock of a time zone, numbered without a gap."""

    type: str
    zone: tzinfo

    def number(self, moment: datetime) -> int:
        """Return the number of the period that a moment lies in."""
        return _CALENDARS[self.type].number(local_day(moment, self.zone))

    def end(self, number: int) -> datetime:
        """Return the first moment after a period."""
        try:
            first = _CALENDARS[self.type].first_day(number + 1)
            # The first moment of that day: at some changes of the clock there is no midnight, and fold=0 reads the
            # missing hour as if the clock had not been changed, which is the same instant.
            return datetime(first.year, first.month, first.day, tzinfo=self.zone).astimezone(UTC)
        except (OverflowError, ValueError):
            return LAST_MOMENT


def local_day(moment: datetime, zone: tzinfo) -> date:
    """Return the day that a moment lies in on the clock of a time zone."""
    if zone is UTC:
        return moment.date()
    try:
        return moment.astimezone(zone).date()
    except OverflowError:
        return moment.date()
