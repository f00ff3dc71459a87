"""When credentials are given: configuration, dates and now in, a decision out."""

from __future__ import annotations

import datetime as dt

import pytest

from credentials_config.contracts import Context
from credentials_config.schedules import Closed, FinalRun, Run, ScheduleRules, Skip, closes_at, decide, expires_at

START = dt.datetime(2026, 2, 1, 9, tzinfo=dt.UTC)
END = dt.datetime(2026, 6, 30, 17, tzinfo=dt.UTC)
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
COURSE = Context("course-v1:Demo+Algebra+2026", "Algebra", START, END)
ENDLESS = Context("course-v1:Demo+Geometry+2026", "Geometry", START, None)
UNDATED = Context("course-v1:Demo+Topology+2026", "Topology")
LATER = Context("course-v1:Demo+Algebra+2026", "Algebra", START, END + 60 * DAY)

EARNED = ScheduleRules()
AT_END = ScheduleRules(availability="course_end")
WEEK_AFTER = ScheduleRules(availability="after_end", days_after_end=7)
AUGUST = dt.datetime(2026, 8, 1, tzinfo=dt.UTC)
IN_AUGUST = ScheduleRules(availability="on_date", available_on=AUGUST)


@pytest.mark.parametrize(
    ("rules", "context", "now", "decision"),
    [
        # as soon as earned: from the start until the grace after the end is over
        (EARNED, COURSE, START - HOUR, Skip),
        (EARNED, COURSE, START, Run),
        (EARNED, COURSE, END, Run),
        (EARNED, COURSE, END + 48 * HOUR - dt.timedelta(seconds=1), Run),
        (EARNED, COURSE, END + 48 * HOUR, FinalRun),
        (EARNED, COURSE, END + 400 * DAY, FinalRun),  # a schedule that was off for a year: still one last run
        # no dates, nothing to wait for
        (EARNED, UNDATED, START, Run),
        (EARNED, ENDLESS, END + 4000 * DAY, Run),
        (AT_END, ENDLESS, START, Run),
        (WEEK_AFTER, ENDLESS, START, Run),
        (AT_END, ENDLESS, START - HOUR, Skip),
        # before the start, when somebody says so
        (ScheduleRules(ignore_start=True), COURSE, START - 90 * DAY, Run),
        (ScheduleRules(ignore_start=True, availability="course_end"), COURSE, START - HOUR, Skip),
        # at the end
        (AT_END, COURSE, END - HOUR, Skip),
        (AT_END, COURSE, END, Run),
        (AT_END, COURSE, END + 48 * HOUR, FinalRun),
        # some days after the end: longer than the grace, so the last run waits for it
        (WEEK_AFTER, COURSE, END + 48 * HOUR, Skip),
        (WEEK_AFTER, COURSE, END + 7 * DAY - HOUR, Skip),
        (WEEK_AFTER, COURSE, END + 7 * DAY, FinalRun),
        (ScheduleRules(availability="after_end", days_after_end=1), COURSE, END + DAY, Run),
        (ScheduleRules(availability="after_end", days_after_end=0), COURSE, END, Run),
        # on a date, before or after the end
        (IN_AUGUST, COURSE, END + 48 * HOUR, Skip),
        (IN_AUGUST, COURSE, AUGUST, FinalRun),
        (IN_AUGUST, LATER, AUGUST, Run),
        (IN_AUGUST, ENDLESS, AUGUST - HOUR, Skip),
        (IN_AUGUST, ENDLESS, AUGUST + 900 * DAY, Run),
        # the grace is the configuration's
        (ScheduleRules(grace_hours=0), COURSE, END, FinalRun),
        (ScheduleRules(grace_hours=500), COURSE, END + 499 * HOUR, Run),
        # closed means that the last run is done, and nothing else
        (ScheduleRules(closed=True), COURSE, END + 48 * HOUR, Closed),
    ],
)
def test_what_a_schedule_that_fires_should_do(
    rules: ScheduleRules, context: Context, now: dt.datetime, decision: type
) -> None:
    assert type(decide(rules, context, now)) is decision


@pytest.mark.parametrize(
    ("context", "rules", "decision"),
    [
        (LATER, ScheduleRules(closed=True), Run(reopens=True)),
        (ENDLESS, ScheduleRules(closed=True), Run(reopens=True)),  # the end date was taken away
    ],
)
def test_an_end_that_moved_opens_a_closed_context_again(context: Context, rules: ScheduleRules, decision: Run) -> None:
    assert decide(rules, context, END + 5 * DAY) == decision


def test_a_closed_context_that_now_starts_in_the_future_is_open_but_waits() -> None:
    again = Context(COURSE.key, COURSE.name, END + 300 * DAY, END + 400 * DAY)
    decision = decide(ScheduleRules(closed=True), again, END + 5 * DAY)
    assert isinstance(decision, Skip)
    assert decision.reopens


def test_a_skip_says_until_when() -> None:
    decision = decide(IN_AUGUST, COURSE, END)
    assert isinstance(decision, Skip)
    assert "2026-08-01 00:00 UTC" in decision.reason


def test_an_absurd_number_of_days_is_far_away_and_no_crash() -> None:
    far = closes_at(ScheduleRules(availability="after_end", days_after_end=2**31 - 1), COURSE)
    assert far is not None
    assert far.year == 9999


@pytest.mark.parametrize(
    ("days", "until", "expected"),
    [
        (None, None, None),
        (30, None, START + 30 * DAY),
        (None, END, END),
        (30, END, START + 30 * DAY),
        (3000, END, END),
    ],
)
def test_a_credential_expires_at_the_earlier_of_both_ways_to_say_it(
    days: int | None, until: dt.datetime | None, expected: dt.datetime | None
) -> None:
    assert expires_at(START, valid_days=days, valid_until=until) == expected
