"""Times: one spelling for a moment."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import canonical_time

INDIA = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    "spelling",
    [
        "2026-03-01T09:30:00Z",
        "2026-03-01t09:30:00z",
        "2026-03-01 09:30:00+00:00",  # what str(datetime) writes
        "2026-03-01T15:00:00+05:30",
        "2026-02-28T23:30:00-10:00",
        "2026-03-01T09:30:00.0Z",
        "2026-03-01T09:30:00.000000000Z",
        "2026-03-01T09:30:00.000000999Z",  # finer than microseconds is cut off
        datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        datetime(2026, 3, 1, 15, 0, tzinfo=INDIA),
    ],
)
def test_every_spelling_of_a_moment_becomes_the_same_text(spelling):
    assert canonical_time(spelling) == "2026-03-01T09:30:00.000000Z"


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-01T09:30:00",  # no offset: nobody knows when that is
        datetime(2026, 3, 1, 9, 30),  # noqa: DTZ001 - the point of it
        date(2026, 3, 1),
        "2026-03-01",
        "2026-02-31T09:30:00Z",
        "2026-03-01T24:00:00Z",
        "2026-03-01T09:30:60Z",  # a leap second is no point that a datetime can hold
        "2026-W09-7T09:30:00Z",  # ISO 8601, not RFC 3339
        "20260301T093000Z",
        "2026-03-01T09:30Z",
        "٢٠٢٦-03-01T09:30:00Z",  # digits, but not those of the standard
        "0001-01-01T00:00:00+01:00",  # before the first moment
        "2026-03-01T09:30:00Z\n",
        1772357400,
        True,
        None,
        "",
    ],
)
def test_what_is_no_moment_is_refused_with_what_is_accepted(value):
    with pytest.raises(ValueError, match="2026-03-01T09:30:00Z"):
        canonical_time(value)


moments = st.datetimes(min_value=datetime(2, 1, 1), timezones=st.sampled_from([UTC, INDIA]))  # noqa: DTZ001


@given(moments, moments)
def test_canonical_times_compare_as_text_as_they_do_as_instants(one, other):
    assert (canonical_time(one) < canonical_time(other)) == (one < other)
    assert (canonical_time(one) == canonical_time(other)) == (one == other)
