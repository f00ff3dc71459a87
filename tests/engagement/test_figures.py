"""What everybody relies on: the figures follow from the activities, not from when and how often they arrive."""

from __future__ import annotations

import datetime as dt
import uuid
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from badges.engagement.experience import read_rules
from badges.engagement.figures import Basis, PastActivity, Totals, stats_of

NOW = dt.datetime(2026, 4, 3, 12, tzinfo=dt.UTC)
ZONES = ["UTC", "Europe/Brussels", "America/St_Johns", "Pacific/Kiritimati"]

# Around a change of the clock in Europe, so that days have 23, 24 and 25 hours.
moments = st.integers(0, 15 * 24 * 60).map(lambda minutes: NOW - dt.timedelta(minutes=minutes - 600))
activities = st.lists(
    st.builds(
        PastActivity,
        st.integers(0, 2**64).map(lambda number: uuid.UUID(int=number)),
        st.sampled_from(["quiz", "flashcards", "lesson"]),
        moments,
        st.none() | st.floats(0, 200),
        st.none() | st.integers(0, 80),
    ),
    max_size=25,
    unique_by=lambda activity: activity.digest,
)
bases = st.sampled_from(ZONES).map(lambda name: Basis(read_rules({"lesson": {"xp": 5}})[0], ZoneInfo(name)))


@given(activities, bases, st.data())
def test_any_order_and_any_duplicates_give_the_same_figures(given_activities, basis, data):
    repeated = data.draw(st.lists(st.sampled_from(given_activities), max_size=5)) if given_activities else []
    shuffled = data.draw(st.permutations([*given_activities, *repeated]))
    assert stats_of(shuffled, basis, now=NOW) == stats_of(given_activities, basis, now=NOW)


@given(activities, bases, st.integers(0, 25))
def test_adding_one_after_the_other_gives_what_reading_all_of_them_gives(given_activities, basis, place):
    totals = Totals()
    for activity in given_activities[place:] + given_activities[:place]:
        totals.add(activity, basis)
    assert totals.stats(basis, now=NOW) == stats_of(given_activities, basis, now=NOW)


def test_the_figures_of_a_learner():
    basis = Basis(read_rules({})[0], ZoneInfo("UTC"))
    found = stats_of(
        [
            PastActivity(uuid.UUID(int=1), "quiz", NOW, score=80.0),
            PastActivity(uuid.UUID(int=2), "flashcards", NOW - dt.timedelta(days=1), cards=12),
            PastActivity(uuid.UUID(int=3), "quiz", NOW - dt.timedelta(days=4), score=7.5),
        ],
        basis,
        now=NOW,
    )
    assert found.total_xp == 99
    assert found.activities == {"flashcards": 1, "quiz": 2}
    assert (found.total_activities, found.current_streak, found.longest_streak) == (3, 2, 2)


def test_the_basis_changes_with_the_rules_and_with_the_time_zone():
    digests = {
        Basis(read_rules(rules)[0], ZoneInfo(zone)).digest
        for rules in ({}, {"quiz": {"xp": 1}}, {"quiz": {"xp": 2}}, {"essay": {"xp": 1}})
        for zone in ("UTC", "Europe/Brussels")
    }
    assert len(digests) == 8
