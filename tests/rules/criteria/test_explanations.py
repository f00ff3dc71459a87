"""Traces, what is missing, and what the log says."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from badges.rules import Translations, missing_text, parse_criteria
from tests.rules.criteria.documents import NOW, documents, event, histories

ANNA = "anna@example.org"


def explain(document, *history, figures=None):
    return parse_criteria(document).evaluate(history, now=NOW, figures=figures)


def test_a_trace_says_what_was_compared_where_and_with_what():
    result = explain(
        {"event": "quiz", "criteria": {"score": {"$gte": 80}, "mode": "exam"}}, event("e1", "quiz", score=62)
    )
    top = result.trace
    score, mode = top.children

    assert (top.path, top.operator, top.operand, top.event_id, top.result) == ("", "event", "quiz", "e1", False)
    assert score[:6] == ("/criteria/score/$gte", "$gte", 80, 62, "e1", False)
    assert mode[:6] == ("/criteria/mode", "$eq", "exam", None, "e1", False)
    assert mode.note == "there is no value"
    assert result.missing() == ["score 62, needs 80", "no mode, needs 'exam'"]


def test_the_event_that_came_closest_is_shown():
    document = {"event": "quiz", "criteria": {"score": {"$gte": 80}, "mode": "exam"}}
    result = explain(
        document,
        event("old", "quiz", "2026-03-01", score=70, mode="exam"),
        event("close", "quiz", "2026-03-02", score=75, mode="exam"),
        event("far", "quiz", "2026-03-03", score=1, mode="test"),
    )

    assert result.trace.event_id == "close"
    assert result.missing() == ["score 75, needs 80"]


@pytest.mark.parametrize(
    ("document", "missing"),
    [
        ({"event": "login", "criteria": {"$eventCount": {"$gte": 5}}}, ["3 of 5 events"]),
        ({"event": "login", "criteria": {"$eventCount": {"$gte": 2, "distinct": "day"}}}, ["1 of 2 different values"]),
        ({"event": "login", "criteria": {"$eventCount": {"$lt": 3}}}, ["3 events, needs less than 3"]),
        ({"$timePeriod": {"periodType": "month", "periodCount": {"$gte": 4}}}, ["2 of 4 periods"]),
        ({"$sequence": {"sequence": ["login", "quiz", "done"]}}, ["1 of 3 steps"]),
        ({"$gap": {"maxGapHours": 24}}, ["48 hours, needs at most 24"]),
        ({"$aggregate": {"type": "max", "field": "score", "value": {"$gt": 7}}}, ["max score 7, needs more than 7"]),
        ({"$pattern": {"pattern": "consistent", "periodType": "month"}}, ["1 of 3 periods"]),
        ({"$stat": {"xp": {"$gte": 50}}}, ["xp 40, needs 50"]),
        ({"$stat": {"current_streak": {"$gte": 7}}}, ["no current_streak, needs 7"]),
        ({"event": "login", "criteria": {"day": {"$exists": False}}}, ["day 1, needs to be missing"]),
        ({"$not": {"event": "login"}}, []),
        ({"$and": [{"event": "login"}, {"event": "login", "criteria": {"$eventCount": 4}}]}, ["3 of 4 events"]),
        (
            {"$timeWindow": {"last": "1d", "flow": {"event": "login", "criteria": {"$eventCount": 9}}}},
            ["1 of 9 events"],
        ),
        ({"event": "quiz"}, []),
    ],
)
def test_a_learner_is_told_what_is_missing(document, missing):
    history = [
        event("a", when="2026-02-26", day=1, score=5),
        event("b", when="2026-02-28", day=1, score=7),
        event("c", when="2026-03-31", day=1, score=2),
    ]

    assert explain(document, *history, figures={"xp": 40}).missing() == missing


def test_the_chain_of_a_sequence_is_shown():
    result = explain(
        {"$sequence": {"sequence": ["A", "B"], "maxGapSeconds": 60}},
        event("a1", "A", "2026-03-01 10:00"),
        event("a2", "A", "2026-03-01 10:05"),
        event("b", "B", "2026-03-01 10:06"),
    )
    (steps,) = result.trace.children

    assert [(step.operand, step.event_id) for step in steps.children] == [("A", "a2"), ("B", "b")]


@given(documents, histories())
def test_a_trace_is_json_and_its_paths_lead_into_the_document(document, history):
    trace = explain(document, *history).trace
    json.dumps(trace.as_json(), allow_nan=False)
    for step in trace.walk():
        place = document
        for key in step.path.split("/")[1:]:
            name = key.replace("~1", "/").replace("~0", "~")
            if isinstance(place, dict) and name not in place:
                assert name in ("periodCount", "minPeriods", "$gte")  # these have defaults
                break
            place = place[int(name)] if isinstance(place, list) else place[name]


def test_a_note_says_why_there_was_nothing_to_compare():
    def note(criteria, **payload):
        return explain({"event": "a", "criteria": criteria}, event("1", "a", **payload)).trace.children[0].note

    assert note({"x": {"$gte": 5}}, x="6") == "the value is not a number"
    assert note({"x": "6"}, x=6) == "the value is not text"
    assert note({"x": {"$regex": "a"}}, x="a" * 70_000) == "the value is longer than 64 KiB"
    assert note({"x": {"$gte": 5}}, x=6) == ""
    assert explain({"event": "quiz"}).trace.note == "there is no such event"


def test_the_log_shows_the_steps_without_what_events_and_documents_hold(caplog):
    criteria = parse_criteria(
        {"$or": [{"event": "quiz", "criteria": {"email": ANNA, "age": {"$gte": 417}}}, {"$stat": {"xp": {"$gte": 50}}}]}
    )
    with caplog.at_level("DEBUG", "badges.rules.criteria"):
        criteria.evaluate([event("e1", "quiz", email=ANNA, age=416)], now=NOW, figures={"xp": 40})

    assert caplog.messages == [
        "Evaluating flow definition: not satisfied",
        "/$or $or: not satisfied, observed nothing",
        "Evaluating criteria against event e1",
        "/$or/0 event: not satisfied, observed [redacted]",
        "/$or/0/criteria/email $eq: satisfied, observed [redacted]",
        "/$or/0/criteria/age/$gte $gte: not satisfied, observed [redacted]",
        "/$or/1/$stat $stat: not satisfied, observed nothing",
        "/$or/1/$stat/xp/$gte $gte: not satisfied, observed [redacted]",
    ]


def test_nothing_is_logged_above_debug(caplog):
    with caplog.at_level("INFO"):
        explain({"event": "quiz", "criteria": {"email": ANNA}}, event("e1", "quiz", email=ANNA))

    assert caplog.messages == []


class German:
    """A catalog with a few texts."""

    def gettext(self, message):
        return {"{observed} of {operand} {counted}": "{observed} von {operand} {counted}"}.get(message, message)

    def ngettext(self, singular, plural, number):
        return {"events": "Ereignissen"}.get(plural, plural)


def test_what_is_missing_can_be_translated():
    result = explain({"event": "login", "criteria": {"$eventCount": {"$gte": 5}}}, event("a"))

    assert result.missing(Translations(German())) == ["1 von 5 Ereignissen"]
    assert missing_text(result.trace.children[0]) == result.trace.children[0].missing == "1 of 5 events"


def test_a_length_of_time_is_said_with_its_unit():
    document = {"startEvent": {"type": "S"}, "endEvent": {"type": "E"}, "duration": {"$gte": 2}}
    history = [event("s", "S", "2026-03-01 10:00"), event("e", "E", "2026-03-01 11:30")]

    assert explain({"$duration": document}, *history).missing() == ["1.5 of 2 hours"]


def test_of_several_intervals_the_one_that_comes_closest_is_shown():
    history = [event(f"e{day}", "login", f"2026-03-{day:02d}") for day in (1, 2, 3, 9, 20)]
    count = {"event": "login", "criteria": {"$eventCount": {"$gte": 4}}}
    result = explain({"$withinTimeWindow": {"window": "3d", "conditions": count}}, *history)

    assert result.missing() == ["3 of 4 events"]
    assert result.trace.event_id == "e1"
