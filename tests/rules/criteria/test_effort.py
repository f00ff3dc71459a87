"""
How much work an evaluation is, counted in looks at events: their types, times and payloads.

Looks are counted because times differ from machine to machine. One look is well below a microsecond.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from badges.rules import CriteriaError, Event, parse_criteria
from badges.rules.criteria import windows
from tests.rules.criteria.documents import (
    NOW,
    TYPES,
    dense_histories,
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


@settings(max_examples=400, deadline=None)
@given(intervals(growing_documents), histories() | dense_histories(), figures)
def test_intervals_of_growing_conditions_say_what_the_simple_evaluation_says(document, history, known):
    criteria = parse_criteria(document)

    result = criteria.evaluate(history, now=NOW, figures=known)

    assert not criteria.asks_intervals_one_by_one
    assert result.satisfied is result.trace.result is naive(document, history, NOW, known)


@settings(max_examples=200, deadline=None)
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


@settings(max_examples=400, deadline=None)
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
