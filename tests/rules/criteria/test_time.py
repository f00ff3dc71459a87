"""Windows, periods and patterns: calendars, time zones and changes of the clock."""

from __future__ import annotations

import pytest

from badges.rules import Event, parse_criteria
from tests.rules.criteria.documents import NOW, at, event


def holds(document, *moments, now=NOW):
    """Is the document satisfied by logins at these moments?"""
    history = [event(f"e{number}", when=when) for number, when in enumerate(moments)]
    return parse_criteria(document).evaluate(history, now=at(now) if isinstance(now, str) else now).satisfied


def window(flow=None, **options):
    return {"$timeWindow": {"flow": flow or {"event": "login"}, **options}}


@pytest.mark.parametrize(
    ("options", "now", "when", "expected"),
    [
        # both bounds are included
        ({"last": "7d"}, "2026-03-31 10:00", "2026-03-24 10:00", True),
        ({"last": "7d"}, "2026-03-31 10:00", "2026-03-24 09:59:59.999999", False),
        ({"last": "7d"}, "2026-03-31 10:00", "2026-03-31 10:00", True),
        ({"last": "7d"}, "2026-03-31 10:00", "2026-03-31 10:00:00.000001", False),  # later than now
        ({"last": "1w"}, "2026-03-31 10:00", "2026-03-24 10:00", True),
        # months end where the shorter month ends
        ({"last": "1m"}, "2026-03-31 10:00", "2026-02-28 10:00", True),
        ({"last": "1m"}, "2026-03-31 10:00", "2026-02-28 09:59", False),
        ({"last": "1m"}, "2024-03-31 10:00", "2024-02-29 10:00", True),
        ({"last": "1m"}, "2024-03-31 10:00", "2024-02-28 23:00", False),
        ({"last": "13m"}, "2026-03-31 10:00", "2025-02-28 10:00", True),
        ({"last": "1q"}, "2026-05-31 10:00", "2026-02-28 10:00", True),
        ({"last": "1q"}, "2026-05-31 10:00", "2026-02-28 09:59", False),
        ({"last": "1y"}, "2024-02-29 10:00", "2023-02-28 10:00", True),
        ({"last": "1y"}, "2024-02-29 10:00", "2023-02-28 09:59", False),
        ({"last": "99999y"}, "2026-03-31 10:00", "0001-01-01", True),
        # a day is counted on the clock of the zone: 25 hours when it is set back, 23 when it is set forward
        ({"last": "1d", "timezone": "Europe/Berlin"}, "2026-03-29 10:00", "2026-03-28 11:00", True),
        ({"last": "1d", "timezone": "Europe/Berlin"}, "2026-03-29 10:00", "2026-03-28 10:59", False),
        ({"last": "1d"}, "2026-03-29 10:00", "2026-03-28 10:00", True),
        ({"last": "1d", "timezone": "Europe/Berlin"}, "2026-10-25 11:00", "2026-10-24 10:00", True),
        # the 31st of March in the zone is still the 30th in UTC
        ({"last": "1m", "timezone": "Asia/Kolkata"}, "2026-03-30 20:00", "2026-02-27 20:00", True),
        ({"last": "1m", "timezone": "Asia/Kolkata"}, "2026-03-30 20:00", "2026-02-27 19:59", False),
        # fixed bounds
        ({"start": "2026-03-01T00:00:00+01:00"}, "2026-03-31", "2026-02-28 23:00", True),
        ({"start": "2026-03-01T00:00:00+01:00"}, "2026-03-31", "2026-02-28 22:59:59", False),
        ({"end": "2026-03-01T00:00:00Z"}, "2026-03-31", "2026-03-01", True),
        ({"end": "2026-03-01T00:00:00Z"}, "2026-03-31", "2026-03-01 00:00:00.000001", False),
        ({"end": "2026-05-01T00:00:00Z"}, "2026-03-31", "2026-04-15", True),  # a fixed end does not ask for now
        # business days, in the zone
        ({"last": "30d", "businessDaysOnly": True}, "2026-03-31", "2026-03-27 12:00", True),  # a Friday
        ({"last": "30d", "businessDaysOnly": True}, "2026-03-31", "2026-03-28 12:00", False),
        ({"last": "30d", "businessDaysOnly": True}, "2026-03-31", "2026-03-29 23:30", False),
        (
            {"last": "30d", "businessDaysOnly": True, "timezone": "Asia/Kolkata"},
            "2026-03-31",
            "2026-03-29 23:30",  # Monday there
            True,
        ),
    ],
)
def test_a_window_takes_in_what_lies_between_its_bounds(options, now, when, expected):
    assert holds(window(**options), when, now=now) is expected


def test_nested_windows_intersect():
    inner = window(last="7d")
    document = window(inner, end="2026-03-25T00:00:00Z")

    assert holds(document, "2026-03-24 12:00")
    assert not holds(document, "2026-03-24 09:00")
    assert not holds(document, "2026-03-25 12:00")


def test_business_days_do_not_lengthen_the_window():
    count = {"event": "login", "criteria": {"$eventCount": 1}}

    assert holds(window(count, last="7d", businessDaysOnly=True), "2026-03-23 12:00", "2026-03-27", "2026-03-28")


def within(length, *counts):
    entries = [{"event": name, "criteria": {"$eventCount": {"$gte": number}}} for name, number in counts]
    return {"$withinTimeWindow": {"window": length, "conditions": {"$and": entries}}}


@pytest.mark.parametrize(
    ("length", "moments", "expected"),
    [
        ("24h", ["2026-03-01 10:00", "2026-03-01 20:00", "2026-03-02 10:00"], True),
        ("24h", ["2026-03-01 10:00", "2026-03-01 20:00", "2026-03-02 10:00:00.000001"], False),
        ("1d", ["2026-03-29 00:00", "2026-03-29 12:00", "2026-03-30 00:00"], True),  # always 24 hours
        ("30m", ["2026-03-01 10:00", "2026-03-01 10:15", "2026-03-01 10:30"], True),  # m is minutes
        ("1w", ["2026-03-01", "2026-03-20", "2026-03-21", "2026-03-27"], True),
        ("1s", ["2026-03-01", "2026-03-01", "2026-03-01"], True),
        ("1s", ["2026-03-01", "2026-03-01", "2026-03-02", "2026-03-02", "2026-03-02"], True),
        ("99999w", ["0001-01-01", "2026-03-20", "9999-12-31"], False),
        ("99999w", ["9999-12-30", "9999-12-31", "9999-12-31"], True),
    ],
)
def test_some_interval_of_a_fixed_length_is_enough(length, moments, expected):
    assert holds(within(length, ("login", 3)), *moments) is expected


@pytest.mark.parametrize(
    ("options", "moments", "expected"),
    [
        (
            {"periodType": "day", "periodCount": {"$eq": 2}},
            ["2026-03-01 01:00", "2026-03-01 23:00", "2026-03-02"],
            True,
        ),
        # 23:30 in UTC is the next day in Berlin
        (
            {"periodType": "day", "periodCount": {"$eq": 1}, "timezone": "Europe/Berlin"},
            ["2026-03-01 23:30", "2026-03-02 10:00"],
            True,
        ),
        ({"periodType": "day", "periodCount": {"$eq": 2}}, ["2026-03-01 23:30", "2026-03-02 10:00"], True),
        # the hour that comes twice is in one day, and so is the one that is left out
        (
            {"periodType": "day", "periodCount": {"$eq": 2}, "timezone": "Europe/Berlin"},
            ["2026-10-24 22:00", "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 22:59", "2026-10-25 23:00"],
            True,
        ),
        (
            {"periodType": "day", "periodCount": {"$eq": 2}, "timezone": "Europe/Berlin"},
            ["2026-03-28 23:00", "2026-03-29 00:59", "2026-03-29 01:00", "2026-03-29 21:59", "2026-03-29 22:00"],
            True,
        ),
        # an ISO week over New Year is one week
        ({"periodType": "week", "periodCount": {"$eq": 1}}, ["2025-12-29", "2026-01-01", "2026-01-04"], True),
        ({"periodType": "week", "periodCount": {"$eq": 2}}, ["2026-01-04", "2026-01-05"], True),
        ({"periodType": "week", "periodCount": {"$eq": 1}}, ["2020-12-31", "2021-01-03"], True),  # week 53
        ({"periodType": "month", "periodCount": {"$eq": 2}}, ["2026-01-31", "2026-02-01", "2026-02-28"], True),
        ({"periodType": "quarter", "periodCount": {"$eq": 2}}, ["2026-01-01", "2026-03-31 23:59", "2026-04-01"], True),
        ({"periodType": "quarter", "periodCount": {"$eq": 2}}, ["2025-12-31", "2026-01-01"], True),
        ({"periodType": "year", "periodCount": {"$eq": 2}}, ["2025-12-31 23:59", "2026-01-01"], True),
        # by default one is enough
        ({"periodType": "year"}, ["2026-01-01"], True),
        ({"periodType": "year"}, [], False),
        # weekends and holidays
        ({"periodType": "day", "excludeWeekends": True, "periodCount": {"$eq": 1}}, ["2026-03-28", "2026-03-30"], True),
        (
            {
                "periodType": "day",
                "excludeHolidays": True,
                "holidays": ["2026-03-30"],
                "periodCount": {"$eq": 1},
                "timezone": "Asia/Kolkata",
            },
            ["2026-03-29 20:00", "2026-03-30 20:00"],  # the 30th and the 31st there
            True,
        ),
        ({"periodType": "day", "excludeHolidays": False, "holidays": ["2026-03-30"]}, ["2026-03-30"], True),
    ],
)
def test_distinct_periods_are_counted(options, moments, expected):
    assert holds({"$timePeriod": options}, *moments) is expected


def logins(*counts, first="2026-01-01"):
    """So many logins on each of the days from the first."""
    begin = at(first)
    return [
        Event(f"{day}-{number}", "login", begin.replace(day=day + 1), {})
        for day, count in enumerate(counts)
        for number in range(count)
    ]


@pytest.mark.parametrize(
    ("options", "counts", "expected"),
    [
        ({"pattern": "consistent"}, [10, 10, 10], True),
        ({"pattern": "consistent"}, [8, 10, 12], True),  # 20 % off the mean of 10
        ({"pattern": "consistent"}, [7, 10, 13], False),
        ({"pattern": "consistent"}, [5, 0, 5], False),  # an empty day is a day
        ({"pattern": "consistent", "maxDeviation": 0.3}, [7, 10, 13], True),
        ({"pattern": "consistent"}, [5, 5], False),  # at least 3
        ({"pattern": "consistent", "minPeriods": 2}, [5, 5], True),
        ({"pattern": "consistent"}, [], False),
        ({"pattern": "increasing"}, [10, 11, 12], True),
        ({"pattern": "increasing"}, [20, 21, 22], False),  # 5 % and 4.8 %
        ({"pattern": "increasing", "minIncreasePct": 4.8}, [20, 21, 22], True),
        ({"pattern": "increasing"}, [1, 2, 2], False),
        ({"pattern": "increasing"}, [1, 3, 2, 5], False),
        ({"pattern": "increasing", "strict": False}, [1, 3, 2, 5], True),
        ({"pattern": "increasing", "strict": False}, [5, 1, 4], False),  # the slope is negative
        ({"pattern": "increasing", "strict": False}, [4, 4, 4], False),
        ({"pattern": "decreasing"}, [10, 9, 8], True),
        ({"pattern": "decreasing"}, [10, 8, 7], True),  # 20 % at once is allowed
        ({"pattern": "decreasing"}, [10, 7, 6], False),
        ({"pattern": "decreasing"}, [10, 9, 9], False),
        ({"pattern": "decreasing", "maxDecreasePct": 100}, [10, 2, 1], True),
    ],
)
def test_patterns_are_over_the_numbers_per_period(options, counts, expected):
    document = {"$pattern": {"periodType": "day", **options}}

    assert parse_criteria(document).evaluate(logins(*counts), now=NOW).satisfied is expected


def test_the_running_period_is_left_out_unless_it_is_wanted():
    document = {"pattern": "consistent", "periodType": "day", "minPeriods": 2}
    history, now = logins(5, 5, 1), at("2026-01-03 12:00")

    assert parse_criteria({"$pattern": document}).evaluate(history, now=now).satisfied
    assert not parse_criteria({"$pattern": {**document, "includeCurrent": True}}).evaluate(history, now=now).satisfied
    assert not parse_criteria({"$pattern": document}).evaluate(history, now=at("2026-01-04")).satisfied


def test_periods_that_have_not_begun_are_left_out():
    document = {"pattern": "consistent", "periodType": "day", "minPeriods": 2, "includeCurrent": True}
    future = event("f", when="2027-01-01")

    assert (
        parse_criteria({"$pattern": document}).evaluate([*logins(5, 5), future], now=at("2026-01-02 01:00")).satisfied
    )


def test_a_pattern_over_thousands_of_years_is_not_satisfied_and_not_slow():
    document = {"$pattern": {"pattern": "consistent", "periodType": "day", "maxDeviation": 1}}
    result = parse_criteria(document).evaluate([event("a", when="0001-01-01"), event("b", when="2026-01-01")], now=NOW)

    assert not result.satisfied
    assert "10000 periods" in result.trace.note
