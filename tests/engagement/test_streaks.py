"""What a learner relies on: days in a row count as such, in the time zone where the learner lives."""

from __future__ import annotations

import datetime as dt
import itertools
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.engagement.streaks import add_day, current_streak, day_of, longest_streak

days = st.lists(st.integers(1, 40), max_size=30)


def runs_of(numbers):
    runs = []
    for number in numbers:
        add_day(runs, number)
    return runs


@given(days)
def test_runs_are_the_days_whatever_their_order(numbers):
    runs = runs_of(numbers)
    assert [day for first, last in runs for day in range(first, last + 1)] == sorted(set(numbers))
    assert all(after[0] > before[1] + 1 for before, after in itertools.pairwise(runs))


@given(days, st.integers(1, 42))
def test_streaks_are_what_counting_day_by_day_gives(numbers, today):
    until_today = {number for number in numbers if number <= today}
    longest = current = length = 0
    for day in range(1, today + 1):
        length = length + 1 if day in until_today else 0
        longest = max(longest, length)
        if length:
            current = length if day >= today - 1 else 0
    assert longest_streak(runs_of(numbers), today=today) == longest
    assert current_streak(runs_of(numbers), today=today) == current


@pytest.mark.parametrize(
    ("numbers", "current", "longest"),
    [
        ([], 0, 0),
        ([10], 1, 1),
        ([9], 1, 1),  # today there is still time
        ([8], 0, 1),
        ([7, 8, 9, 10], 4, 4),
        ([5, 6, 7, 9, 10], 2, 3),
        ([9, 10, 11, 12], 2, 2),  # days to come do not count yet
        ([11], 0, 0),
    ],
)
def test_a_day_without_an_activity_ends_a_streak_when_it_is_over(numbers, current, longest):
    assert current_streak(runs_of(numbers), today=10) == current
    assert longest_streak(runs_of(numbers), today=10) == longest


@pytest.mark.parametrize(
    ("moment", "zone", "day"),
    [
        ("2026-03-28T22:59:59Z", "Europe/Brussels", "2026-03-28"),
        ("2026-03-28T23:00:00Z", "Europe/Brussels", "2026-03-29"),  # the clock goes forward in this night
        ("2026-03-29T21:59:59Z", "Europe/Brussels", "2026-03-29"),
        ("2026-03-29T22:00:00Z", "Europe/Brussels", "2026-03-30"),
        ("2026-10-25T22:59:59Z", "Europe/Brussels", "2026-10-25"),  # a day of 25 hours
        ("2026-03-28T23:30:00Z", "UTC", "2026-03-28"),
        ("2026-03-28T12:00:00Z", "Pacific/Kiritimati", "2026-03-29"),
        ("9999-12-31T23:00:00Z", "Pacific/Kiritimati", "9999-12-31"),
        ("0001-01-01T01:00:00Z", "America/New_York", "0001-01-01"),
    ],
)
def test_a_day_begins_at_midnight_of_its_time_zone(moment, zone, day):
    found = day_of(dt.datetime.fromisoformat(moment), ZoneInfo(zone))
    assert dt.date.fromordinal(found).isoformat() == day
