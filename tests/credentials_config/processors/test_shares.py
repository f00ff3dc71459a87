"""Figures as the LMS reports them, and as people read them."""

from __future__ import annotations

import pytest

from credentials_config.processors.shares import percent, reaches, share


@pytest.mark.parametrize(("value", "expected"), [(0, 0.0), (1, 1.0), (0.5, 0.5), (1 + 1e-12, 1.0)])
def test_a_share_is_between_nought_and_one(value, expected):
    assert share(value) == expected


@pytest.mark.parametrize(
    "value",
    [None, True, False, "0.9", "", [], {}, float("nan"), float("inf"), float("-inf"), -0.01, 1.01, 90],
)
def test_anything_else_is_no_share(value):
    assert share(value) is None


def test_sums_of_tenths_reach_what_they_should():
    assert reaches(0.7 + 0.1, 0.8)
    assert not reaches(0.7999, 0.8)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.9, "90 %"),
        (0.8996, "89.96 %"),
        (0.89999, "89.99 %"),  # never rounded up to what was demanded
        (0.0, "0 %"),
        (1.05, "105 %"),
        (0.29, "29 %"),  # which is a little less in binary
    ],
)
def test_shares_are_written_as_people_do(value, text):
    assert percent(value) == text
