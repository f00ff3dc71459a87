"""Reading ``Retry-After`` headers."""

from __future__ import annotations

import datetime as dt

import pytest

from badges.common.retry_after import retry_after_seconds

NOW = dt.datetime(2024, 3, 1, 12, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("Fri, 01 Mar 2024 12:00:30 GMT", 30),
        ("Friday, 01-Mar-24 12:01:00 GMT", 60),  # RFC 850
        ("Fri Mar  1 12:02:00 2024", 120),  # asctime, which is UTC
        ("Fri, 01 Mar 2024 14:00:05 +0200", 5),
        ("Fri, 01 Mar 2024 11:59:00 GMT", 0),  # has passed
        ("31536000", 86400),  # a year is a day
        ("Sat, 01 Mar 2025 12:00:00 GMT", 86400),
        ("9" * 400, 86400),
        (None, None),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("٣٠", None),  # digits, but not HTTP's
        ("soon", None),
        ("Fri, 99 Mar 2024 12:00:30 GMT", None),
        ("Fri, 01 Mar 99999999999999999999 12:00:30 GMT", None),  # no year of any calendar
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, now=NOW) == seconds
