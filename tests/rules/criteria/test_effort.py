"""
How much work an evaluation is, counted in looks at events: their types, times and payloads.

Looks are counted because times differ from machine to machine. One look is well below a microsecond.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import CriteriaError, Event, earned, parse_criteria
from badges.rules.criteria import earning, windows
from badges.rules.criteria.events import in_order
from badges.rules.criteria.replay import Replay
from tests.rules.criteria.documents import (
    KINDS,
    NOW,
    TYPES,
    dense_histories,
    documents,
    event,
    figures,
    growing_documents,
    histories,
    intervals,
    is_bounded,
    leaves,
    logic,
)
from tests.rules.criteria.naive import naive
from tests.support.examples import examples

LOOKS = ("type", "occurred_at", "payload")


class WatchedEvent(Event):
    """An event that counts how often somebody looks at it, together with all others."""

    looks = 0

    def __getattribute__(self, name):
        if name in LOOKS:
            WatchedEvent.looks += 1
        return super().__getattribute__(name)


def history_of(number, *, minutes=30, types=("login", "quiz")):
    """Events of several types in turn, the newest one now."""
    return [
        WatchedEvent(f"{each:06}", types[each % len(types)], NOW - timedelta(minutes=minutes) * (number - each), {})
        for each in range(number)
    ]


def looks_at(history, ask):
    """How often it is looked at the events while something is asked."""
    WatchedEvent.looks = 0
    ask(history)
    return WatchedEvent.looks


def evaluation_of(document):
    criteria = parse_criteria(document)
    return lambda history: criteria.evaluate(history, now=NOW).satisfied


def explanation_of(document):
    criteria = parse_criteria(document)
    return lambda history: criteria.evaluate(history, now=NOW).trace


def inside(document, *lengths):
    """A document in intervals inside each other."""
    for length in lengths:
        document = {"$withinTimeWindow": {"window": length, "conditions": document}}
    return document


def at_least(number, event_type="login"):
    return {"event": event_type, "criteria": {"$eventCount": {"$gte": number}}}


FOUR_LEVELS = inside({"$and": [at_least(500), {"event": "quiz"}]}, "6h", "12h", "5d", "10d")


# --- intervals inside intervals --------------------------------------------------------------------------------------


@examples(400)
@given(intervals(growing_documents), histories() | dense_histories(), figures)
def test_intervals_of_growing_conditions_say_what_the_simple_evaluation_says(document, history, known):
    criteria = parse_criteria(document)

    result = criteria.evaluate(history, now=NOW, figures=known)

    assert not criteria.asks_intervals_one_by_one
    assert result.satisfied is result.trace.result is naive(document, history, NOW, known)


@examples(200)
@given(
    intervals(logic(leaves | intervals(growing_documents))).filter(is_bounded),
    histories() | dense_histories(),
    figures,
)
def test_intervals_of_any_conditions_say_what_the_simple_evaluation_says(document, history, known):
    result = parse_criteria(document).evaluate(history, now=NOW, figures=known)

    assert result.satisfied is result.trace.result is naive(document, history, NOW, known)


half_hours = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 9)), min_size=3, max_size=9).map(
    lambda drawn: [
        Event(f"e{number}", name, NOW + timedelta(minutes=30) * at, {}) for number, (name, at) in enumerate(drawn)
    ]
)


@examples(400)
@given(
    st.lists(st.sampled_from(TYPES), min_size=2, max_size=4),
    st.sampled_from([{}, {"maxGapSeconds": 1800}, {"maxGapSeconds": 3600}]),
    st.sampled_from(["30m", "1h", "90m", "2h"]),
    half_hours,
)
def test_sequences_in_intervals_say_what_the_simple_evaluation_says(steps, gap, length, history):
    document = inside({"$sequence": {"sequence": steps, **gap}}, length)

    assert parse_criteria(document).evaluate(history, now=NOW).satisfied is naive(document, history, NOW)


@pytest.mark.parametrize("levels", [1, 2, 4, 12])
def test_every_level_of_intervals_looks_at_each_event_a_few_times(levels):
    document = inside(
        {"$and": [at_least(500), {"event": "quiz"}]}, *["12h", "5d"] * (levels // 2), *["9d"][: levels % 2]
    )

    assert looks_at(history_of(80), evaluation_of(document)) < 80 * 12 * (levels + 1)


def test_with_ten_times_as_many_events_intervals_are_ten_times_the_work():
    few, many = (looks_at(history_of(number), evaluation_of(FOUR_LEVELS)) for number in (100, 1000))

    assert many < 11 * few


def test_a_long_sequence_in_an_interval_looks_at_each_event_a_few_times_for_each_step():
    steps = [{"event": "login" if step % 2 else "quiz"} for step in range(100)]
    document = inside({"$sequence": {"sequence": [*steps, "never"], "maxGapSeconds": 86400}}, "9d")

    assert looks_at(history_of(1000), evaluation_of(document)) < 1000 * 10 * 100


def test_an_explanation_of_intervals_does_not_grow_with_the_power_of_their_levels():
    one, four = (
        looks_at(history_of(80), explanation_of(inside(at_least(500), *lengths)))
        for lengths in (["5d"], ["6h", "12h", "5d", "10d"])
    )

    assert four < 80 * one


@pytest.mark.parametrize(
    "conditions",
    [
        {"$not": {"event": "login"}},
        {"$gap": {"maxGapHours": 1}},
        {"$pattern": {"pattern": "consistent", "periodType": "day"}},
        {"event": "login", "criteria": {"$eventCount": 3}},
        {"$sequence": {"sequence": ["login"], "requireStrict": True}},
    ],
)
def test_an_interval_that_events_can_undo_is_refused_inside_another_one(conditions):
    inner = {"$timeWindow": {"last": "1y", "flow": {"$and": [{"event": "quiz"}, inside(conditions, "1h")]}}}

    with pytest.raises(CriteriaError) as refused:
        parse_criteria(inside(inner, "1d"))

    assert refused.value.kind == "limit"
    path = "/$withinTimeWindow/conditions/$timeWindow/flow/$and/1/$withinTimeWindow/conditions"
    assert refused.value.path == path
    assert "beside the other one" in refused.value.message
    assert parse_criteria(inner).asks_intervals_one_by_one
    assert parse_criteria(inside(conditions, "1d")).asks_intervals_one_by_one


def test_intervals_that_events_can_undo_are_asked_from_the_newest_until_they_held_many_events(monkeypatch):
    exactly_two = parse_criteria(inside({"event": "login", "criteria": {"$eventCount": 2}}, "1h"))
    history = [
        event(f"{day}-{number}", when=f"2026-03-{day:02} 10:0{number}") for day in (1, 2, 3) for number in (1, 2)
    ]
    history += [event("alone", when="2026-03-09")]
    assert exactly_two.evaluate(history, now=NOW).satisfied

    # Of the third of March: the second event, and both of them. The last event of all is one more.
    monkeypatch.setattr(windows, "MAX_IN_INTERVALS", 4)
    assert exactly_two.evaluate(history, now=NOW).satisfied

    monkeypatch.setattr(windows, "MAX_IN_INTERVALS", 3)
    assert not exactly_two.evaluate(history, now=NOW).satisfied


# --- late events -----------------------------------------------------------------------------------------------------

LATE = NOW - timedelta(days=15)
PATTERN = {"$pattern": {"event": "login", "pattern": "increasing", "periodType": "day"}}


def late_arrival_at(document):
    """What is asked when an event arrives that is 15 days late."""
    criteria = parse_criteria(document)
    return lambda history: earned(criteria, history, since=LATE, newest=LATE, now=NOW)


@examples(400)
@given(documents | st.one_of(KINDS["$pattern"], *KINDS.values()), histories() | dense_histories(), figures)
def test_a_replay_says_at_every_moment_what_a_single_evaluation_says(document, history, known):
    criteria, replay, events = parse_criteria(document), Replay(), in_order(history)
    moments = sorted({moment for one in events for moment in (one.occurred_at, one.occurred_at + timedelta(hours=30))})

    for now in moments:
        until = [one for one in events if one.occurred_at <= now]
        replayed = criteria.evaluate_in_order(until, now=now, figures=known, replay=replay)
        assert replayed.satisfied is criteria.evaluate_in_order(until, now=now, figures=known).satisfied


def test_in_a_replay_a_pattern_that_includes_the_running_period_sees_every_new_event():
    pattern = {**PATTERN["$pattern"], "includeCurrent": True, "minPeriods": 2}
    history = [event(f"e{hour}", when=f"2026-03-{day} {hour}:00") for day, hour in ((30, 10), (31, 11), (31, 12))]

    answer = earned(parse_criteria({"$pattern": pattern}), history, since=history[0].occurred_at, now=NOW)

    assert answer.earned.event.id == "e12"


@pytest.mark.parametrize("include_current", [False, True])
def test_a_late_event_costs_a_pattern_a_few_looks_at_each_later_event(include_current):
    pattern = {"$pattern": {**PATTERN["$pattern"], "includeCurrent": include_current}}

    assert looks_at(history_of(10_000), late_arrival_at(pattern)) < 12 * 10_000


UNDONE_BY_EVENTS = [
    {"$gap": {"event": "login", "maxGapHours": 0.01}},
    {"$aggregate": {"type": "avg", "field": "score", "value": {"$gte": 80}}},
    {"$duration": {"startEvent": {"type": "login"}, "endEvent": {"type": "quiz"}, "duration": {"$gte": 10**9}}},
    {"$sequence": {"sequence": ["login", "login"], "requireStrict": True}},
    {"$timeWindow": {"last": "300d", "flow": PATTERN}},
    {"event": "login", "criteria": {"timestamp": {"$lt": "$NOW(-1h)"}, "$eventCount": 9000}},
    inside({"event": "login", "criteria": {"$eventCount": {"$gte": 1, "$lt": 1}}}, "1h"),
]


@pytest.mark.parametrize("document", UNDONE_BY_EVENTS)
def test_what_a_late_event_has_looked_at_is_bounded(document, monkeypatch):
    monkeypatch.setattr(earning, "MAX_LOOKS", 30_000)

    # The last moment that is asked looks at all events once more.
    assert looks_at(history_of(1000), late_arrival_at(document)) < 8 * (30_000 + 2_000)


@pytest.mark.parametrize("document", UNDONE_BY_EVENTS)
def test_moments_that_are_left_are_asked_later(document, monkeypatch):
    monkeypatch.setattr(earning, "MAX_LOOKS", 500)
    criteria, history = parse_criteria(document), history_of(100)
    since, asked = history[0].occurred_at, 0

    while since is not None and since < NOW:
        answer = earned(criteria, history, since=since, now=NOW)
        assert answer.earned is None
        assert answer.next_check is None or answer.next_check > since
        since, asked = answer.next_check, asked + 1

    assert asked > 1
