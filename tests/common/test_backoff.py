"""When to try again, as tables."""

from __future__ import annotations

import math

import pytest

from badges.common.backoff import next_delay


@pytest.mark.parametrize(
    ("attempts", "shortest", "longest"),
    [
        (1, 1.0, 2.0),  # base 2: the upper half of it
        (2, 2.0, 4.0),
        (3, 4.0, 8.0),
        (10, 512.0, 1024.0),
        (12, 1800.0, 3600.0),  # 4096 would be its turn, capped
        (5000, 1800.0, 3600.0),  # no overflow, however patient somebody is
        (0, 1.0, 2.0),  # not tried yet counts as the first
    ],
)
def test_the_wait_doubles_up_to_the_cap_and_its_upper_half_is_random(
    attempts: int, shortest: float, longest: float
) -> None:
    assert next_delay(attempts, base=2.0, cap=3600.0, random=lambda: 0.0) == shortest
    assert next_delay(attempts, base=2.0, cap=3600.0, random=lambda: 1.0) == longest


@pytest.mark.parametrize(
    ("asked", "shortest", "longest"),
    [
        (30.0, 30.0, 33.0),  # never sooner than asked, a tenth later at most
        (1.5, 1.5, 1.65),  # sooner than our own third try would be: they know best
        (0.0, 1.0, 1.1),  # "at once" is half of the base, lest it be a hot loop
        (-7.0, 1.0, 1.1),
        (math.inf, 86400.0, 95040.0),  # a day, whatever they say
        (10.0**12, 86400.0, 95040.0),
    ],
)
def test_what_the_other_side_asks_for_goes_before_our_own_reckoning(
    asked: float, shortest: float, longest: float
) -> None:
    assert next_delay(3, base=2.0, cap=60.0, retry_after=asked, random=lambda: 0.0) == pytest.approx(shortest)
    assert next_delay(3, base=2.0, cap=60.0, retry_after=asked, random=lambda: 1.0) == pytest.approx(longest)


def test_a_wait_that_is_no_number_is_not_listened_to() -> None:
    assert next_delay(1, base=2.0, cap=60.0, retry_after=math.nan, random=lambda: 0.0) == 1.0


def test_rows_that_failed_together_do_not_come_back_together() -> None:
    assert len({next_delay(4, base=2.0, cap=60.0) for _ in range(50)}) > 40
