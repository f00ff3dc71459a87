"""What is refused when a document is saved: kind, path, and what to write instead."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import CriteriaError, parse_criteria
from tests.rules.criteria.documents import documents
from tests.rules.examples import any_json

FLOW = {"event": "login"}


def refused(document):
    """The error for a document."""
    with pytest.raises(CriteriaError) as caught:
        parse_criteria(document)
    return caught.value


def fields(**criteria):
    """A document with field conditions."""
    return {"event": "quiz", "criteria": criteria}


# --- JSON ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("", "", "line 1, column 1"),
        ("{", "", "write valid JSON; line 1, column 2"),
        ('{"event": "login"} x', "", "line 1, column 20"),
        ("{'event': 'login'}", "", "double quotes"),
        ('{"event": "login",}', "", "line 1"),
        ('{\n  "event": "login" // every day\n}', "", '"$comment"'),
        ('{"event": "login" /* every day */}', "", '"$comment"'),
        ('# logins\n{"event": "login"}', "", '"$comment"'),
        ('{"event": "a", "criteria": {"score": NaN}}', "/criteria/score", "a finite number"),
        ('{"event": "a", "criteria": {"score": {"$gt": -Infinity}}}', "/criteria/score/$gt", "a finite number"),
        ('{"event": "a", "criteria": {"score": {"$in": [1, Infinity]}}}', "/criteria/score/$in/1", "a finite number"),
        ('{"event": "a", "criteria": {"score": 1e400}}', "/criteria/score", "a finite number"),
        (f'{{"event": "a", "criteria": {{"score": {"9" * 5000}}}}}', "/criteria/score", "a finite number"),
        ('{"event": "a", "event": "b"}', "/event", "the key 'event' is written twice"),
        ('{"$and": [{"event": "a", "criteria": {"x": 1, "x": 1}}]}', "/$and/0/criteria/x", "written twice"),
        (r'{"event": "\ud800"}', "/event", "broken surrogates"),
        (r'{"event": "a\u0000"}', "/event", "NUL"),
    ],
)
def test_what_is_no_strict_json_is_refused(text, path, message):
    error = refused(text)

    assert (error.kind, error.path) == ("invalid_json", path)
    assert message in error.message


def test_slashes_and_hashes_inside_text_are_no_comments():
    assert parse_criteria('{"event": "http://host/#login"}').event_types == {"http://host/#login"}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (fields(score=float("nan")), "/criteria/score"),
        (fields(score={"$gt": float("inf")}), "/criteria/score/$gt"),
        (fields(score=10**400), "/criteria/score"),
        (fields(score={1, 2}), "/criteria/score"),
        (fields(when=(1, 2)), "/criteria/when"),
        ({"event": "a", "criteria": {1: 2}}, "/criteria"),
        (b'{"event": "login"}', ""),
    ],
)
def test_a_dictionary_that_is_no_json_is_refused_too(value, path):
    error = refused(value)

    assert (error.kind, error.path) == ("invalid_json", path)


# --- limits ----------------------------------------------------------------------------------------------------------


def nested(levels):
    """A document of so many levels."""
    document = FLOW
    for _ in range(levels - 1):
        document = {"$not": document}
    return document


def test_32_levels_are_allowed_and_33_are_not():
    assert parse_criteria(nested(32)).event_types == {"login"}
    assert parse_criteria(json.dumps(nested(32))).event_types == {"login"}
    for document in (nested(33), json.dumps(nested(33))):
        error = refused(document)
        assert (error.kind, error.path) == ("limit", "")
        assert "32 levels" in error.message


@pytest.mark.parametrize(
    "document",
    [
        nested(10_000),
        '{"$not":' * 7_000 + '{"event": "login"}' + "}" * 7_000,
        "[" * 10_000,
        {"$or": [FLOW] * 100_000},
        json.dumps({"$or": [FLOW] * 100_000}),
        {"event": "a", "$comment": "x" * 1_000_000},
        json.dumps({"event": "a", "$comment": "x" * 1_000_000}),
        json.dumps({"event": "a", "$comment": "é" * 33_000}, ensure_ascii=False),  # 64 KiB are bytes
    ],
    ids=["deep", "deep text", "deep and open", "wide", "wide text", "1 MB", "1 MB text", "bytes"],
)
def test_what_is_too_large_is_refused_before_it_is_understood(document):
    error = refused(document)

    assert (error.kind, error.path) == ("limit", "")


def test_500_objects_and_lists_are_allowed_and_501_are_not():
    assert parse_criteria({"$or": [FLOW] * 498}).event_types == {"login"}
    assert refused({"$or": [FLOW] * 499}).kind == "limit"


def test_a_list_of_a_thousand_choices_is_allowed_and_more_are_not():
    assert parse_criteria(fields(score={"$in": list(range(1000))}))
    error = refused(fields(score={"$in": list(range(1001))}))
    assert (error.kind, error.path) == ("limit", "/criteria/score/$in")


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (fields(name={"$regex": "x" * 513}), "/criteria/name/$regex"),
        (fields(name="x" * 4097), "/criteria/name"),
        (fields(timestamp={"$in": ["$NOW"] * 1001}), "/criteria/timestamp/$in"),
        (fields(**{"$eventCount": {"$in": [1] * 1001}}), "/criteria/$eventCount/$in"),
        (
            {"$timePeriod": {"periodType": "day", "excludeHolidays": True, "holidays": ["2026-01-01"] * 1001}},
            "/$timePeriod/holidays",
        ),
    ],
)
def test_operands_have_limits_of_their_own(document, path):
    error = refused(document)

    assert (error.kind, error.path) == ("limit", path)


# --- the format ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"steps": [{"event": "login"}]}, "/steps", "$sequence"),
        ({"condition": {"event": "login"}}, "/condition", "$condition"),
        ({"event": "login", "steps": []}, "/steps", "$sequence"),
        ({"$and": [{"steps": []}]}, "/$and/0/steps", "$sequence"),
        ({"rules": []}, "/rules", "'rules' is not part of criteria"),
        ({"event": "login", "filter": {}}, "/filter", "'filter' is not part of criteria"),
        ({"a/b~c": 1}, "/a~1b~0c", "not part of criteria"),
    ],
)
def test_formats_of_others_are_refused_with_what_to_use_instead(document, path, message):
    error = refused(document)

    assert (error.kind, error.path) == ("unsupported_format", path)
    assert message in error.message


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        ({"$nand": [FLOW]}, "/$nand", "write $and"),
        ({"$And": [FLOW]}, "/$And", "write $and"),
        ({"$gte": 5}, "/$gte", "write it inside criteria"),
        ({"$eventCount": {"$gte": 5}}, "/$eventCount", "write it inside criteria"),
        ({"$where": "true"}, "/$where", "there is no entry '$where'"),
        (fields(score={"$greater": 5}), "/criteria/score/$greater", "there is no operator '$greater'"),
        (fields(score={"$betwen": [1, 2]}), "/criteria/score/$betwen", "write $between"),
        (fields(score={"gte": 5}), "/criteria/score/gte", "write $gte"),
        (fields(course={"org": "X"}), "/criteria/course/org", "course.org"),
        (fields(**{"$and": [{"a": 1}]}), "/criteria/$and", "does not stand among fields"),
        (fields(**{"$not": {"a": 1}}), "/criteria/$not", "does not stand among fields"),
        (fields(timestamp={"$contains": "2026"}), "/criteria/timestamp/$contains", "payload.timestamp"),
        (fields(**{"$eventCount": {"$regex": "5"}}), "/criteria/$eventCount/$regex", "write"),
        ({"$timeWindow": {"last": "1d", "flow": FLOW, "$or": []}}, "/$timeWindow/$or", "has no option"),
        ({"$stat": {"$xp": 1}}, "/$stat/$xp", "is no figure"),
    ],
)
def test_an_unknown_operator_is_answered_with_near_ones(document, path, message):
    error = refused(document)

    assert (error.kind, error.path) == ("unknown_operator", path)
    assert message in error.message


def window(**options):
    return {"$timeWindow": {"flow": FLOW, **options}}


def period(**options):
    return {"$timePeriod": {"periodType": "day", **options}}


def pattern(**options):
    return {"$pattern": {"pattern": "consistent", "periodType": "day", **options}}


def sequence(**options):
    return {"$sequence": {"sequence": ["a", "b"], **options}}


def duration(**options):
    ends = {"startEvent": {"type": "a"}, "endEvent": {"type": "b"}, "duration": {"$gte": 1}}
    return {"$duration": {**ends, **options}}


def aggregate(**options):
    return {"$aggregate": {"type": "sum", "field": "score", "value": {"$gte": 1}, **options}}


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        # the whole
        ([], "", "a criteria document is an object"),
        ("[]", "", "a criteria document is an object"),
        ("5", "", "a criteria document is an object"),
        (None, "", "a criteria document is an object"),
        ({}, "", "with one entry"),
        ({"$comment": "nothing"}, "", "with one entry"),
        ({"criteria": {}}, "", "needs 'event'"),
        ({"event": ""}, "/event", "not empty"),
        ({"event": ["a"]}, "/event", "write a text"),
        ({"event": "a", "criteria": []}, "/criteria", "an object of fields"),
        # two operators at one level
        ({"$and": [FLOW], "$or": [FLOW]}, "", "not $and and $or"),
        ({"event": "a", "$not": FLOW}, "", '{"$and": […]}'),
        ({"$and": [{"$or": [FLOW], "$not": FLOW}]}, "/$and/0", "one entry here"),
        # logic
        ({"$and": []}, "/$and", "at least one entry"),
        ({"$or": []}, "/$or", "at least one entry"),
        ({"$or": FLOW}, "/$or", "a list"),
        ({"$and": [FLOW, 5]}, "/$and/1", "with one entry"),
        ({"$not": [FLOW]}, "/$not", "with one entry"),
        # field conditions
        (fields(score={}), "/criteria/score", "at least one operator for score"),
        (fields(score={"$comment": "none"}), "/criteria/score", "at least one operator"),
        (fields(score=None), "/criteria/score", '{"$exists": false}'),
        (fields(score={"$gte": "high"}), "/criteria/score/$gte", "with its offset"),
        (fields(score={"$gte": "2026-03-01T00:00:00"}), "/criteria/score/$gte", "with its offset"),
        (fields(score={"$gte": True}), "/criteria/score/$gte", "a finite number"),
        (fields(score={"$lt": [1]}), "/criteria/score/$lt", "a finite number"),
        (fields(score={"$between": [5]}), "/criteria/score/$between", "two bounds"),
        (fields(score={"$between": "5,10"}), "/criteria/score/$between", "two bounds"),
        (fields(score={"$between": [10, 5]}), "/criteria/score/$between", "the lower bound first"),
        (fields(score={"$between": [1, "2026-03-01T00:00:00Z"]}), "/criteria/score/$between", "a finite number"),
        (fields(score={"$in": []}), "/criteria/score/$in", "at least one value"),
        (fields(score={"$in": "a,b"}), "/criteria/score/$in", "a list"),
        (fields(score={"$nin": [None]}), "/criteria/score/$nin", "a value"),
        (fields(name={"$startsWith": 5}), "/criteria/name/$startsWith", "text"),
        (fields(name={"$contains": ""}), "/criteria/name/$contains", "not empty"),
        (fields(name={"$regex": "("}), "/criteria/name/$regex", "missing )"),
        (fields(name={"$regex": r"(a)\1"}), "/criteria/name/$regex", "no back-references"),
        (fields(name={"$exists": "yes"}), "/criteria/name/$exists", "true or false"),
        (fields(**{"$or": []}), "/criteria/$or", "a list of field objects"),
        (fields(**{"$or": [{}]}), "/criteria/$or/0", "at least one field"),
        (fields(**{"$or": [{"$eventCount": 1}]}), "/criteria/$or/0/$eventCount", "count in an event entry"),
        (fields(timestamp="yesterday"), "/criteria/timestamp", "$NOW(-30d)"),
        (fields(timestamp={"$gt": "2026-03-01T00:00:00"}), "/criteria/timestamp/$gt", "with its offset"),
        (fields(timestamp={"$gt": "$NOW(30d)"}), "/criteria/timestamp/$gt", "with a sign"),
        (fields(timestamp={"$gt": "$NOW(-30x)"}), "/criteria/timestamp/$gt", "units: s m h d w M y"),
        (fields(timestamp={"$gt": "$NOW()"}), "/criteria/timestamp/$gt", "with a sign"),
        (fields(timestamp={"$gt": 5}), "/criteria/timestamp/$gt", "with its offset"),
        (fields(timestamp={}), "/criteria/timestamp", "at least one operator"),
        (fields(**{"$eventCount": {}}), "/criteria/$eventCount", "an operator and a number"),
        (fields(**{"$eventCount": None}), "/criteria/$eventCount", "a whole number"),
        (fields(**{"$eventCount": {"$gte": -1}}), "/criteria/$eventCount/$gte", "a whole number from 0"),
        (fields(**{"$eventCount": {"$gte": 1.5}}), "/criteria/$eventCount/$gte", "a whole number from 0"),
        (fields(**{"$eventCount": {"$gte": True}}), "/criteria/$eventCount/$gte", "a whole number from 0"),
        (fields(**{"$eventCount": {"$gte": "5"}}), "/criteria/$eventCount/$gte", "a whole number from 0"),
        (fields(**{"$eventCount": {"distinct": "a"}}), "/criteria/$eventCount", "an operator and a number"),
        (fields(**{"$eventCount": {"$gte": 1, "distinct": 5}}), "/criteria/$eventCount/distinct", "the path"),
        (fields(**{"$eventCount": {"$gte": 1, "unique": "a"}}), "/criteria/$eventCount/unique", "compared"),
        (fields(**{"$eventCount": {"$between": [5, 1]}}), "/criteria/$eventCount/$between", "the lower bound first"),
        # windows
        ({"$timeWindow": {"flow": FLOW}}, "/$timeWindow", "needs start or end or last"),
        ({"$timeWindow": {"last": "7d"}}, "/$timeWindow", "needs 'flow'"),
        (window(last="7d", start="2026-03-01T00:00:00Z"), "/$timeWindow/last", "either last"),
        (window(last="30"), "/$timeWindow/last", "m is months"),
        (window(last="0d"), "/$timeWindow/last", "a number and a unit"),
        (window(last="100000d"), "/$timeWindow/last", "a number and a unit"),
        (window(last="24h"), "/$timeWindow/last", "units: d w m q y"),
        (window(last=30), "/$timeWindow/last", "a text"),
        (window(start="2026-03-01"), "/$timeWindow/start", "with its offset"),
        (window(start=None), "/$timeWindow/start", "with its offset"),
        (
            window(start="2026-03-02T00:00:00Z", end="2026-03-02T00:00:00+01:00"),
            "/$timeWindow/end",
            "not before the start",
        ),
        (window(last="7d", timezone="Europe/Berln"), "/$timeWindow/timezone", "write Europe/Berlin"),
        (window(last="7d", timezone="../../etc/passwd"), "/$timeWindow/timezone", "there is no time zone"),
        (window(last="7d", timezone="CET+1"), "/$timeWindow/timezone", "there is no time zone"),
        (window(last="7d", businessDaysOnly="yes"), "/$timeWindow/businessDaysOnly", "true or false"),
        (window(last="7d", dailyOnly=True), "/$timeWindow/dailyOnly", "has no option 'dailyOnly'"),
        ({"$timeWindow": {"last": "7d", "flow": {}}}, "/$timeWindow/flow", "with one entry"),
        ({"$withinTimeWindow": {"window": "1M", "conditions": FLOW}}, "/$withinTimeWindow/window", "m is minutes"),
        ({"$withinTimeWindow": {"window": "24h", "flow": FLOW}}, "/$withinTimeWindow/flow", "write window"),
        # periods and patterns
        ({"$timePeriod": {}}, "/$timePeriod", "needs 'periodType'"),
        (period(periodType="hour"), "/$timePeriod/periodType", "day, week, month, quarter, year"),
        (period(periodCount=5), "/$timePeriod/periodCount", '{"$gte": 3}'),
        (period(periodCount={"$gte": 0.5}), "/$timePeriod/periodCount/$gte", "a whole number"),
        (period(excludeHolidays=True), "/$timePeriod", "needs holidays"),
        (period(holidays=["2026-12-25"]), "/$timePeriod/holidays", '"excludeHolidays": true'),
        (period(excludeHolidays=True, holidays=["25.12."]), "/$timePeriod/holidays/0", "such as 2026-12-25"),
        (period(excludeHolidays=True, holidays=["2026-02-30"]), "/$timePeriod/holidays/0", "such as 2026-12-25"),
        (period(criteria={"$eventCount": 1}), "/$timePeriod/criteria/$eventCount", "count in an event entry"),
        (pattern(pattern="random"), "/$pattern/pattern", "consistent, increasing, decreasing"),
        (pattern(minPeriods=1), "/$pattern/minPeriods", "from 2"),
        (pattern(maxDeviation=-0.1), "/$pattern/maxDeviation", "a number from 0"),
        (pattern(strict=True), "/$pattern/strict", "belongs to the pattern increasing"),
        (pattern(maxDecreasePct=5), "/$pattern/maxDecreasePct", "belongs to the pattern decreasing"),
        # one after the other
        ({"$sequence": {"sequence": []}}, "/$sequence/sequence", "a list of event types"),
        ({"$sequence": {"sequence": ["a", 5]}}, "/$sequence/sequence/1", "an object"),
        ({"$sequence": {"sequence": [{"type": "a"}]}}, "/$sequence/sequence/0/type", "write event"),
        ({"$sequence": ["a", "b"]}, "/$sequence", "the options of $sequence"),
        (sequence(maxGapSeconds=0), "/$sequence/maxGapSeconds", "above 0"),
        (sequence(maxGapSeconds="60"), "/$sequence/maxGapSeconds", "a number"),
        ({"$gap": {"event": "a"}}, "/$gap", "needs minGapHours or maxGapHours"),
        ({"$gap": {"minGapHours": 5, "maxGapHours": 4}}, "/$gap/maxGapHours", "not below minGapHours"),
        ({"$gap": {"minGapHours": 5, "excludeConditions": {}}}, "/$gap/excludeConditions", "at least one field"),
        (duration(startEvent="a"), "/$duration/startEvent", "an object"),
        (duration(startEvent={"event": "a"}), "/$duration/startEvent/event", "write type"),
        (duration(duration=5), "/$duration/duration", '{"$gte": 3}'),
        (duration(duration={"$gte": "5"}), "/$duration/duration/$gte", "a finite number"),
        (duration(unit="weeks"), "/$duration/unit", "seconds, minutes, hours, days"),
        (duration(of="all"), "/$duration/of", "total, any"),
        # figures and conditions
        (aggregate(type="median"), "/$aggregate/type", "min, max, avg, sum, count"),
        ({"$aggregate": {"type": "sum", "value": {"$gte": 1}}}, "/$aggregate", "needs 'field'"),
        (aggregate(value={"$in": []}), "/$aggregate/value/$in", "at least one number"),
        ({"$stat": {}}, "/$stat", "at least one figure"),
        ({"$stat": {"xp": {}}}, "/$stat/xp", "at least one operator"),
        ({"$condition": {}}, "/$condition", "needs 'type'"),
        ({"$condition": {"type": "unheard-of"}}, "/$condition/type", "there is no condition 'unheard-of'"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(document, path, message):
    error = refused(document)

    assert (error.kind, error.path) == ("invalid_criteria", path)
    assert message in error.message
    assert str(error) == (f"{path}: {error.message}" if path else error.message)


def test_comments_are_allowed_at_every_level():
    note = {"$comment": ["why", {"it": "is so"}]}
    commented = {
        **note,
        "$and": [
            {**note, "event": "quiz", "criteria": {**note, "score": {**note, "$gte": 5}}},
            {"event": "quiz", "criteria": {"$eventCount": {**note, "$gte": 1}, "timestamp": {**note, "$lt": "$NOW"}}},
            {"$timeWindow": {**note, "last": "7d", "flow": {**note, "$not": {**note, "event": "login"}}}},
            {"$sequence": {**note, "sequence": [{**note, "event": "quiz"}]}},
            {"$timePeriod": {**note, "periodType": "day", "periodCount": {**note, "$gte": 1}}},
            {"$stat": {**note, "xp": {**note, "$gte": 1}}},
        ],
    }

    assert parse_criteria(commented).event_types == {"quiz", "login", None}


@given(documents)
def test_text_and_dictionary_are_the_same_document(document):
    assert parse_criteria(json.dumps(document)).document == parse_criteria(document).document == document


def test_changing_the_dictionary_afterwards_changes_nothing():
    written = fields(score={"$in": [1, 2]})
    criteria = parse_criteria(written)
    written["criteria"]["score"]["$in"].append(3)

    assert criteria.document == fields(score={"$in": [1, 2]})


@given(any_json | st.dictionaries(st.sampled_from(["event", "criteria", "$and", "$timeWindow", "$gap"]), any_json))
def test_whatever_is_written_is_parsed_or_refused(document):
    try:
        criteria, message = parse_criteria(document), ""
    except CriteriaError as error:
        criteria, message = None, error.message

    assert criteria or message


def test_refusing_an_operator_is_in_the_debug_log(caplog):
    with caplog.at_level("DEBUG", "badges.rules.criteria"):
        refused(fields(email={"$looksLike": "anna@example.org"}))

    assert caplog.messages == ["Unsupported operator at /criteria/email/$looksLike"]
