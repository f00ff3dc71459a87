"""The pace after too many requests: pure arithmetic."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.outbox.pace import FIRST_INTERVAL, LONGEST_INTERVAL, Pace, interval_at, slower

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


def later(minutes: float) -> dt.datetime:
    return NOW + dt.timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("pace", "minutes", "interval"),
    [
        (Pace(), 0, 0.0),  # never refused: no limit
        (Pace(8.0, NOW), 0, 8.0),
        (Pace(8.0, NOW), 1, 8.0 / 1.1),  # a tenth more requests after a minute
        (Pace(8.0, NOW), 7.2725, 4.0),  # twice as many after seven
        (Pace(8.0, NOW), 24 * 60, 0.0),  # forgotten after a day
        (Pace(8.0, NOW), 1e9, 0.0),
        (Pace(8.0, later(5)), 0, 8.0),  # another worker's clock is ahead
    ],
)
def test_the_time_between_requests_becomes_shorter_by_itself(pace: Pace, minutes: float, interval: float) -> None:
    assert interval_at(pace, later(minutes)) == pytest.approx(interval, rel=1e-3)


def test_each_refusal_halves_the_requests_down_to_a_floor() -> None:
    pace, seen = Pace(), []
    for _ in range(12):
        pace = slower(pace, NOW)
        seen.append(pace.interval)
    assert seen[:4] == [FIRST_INTERVAL, 1.0, 2.0, 4.0]
    assert seen[-1] == LONGEST_INTERVAL


@given(st.floats(0, 1000), st.floats(0, 1e6))
def test_a_refusal_is_never_answered_by_going_faster(interval: float, minutes: float) -> None:
    before, now = Pace(interval, NOW), later(minutes)
    assert slower(before, now).interval >= min(interval_at(before, now), LONGEST_INTERVAL)
