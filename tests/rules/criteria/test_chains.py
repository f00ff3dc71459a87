"""Sequences, gaps, durations and aggregates."""

from __future__ import annotations

import pytest

from badges.rules import Event, parse_criteria
from tests.rules.criteria.documents import NOW, event


def history(text):
    """Events from text such as "A@1 B@2": types at minutes of one hour, ids in the order that is written."""
    return [
        Event(f"e{number}", name, f"2026-03-01T10:{int(minute):02}:00Z", {})
        for number, (name, _, minute) in enumerate(part.partition("@") for part in text.split())
    ]


def holds(name, options, events):
    events = history(events) if isinstance(events, str) else events
    return parse_criteria({name: options}).evaluate(events, now=NOW).satisfied


@pytest.mark.parametrize(
    ("options", "events", "expected"),
    [
        ({}, "A@1 B@2", True),
        ({}, "B@2 A@1", True),  # arrival does not matter
        ({}, "A@2 B@1", False),
        ({}, "A@1 B@1", False),  # strictly later
        ({}, "A@1 X@2 B@3", True),
        ({"sequence": ["A", "A"]}, "A@1", False),  # one event fills one step
        ({"sequence": ["A", "A"]}, "A@1 A@2", True),
        ({"sequence": ["A", "A"]}, "A@1 A@1", False),
        # any chain counts, not only the greedy one
        ({"maxGapSeconds": 60}, "A@1 A@5 B@6", True),
        ({"maxGapSeconds": 60}, "A@1 B@3 A@5 B@6", True),
        ({"maxGapSeconds": 60}, "A@1 B@3", False),
        ({"maxGapSeconds": 120}, "A@1 B@3", True),  # the bound is included
        ({"maxGapSeconds": 119.9}, "A@1 B@3", False),
        ({"sequence": ["A", "B", "C"], "maxGapSeconds": 120}, "A@1 B@2 B@3 C@5", True),
        ({"sequence": ["A", "B", "C"], "maxGapSeconds": 120}, "A@1 B@3 A@4 C@5", True),
        ({"sequence": ["A", "B", "C"], "maxGapSeconds": 60}, "A@1 B@2 A@3 B@5 C@6", False),
        # nothing may happen in between
        ({"requireStrict": True}, "A@1 B@2", True),
        ({"requireStrict": True}, "A@1 X@2 B@3", False),
        ({"requireStrict": True}, "A@1 X@2 A@3 B@4", True),
        ({"requireStrict": True}, "X@0 A@1 B@2 X@3", True),
        ({"requireStrict": True, "sequence": ["A", "A", "B"]}, "A@1 A@2 A@3 B@4", True),
        ({"requireStrict": True}, "A@1 X@1 B@2", False),  # X comes after A by its id
        ({"requireStrict": True}, "X@1 A@1 B@2", True),
        ({"requireStrict": True}, "A@1 B@1", False),
    ],
)
def test_a_sequence_is_any_chain_of_events(options, events, expected):
    assert holds("$sequence", {"sequence": ["A", "B"], **options}, events) is expected


def test_a_long_history_does_not_make_a_sequence_slow():
    events = [event(f"{number:05}", "AB"[number % 2], NOW.replace(microsecond=number)) for number in range(2000)]
    document = {"sequence": ["A", "B"] * 20 + ["C"], "maxGapSeconds": 1}

    assert not holds("$sequence", document, events)


@pytest.mark.parametrize(
    ("options", "events", "expected"),
    [
        ({"minGapHours": 0.5}, "A@0 A@30", True),
        ({"minGapHours": 0.5}, "A@0 A@29", False),
        ({"maxGapHours": 0.5}, "A@0 A@30 A@59", True),
        ({"maxGapHours": 0.5}, "A@0 A@31", False),
        ({"maxGapHours": 0.1}, "A@0 A@6", True),  # a tenth of an hour is six minutes, exactly
        ({"minGapHours": 0.1}, "A@0 A@6", True),
        ({"minGapHours": 0.1, "maxGapHours": 0.2}, "A@0 A@7 A@20", False),
        ({"minGapHours": 0}, "A@0 A@0", True),
        ({"minGapHours": 0}, "A@0", False),
        ({"minGapHours": 0}, "", False),
        ({"maxGapHours": 0.1}, "A@0 B@3 A@6", True),
        ({"maxGapHours": 0.05}, "A@0 B@3 A@6", False),
        ({"maxGapHours": 0.05, "event": None}, "A@0 B@3 A@6", True),
    ],
)
def test_all_gaps_between_events_have_to_be_long_or_short_enough(options, events, expected):
    options = {"event": "A", **options}
    if options["event"] is None:
        del options["event"]
    assert holds("$gap", options, events) is expected


def test_excluded_events_make_no_gap():
    events = [event("a", when="2026-03-01 10:00"), event("b", when="2026-03-01 11:00", auto=True)]
    events.append(event("c", when="2026-03-01 13:00"))

    assert holds("$gap", {"minGapHours": 3, "excludeConditions": {"auto": True}}, events)
    assert not holds("$gap", {"minGapHours": 3}, events)


@pytest.mark.parametrize(
    ("options", "events", "expected"),
    [
        ({"duration": {"$eq": 10}}, "S@0 E@10", True),
        ({"duration": {"$eq": 15}}, "S@0 E@10 S@20 E@25", True),  # in all
        ({"duration": {"$eq": 5}, "of": "any"}, "S@0 E@10 S@20 E@25", True),
        ({"duration": {"$eq": 15}, "of": "any"}, "S@0 E@10 S@20 E@25", False),
        ({"duration": {"$eq": 5}}, "S@0 S@5 E@10", True),  # the latest open start
        ({"duration": {"$eq": 16}}, "S@0 S@5 E@10 E@11", True),
        ({"duration": {"$eq": 10}}, "S@0 E@10 E@20", True),  # closed is closed
        ({"duration": {"$lt": 5}}, "S@0", False),  # no pair
        ({"duration": {"$lt": 5}}, "E@0 S@5", False),
        ({"duration": {"$gte": 600}, "unit": "seconds"}, "S@0 E@10", True),
        ({"duration": {"$eq": 0.1}, "unit": "hours"}, "S@0 E@6", True),
        ({"duration": {"$between": [9, 11]}}, "S@0 E@10", True),
        # an event that is both ends one and begins the next
        ({"endEvent": {"type": "S"}, "duration": {"$eq": 15}}, "S@0 S@5 S@15", True),
        ({"endEvent": {"type": "S"}, "duration": {"$gte": 0}}, "S@0", False),
    ],
)
def test_ends_are_paired_with_starts(options, events, expected):
    document = {"startEvent": {"type": "S"}, "endEvent": {"type": "E"}, "unit": "minutes", **options}

    assert holds("$duration", document, events) is expected


def test_pairs_have_to_agree_in_the_property():
    def session(event_id, kind, when, **payload):
        return event(event_id, kind, f"2026-03-01 {when}", **payload)

    document = {
        "startEvent": {"type": "S", "criteria": {"real": True}},
        "endEvent": {"type": "E"},
        "duration": {"$eq": 2},
        "matchProperty": "session.id",
    }
    events = [
        session("1", "S", "10:00", session={"id": 1}, real=True),
        session("2", "S", "11:00", session={"id": "1"}, real=True),
        session("3", "S", "11:30", session={"id": 1}, real=False),
        session("4", "S", "11:45", real=True),
        session("5", "E", "12:00", session={"id": 1.0}),
        session("6", "E", "13:00"),
    ]

    assert holds("$duration", document, events)


@pytest.mark.parametrize(
    ("kind", "threshold", "values", "expected"),
    [
        ("sum", {"$eq": 0.3}, [0.1, 0.2], True),  # exact: a double would say 0.30000000000000004
        ("sum", {"$eq": 2**53 + 1}, [2**53, 1], True),
        ("sum", {"$eq": 1}, [1e308, 1, -1e308], True),
        ("avg", {"$eq": 0.2}, [0.1, 0.2, 0.3], True),
        ("avg", {"$gte": 80}, [79, 81], True),
        ("min", {"$eq": 3}, [5, 3.0], True),
        ("max", {"$gt": 5}, [5, 3], False),
        ("count", {"$eq": 2}, [5, "5", True, None, 3, float("nan"), [1]], True),  # numbers only
        ("sum", {"$eq": 8}, [5, "5", True, None, 3, float("inf")], True),
        ("sum", {"$eq": 0}, [], True),
        ("count", {"$eq": 0}, ["5"], True),
        ("min", {"$lt": 5}, [], False),
        ("max", {"$gte": 0}, ["5"], False),
        ("avg", {"$gte": 0}, [], False),
    ],
)
def test_numbers_are_aggregated_exactly(kind, threshold, values, expected):
    document = {"type": kind, "event": "quiz", "field": "score", "value": threshold}
    events = [event(str(number), "quiz", score=value) for number, value in enumerate(values)]

    assert holds("$aggregate", document, [*events, event("other", "exam", score=1000)]) is expected


def test_counting_without_a_field_counts_events():
    assert holds("$aggregate", {"type": "count", "event": "A", "value": {"$eq": 2}}, "A@1 A@2 B@3")
