"""How long a badge holds: the moments at which badges end, and the documents that say so."""

from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.catalog.expiry import read_expiry, renewal_begins
from badges.catalog.validation import read_template
from tests.factories import template_entry

BRUSSELS, APIA, UTC = ZoneInfo("Europe/Brussels"), ZoneInfo("Pacific/Apia"), dt.UTC

ENDS = [
    # A period ends at the same time of the day.
    ({"days": 1}, "2026-03-14T12:34:56.789Z", UTC, "2026-03-15T12:34:56.789Z"),
    ({"months": 6}, "2026-03-14T12:00:00Z", UTC, "2026-09-14T12:00:00Z"),
    ({"years": 2}, "2026-03-14T12:00:00Z", UTC, "2028-03-14T12:00:00Z"),
    # The month's end, where the month is shorter.
    ({"months": 1}, "2026-01-31T12:00:00Z", UTC, "2026-02-28T12:00:00Z"),
    ({"months": 1}, "2028-01-31T12:00:00Z", UTC, "2028-02-29T12:00:00Z"),  # a leap year
    ({"months": 3}, "2026-08-31T12:00:00Z", UTC, "2026-11-30T12:00:00Z"),
    ({"months": 12}, "2026-12-31T12:00:00Z", UTC, "2027-12-31T12:00:00Z"),
    # 29 February, in years that have it and in others; 2100 is no leap year.
    ({"years": 1}, "2028-02-29T12:00:00Z", UTC, "2029-02-28T12:00:00Z"),
    ({"years": 4}, "2028-02-29T12:00:00Z", UTC, "2032-02-29T12:00:00Z"),
    ({"years": 72}, "2028-02-29T12:00:00Z", UTC, "2100-02-28T12:00:00Z"),
    ({"years": 1}, "2027-02-28T12:00:00Z", UTC, "2028-02-28T12:00:00Z"),  # not the 29th
    ({"days": 365}, "2028-01-01T12:00:00Z", UTC, "2028-12-31T12:00:00Z"),
    # On the clock of the zone: the same hour of the day, although the clocks were changed in between.
    ({"months": 1}, "2026-03-14T12:00:00Z", BRUSSELS, "2026-04-14T11:00:00Z"),
    ({"days": 1}, "2026-03-28T01:30:00Z", BRUSSELS, "2026-03-29T01:30:00Z"),  # 02:30, which that day does not have
    # In the zone it is 1 March already.
    ({"months": 12}, "2028-02-29T23:30:00Z", BRUSSELS, "2029-02-28T23:30:00Z"),
    # A day of each year ends with that day, in the zone.
    ({"each_year": "06-30"}, "2026-03-14T12:00:00Z", UTC, "2026-07-01T00:00:00Z"),
    ({"each_year": "06-30"}, "2026-03-14T12:00:00Z", BRUSSELS, "2026-06-30T22:00:00Z"),
    ({"each_year": "06-30"}, "2026-06-30T12:00:00Z", UTC, "2026-07-01T00:00:00Z"),  # the day itself
    ({"each_year": "06-30"}, "2026-07-01T00:00:00Z", UTC, "2027-07-01T00:00:00Z"),
    ({"each_year": "06-30"}, "2026-06-30T23:30:00Z", BRUSSELS, "2027-06-30T22:00:00Z"),  # 1 July there
    ({"each_year": "12-31"}, "2026-12-31T23:59:59Z", UTC, "2027-01-01T00:00:00Z"),
    ({"each_year": "02-29"}, "2026-01-01T00:00:00Z", UTC, "2026-03-01T00:00:00Z"),  # 28 February
    ({"each_year": "02-29"}, "2028-01-01T00:00:00Z", UTC, "2028-03-01T00:00:00Z"),
    ({"each_year": "02-29"}, "2028-02-29T12:00:00Z", UTC, "2028-03-01T00:00:00Z"),
    ({"each_year": "02-29"}, "2027-03-01T00:00:00Z", UTC, "2028-03-01T00:00:00Z"),
    ({"each_year": "12-30"}, "2011-01-01T00:00:00Z", APIA, "2011-12-30T10:00:00Z"),  # a day that Samoa left out
    # What the calendar does not hold is its last moment.
    ({"years": 100}, "9950-03-14T12:00:00Z", UTC, "9999-12-31T23:59:59.999999Z"),
    ({"each_year": "12-31"}, "9999-03-14T12:00:00Z", UTC, "9999-12-31T23:59:59.999999Z"),
]


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.mark.parametrize(("expiry", "awarded_at", "zone", "expected"), ENDS)
def test_a_badge_ends_at_this_moment(expiry: dict[str, Any], awarded_at: str, zone: dt.tzinfo, expected: str) -> None:
    read = read_expiry(expiry)
    assert read is not None
    assert read.valid_until(moment(awarded_at), zone) == moment(expected)


def test_a_badge_without_expiry_has_no_end() -> None:
    assert read_expiry(None) is None


periods = st.one_of(
    st.builds(lambda number: {"days": number}, st.integers(1, 36500)),
    st.builds(lambda number: {"months": number}, st.integers(1, 1200)),
    st.builds(lambda number: {"years": number}, st.integers(1, 100)),
    st.dates(dt.date(2000, 1, 1), dt.date(2000, 12, 31)).map(lambda day: {"each_year": f"{day:%m-%d}"}),
)
moments = st.timedeltas(dt.timedelta(), dt.timedelta(days=40_000)).map(
    lambda passed: moment("1990-01-01T00:00:00Z") + passed
)


@given(periods, moments, st.sampled_from([UTC, BRUSSELS, APIA]), st.floats(0, 5000))
def test_every_badge_ends_after_its_award_and_is_renewed_in_between(
    expiry: dict[str, Any], awarded_at: dt.datetime, zone: dt.tzinfo, days: float
) -> None:
    read = read_expiry(expiry)
    assert read is not None
    ends = read.valid_until(awarded_at, zone)
    assert awarded_at < ends
    assert awarded_at < renewal_begins(awarded_at, ends, days=days) <= ends


@pytest.mark.parametrize(
    ("awarded", "ends", "days", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 30, "2026-12-02T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", 0, "2027-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z", 30, "2026-01-06T00:00:00Z"),  # half-way
        ("2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z", -5, "2027-01-01T00:00:00Z"),
    ],
)
def test_a_badge_can_be_renewed_in_its_last_days(awarded: str, ends: str, days: float, expected: str) -> None:
    assert renewal_begins(moment(awarded), moment(ends), days=days) == moment(expected)


WRONG = [
    ({"days": 0}, "expiry.days: expected a whole number from 1 to 36500; got 0"),
    ({"days": "90"}, "expiry.days: expected a whole number from 1 to 36500; got '90'"),
    ({"months": 1.5}, "expiry.months: expected a whole number from 1 to 1200; got 1.5"),
    ({"years": True}, "expiry.years: expected a whole number from 1 to 100; got true"),
    ({"each_year": "6-30"}, "expiry.each_year: expected a month and a day, such as 06-30; got '6-30'"),
    ({"each_year": "04-31"}, "expiry.each_year: there is no such day in any year"),
    ({"each_year": "02-30"}, "expiry.each_year: there is no such day in any year"),
    ({"weeks": 2}, "expiry.weeks: there is no such key; known are days, months, years, each_year"),
    ({}, "expiry: expected how long the badge holds"),
    ({"days": 1, "months": 2}, "expiry: expected how long the badge holds"),
    ("P1Y", "expiry: expected how long the badge holds"),
    ([], "expiry: expected how long the badge holds"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("expiry", "problem"), WRONG)
def test_a_wrong_expiry_is_refused_with_its_path_and_a_remedy(expiry: Any, problem: str) -> None:
    document, problems = read_template(template_entry(expiry=expiry))
    assert document is None
    assert str(problems[0]).startswith(problem)


@pytest.mark.django_db
@pytest.mark.parametrize("expiry", [None, {"days": 36500}, {"months": 12.0}, {"years": 1}, {"each_year": "02-29"}])
def test_a_right_expiry_is_kept(expiry: Any) -> None:
    document, problems = read_template(template_entry(expiry=expiry))
    assert problems == []
    assert document is not None
    assert document["expiry"] == expiry
