"""Data rules: what they mean, and what is refused when they are written."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import RuleError, RuleSet, Step, compile_rule, operator_names
from tests.rules.examples import PASSING, any_json, data_for

MORNING, NOON = "2026-03-01T09:30:00.000000Z", "2026-03-01T12:00:00.000000Z"


def holds(path, operator, value, observed):
    """Does the rule hold when this, canonical as stored, is at the path?"""
    data = {}
    inner = data
    *parents, last = path.split(".")
    for key in parents:
        inner = inner.setdefault(key, {})
    inner[last] = observed
    return compile_rule(PASSING, path, operator, value).holds(data)


@pytest.mark.parametrize(
    ("path", "operator", "value", "observed", "expected"),
    [
        # booleans, as a form and as a pack write them
        ("is_passing", "eq", "true", True, True),
        ("is_passing", "eq", "Yes", True, True),
        ("is_passing", "eq", " NO ", False, True),
        ("is_passing", "eq", False, False, True),
        ("is_passing", "ne", "false", True, True),
        ("is_passing", "eq", "true", 1, False),  # odd data: not a boolean
        ("is_passing", "ne", "true", "false", False),  # odd data matches nothing, not even ne
        ("is_passing", "in", [True], True, True),
        # integers are exact
        ("attempts", "eq", "3", 3, True),
        ("attempts", "eq", 3.0, 3, True),
        ("attempts", "eq", str(2**53 + 1), 2**53 + 1, True),
        ("attempts", "eq", str(2**53 + 1), 2**53, False),
        ("attempts", "gt", 2**53, 2**53 + 1, True),
        ("attempts", "eq", 1, True, False),  # a bool is an int to Python only
        ("attempts", "ne", 1, "2", False),
        ("attempts", "neq", 1, 2, True),
        # numbers mean what is written
        ("score", "eq", "0.1", 0.1, True),
        ("score", "eq", 0.1, 0.1, True),
        ("score", "eq", "0.1000000000000000055511151231257827", 0.1, False),  # what the double really holds
        ("score", "gte", "0.8", 0.8, True),
        ("score", "gte", "0.8", 0.7999999999999999, False),
        ("score", "lt", 1, 0.9999999999999999, True),
        ("score", "eq", "5.0", 5, True),
        ("score", "in", "0.5, 1", 1, True),
        ("score", "gt", 0, float("nan"), False),
        ("score", "gt", 0, float("inf"), False),
        ("score", "lte", "80", "79", False),  # text at a number's path is odd data
        # between is inclusive, from a form and from a pack
        ("score", "between", "5,10", 5, True),
        ("score", "between", [5, 10], 10, True),
        ("score", "between", "5,10", 10.5, False),
        ("at", "between", f"{MORNING},{NOON}", NOON, True),
        # times are instants
        ("at", "eq", "2026-03-01T15:00:00+05:30", MORNING, True),
        ("at", "gt", "2026-03-01T12:00:00+05:30", MORNING, True),  # later on the clock, earlier in time
        ("at", "lt", datetime(2026, 3, 1, 12, tzinfo=UTC), MORNING, True),  # YAML reads times itself
        ("at", "eq", MORNING, "2026-03-01T15:00:00+05:30", True),  # an old row's spelling
        ("at", "ne", MORNING, "soon", False),
        # text is text
        ("grade", "eq", "Pass", "Pass", True),
        ("grade", "eq", "Pass", "pass", False),
        ("grade", "eq", "\u00e9", "\u00e9", True),
        ("grade", "eq", "\u00e9", "e\u0301", False),  # one letter, but another text (NFC and NFD)
        ("grade", "eq", "5", 5, False),
        ("grade", "eq", "80", "80.0", False),  # eq is about the text, the order operators are about the number
        ("grade", "ne", "", "x", True),
        ("grade", "in", "Pass, Distinction", "Distinction", True),
        ("grade", "in", '["a,b", "c"]', "a,b", True),  # a comma inside needs JSON
        ("grade", "in", "[a],[b]", "[b]", True),  # begins with a bracket and is no JSON
        ("grade", "nin", ["Fail"], "Pass", True),
        ("grade", "nin", ["Fail"], "Fail", False),
        ("grade", "nin", ["Fail"], 5, False),
        # text that spells a number is put in order by the number
        ("grade", "gt", "90", "100", True),
        ("grade", "gte", 0.8, "0.80", True),
        ("grade", "lt", "10", "9", True),
        ("grade", "lt", "1e3", "999.9", True),
        ("grade", "between", "5,10", "9", True),
        ("grade", "gt", "-1", "none", False),
        ("grade", "gt", "-1", "", False),
        ("grade", "gt", "-1", "NaN", False),
        ("grade", "lt", "5", "-Infinity", False),
        ("grade", "gt", "-1", "٨٠", False),  # Decimal would read it; a rule's author did not write it
        ("grade", "gt", "1", "9" * 100_000, False),  # no number that anybody meant, and slow to read
        ("grade", "gt", "1", "1e9999", False),
        ("grade", "lt", "1", "1e-9999", False),
        ("grade", "gt", "1", "0" * 5000 + "5", False),
        # parts of text, case-sensitive
        ("course.course_key", "contains", "+Houba+", "course-v1:Marsu+Houba+1", True),
        ("course.course_key", "contains", "houba", "course-v1:Marsu+Houba+1", False),
        ("course.course_key", "startsWith", "course-v1:", "course-v1:Marsu+Houba+1", True),
        ("course.course_key", "endsWith", "+1", "course-v1:Marsu+Houba+1", True),
        ("course.course_key", "endsWith", "+1", "course-v1:Marsu+Houba+2", False),
        ("course.course_key", "regex", "Houba", "course-v1:Marsu+Houba+1", True),  # searches
        ("course.course_key", "regex", "^Houba", "course-v1:Marsu+Houba+1", False),
        ("course.course_key", "regex", "课程$", "高级课程", True),
        ("course.course_key", "regex", "^.$", "课", True),  # characters, not bytes
        ("course.course_key", "regex", "a", "a" * 64 * 1024, True),
        ("course.course_key", "regex", "a", "a" * (64 * 1024 + 1), False),
        ("course.course_key", "regex", "a", "é" * 33_000 + "a", False),  # 64 KiB are bytes
        ("course.course_key", "regex", ".", "\ud800", False),
        # lists
        ("tags", "contains", "houba", ["marsu", "houba"], True),
        ("tags", "contains", "hou", ["marsu", "houba"], False),  # an item, not a part of one
        ("tags", "contains", "houba", "houba", False),
        ("points", "contains", "5", [4, 5], True),
        ("points", "contains", "1", [True], False),
        ("parts", "contains", "5", ["5"], True),
        ("parts", "contains", "5", [5], False),  # what the items are is not declared: text stays text
        ("parts", "contains", 5, [5.0], True),
        ("parts", "contains", 1, [True], False),
        ("labels.colour", "eq", "blue", "blue", True),
        # presence
        ("grade", "exists", True, "", True),  # empty is there
        ("grade", "exists", "yes", None, False),  # null is not
        ("grade", "exists", "false", None, True),
        ("grade", "exists", False, "x", False),
        ("user.pii", "exists", True, {"name": "Anna"}, True),
        ("tags", "exists", True, [], True),
    ],
)
def test_a_rule_means_what_it_says(path, operator, value, observed, expected):
    assert holds(path, operator, value, observed) is expected


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("eq", "x"),
        ("ne", "x"),
        ("neq", "x"),
        ("gt", "1"),
        ("gte", "1"),
        ("lt", "1"),
        ("lte", "1"),
        ("between", "1,2"),
        ("in", "x"),
        ("nin", "x"),
        ("contains", "x"),
        ("startsWith", "x"),
        ("endsWith", "x"),
        ("regex", ".*"),
        ("exists", True),
    ],
)
@pytest.mark.parametrize("data", [{}, {"course": {}}, {"course": {"display_name": None}}, {"course": None}, [], None])
def test_what_is_missing_matches_nothing_whatever_the_operator(operator, value, data):
    assert compile_rule(PASSING, "course.display_name", operator, value).holds(data) is False
    assert compile_rule(PASSING, "course.display_name", "exists", False).holds(data) is True


def test_the_table_above_leaves_no_operator_out():
    table = test_what_is_missing_matches_nothing_whatever_the_operator.pytestmark
    words = {operator for mark in table if mark.args[0] == ("operator", "value") for operator, _ in mark.args[1]}

    assert words == set(operator_names())


# --- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "operator", "value", "kind", "field", "message"),
    [
        ("is_passin", "eq", True, "invalid_criteria", "path", "write is_passing"),
        ("course_key", "eq", "x", "invalid_criteria", "path", "write course.course_key"),  # too short
        ("status.course.course_key", "eq", "x", "invalid_criteria", "path", "write course.course_key"),  # too long
        ("zzz", "eq", "x", "invalid_criteria", "path", "write one of is_passing, score, "),
        ("", "eq", "x", "invalid_criteria", "path", "write one of is_passing, "),
        (None, "eq", "x", "invalid_criteria", "path", "write one of is_passing, "),
        ("tags.0", "eq", "x", "invalid_criteria", "path", "there is no 'tags.0'"),
        ("course", "eq", "x", "invalid_criteria", "operator", "course.course_key, course.display_name"),
        ("tags", "eq", "x", "invalid_criteria", "operator", "tags is list, which eq cannot ask; write contains or"),
        ("is_passing", "gt", True, "invalid_criteria", "operator", "write eq or ne or in or nin or exists"),
        ("is_passing", "contains", "t", "invalid_criteria", "operator", "is_passing is boolean"),
        ("is_passing", "equals", True, "unknown_operator", "operator", "there is no operator 'equals'; write eq"),
        ("grade", "startswith", "x", "unknown_operator", "operator", "write startsWith"),
        ("grade", "$startsWith", "x", "unknown_operator", "operator", "write startsWith"),
        ("grade", "starts_with", "x", "unknown_operator", "operator", "write startsWith"),
        ("grade", "≈", "x", "unknown_operator", "operator", "write one of eq, ne, gt"),
        ("grade", None, "x", "unknown_operator", "operator", "there is no operator 'None'"),
        ("grade", ["eq"], "x", "unknown_operator", "operator", "there is no operator"),
        ("is_passing", "eq", "ja", "invalid_criteria", "value", "true, false, yes or no"),
        ("is_passing", "eq", 1, "invalid_criteria", "value", "true, false, yes or no"),
        ("attempts", "eq", "3.5", "invalid_criteria", "value", "a whole number, such as 5"),
        ("attempts", "eq", True, "invalid_criteria", "value", "a whole number, such as 5"),
        ("attempts", "eq", None, "invalid_criteria", "value", "a whole number, such as 5"),
        ("score", "gte", "80 %", "invalid_criteria", "value", "a finite number, such as 80 or 0.5"),
        ("score", "gte", "NaN", "invalid_criteria", "value", "a finite number"),
        ("score", "gte", float("inf"), "invalid_criteria", "value", "a finite number"),
        ("score", "gte", {}, "invalid_criteria", "value", "a finite number"),
        ("score", "eq", "1e500", "invalid_criteria", "value", "a finite number"),  # no event could hold it
        ("grade", "gte", "A", "invalid_criteria", "value", "text is put in order by the number it spells"),
        ("grade", "eq", 5, "invalid_criteria", "value", 'text, written in quotes, such as "5"'),
        ("grade", "eq", "a\0", "invalid_criteria", "value", "text without NUL"),
        ("grade", "eq", "\ud800", "invalid_criteria", "value", "broken surrogates"),
        ("grade", "eq", "x" * 4097, "limit", "value", "at most 4096 characters"),
        ("at", "gt", "2026-03-01", "invalid_criteria", "value", "2026-03-01T09:30:00Z"),
        ("at", "gt", "2026-03-01T09:30:00", "invalid_criteria", "value", "with its offset"),
        ("score", "between", "5", "invalid_criteria", "value", "two bounds"),
        ("score", "between", [1, 2, 3], "invalid_criteria", "value", "two bounds"),
        ("score", "between", 5, "invalid_criteria", "value", "a list"),
        ("score", "between", "10,5", "invalid_criteria", "value", "the lower bound first"),
        ("grade", "between", "100,90", "invalid_criteria", "value", "the lower bound first"),  # as numbers
        ("grade", "in", " , ", "invalid_criteria", "value", "at least one value"),
        ("grade", "in", [], "invalid_criteria", "value", "at least one value"),
        ("grade", "in", [["a"]], "invalid_criteria", "value", "text, written in quotes"),
        ("attempts", "in", list(range(1001)), "limit", "value", "at most 1000 values"),
        ("grade", "contains", "", "invalid_criteria", "value", "write exists true"),  # would hold for all text
        ("grade", "regex", "", "invalid_criteria", "value", "write exists true"),
        ("grade", "regex", "a(?=b)", "invalid_criteria", "value", "no look-around"),
        ("grade", "regex", "(", "invalid_criteria", "value", "missing )"),
        ("grade", "regex", "x" * 513, "limit", "value", "at most 512 characters"),
        ("grade", "exists", "perhaps", "invalid_criteria", "value", "true, false, yes or no"),
        ("parts", "contains", 2**64, "invalid_criteria", "value", "text or a number"),
        ("points", "contains", "five", "invalid_criteria", "value", "a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(path, operator, value, kind, field, message):
    with pytest.raises(RuleError) as refused:
        compile_rule(PASSING, path, operator, value)

    assert (refused.value.kind, refused.value.field) == (kind, field)
    assert message in str(refused.value)
    assert refused.value.path == str(path)


def test_a_broken_pattern_is_reported_to_its_author_only(capfd):
    with pytest.raises(RuleError):
        compile_rule(PASSING, "grade", "regex", "(broken")

    assert capfd.readouterr().err == ""  # RE2 likes to write there, and patterns may name people


def test_text_that_is_no_unicode_is_odd_data_and_no_failure_of_an_operator(caplog):
    assert not compile_rule(PASSING, "grade", "regex", ".").holds({"grade": "\ud800"})
    assert caplog.messages == []


def test_a_pattern_that_is_slow_elsewhere_is_fast_here():
    rule = compile_rule(PASSING, "grade", "regex", "(a+)+$")

    begin = time.process_time()
    assert not rule.holds({"grade": "a" * 60_000 + "!"})
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("choices", [list(range(1000)), ",".join(map(str, range(1000)))])
def test_a_thousand_choices_are_allowed(choices):
    assert compile_rule(PASSING, "attempts", "in", choices).holds({"attempts": 999})


# --- what is stored --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "operator", "written", "stored"),
    [
        ("is_passing", "eq", "YES", True),
        ("attempts", "eq", " 3 ", 3),
        ("score", "gte", "0.80", 0.8),
        ("score", "gte", "80", 80),
        ("score", "eq", "0.12345678901234567890", "0.12345678901234567890"),  # more than a JSON reader would keep
        ("score", "between", "5,10.5", [5, 10.5]),
        ("attempts", "eq", 2**63 - 1, 2**63 - 1),
        ("attempts", "eq", 2**63, str(2**63)),  # not all databases keep such integers in JSON
        ("grade", "eq", "80", "80"),
        ("grade", "gte", "80", 80),
        ("grade", "in", "b, a, b", ["b", "a"]),
        ("at", "gt", "2026-03-01 15:00:00+05:30", MORNING),
        ("grade", "regex", "^a+$", "^a+$"),
        ("grade", "exists", "no", False),
        ("tags", "contains", "houba", "houba"),
    ],
)
def test_the_value_to_store_is_normalised_json(path, operator, written, stored):
    rule = compile_rule(PASSING, path, operator, written)

    assert rule.value == stored
    assert type(rule.value) is type(stored)
    assert json.loads(json.dumps(rule.value)) == stored


def test_aliases_and_dotted_spellings_are_stored_as_one():
    rule = compile_rule(PASSING, "labels.colour", "neq", "blue")

    assert (rule.path, rule.operator) == ("labels.colour", "ne")


# --- properties ------------------------------------------------------------------------------------------------------

paths = st.sampled_from([path for path, _ in PASSING.key_paths()] + ["labels.a", "user.pii", "course"])
operands = st.one_of(
    st.booleans(),
    st.integers(-3, 3),
    st.floats(-3, 3),
    st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-5, max_value=5).map(str),
    st.sampled_from(["5", "0.8", "1e3", "eighty", "José", "5,10", "a,b", "[", "yes", MORNING, f"{MORNING},{NOON}"]),
    st.text(min_size=1, max_size=5),
    st.lists(st.integers(-3, 3) | st.sampled_from(["José", "5", MORNING]), max_size=30),
)


@st.composite
def rules(draw):
    """Some rule that compiles."""
    path, operator = draw(paths), draw(st.sampled_from(operator_names()))
    try:
        return compile_rule(PASSING, path, operator, draw(operands))
    except RuleError:
        return compile_rule(PASSING, path, "exists", draw(st.booleans()))


any_data = data_for(PASSING).map(PASSING.canonical) | data_for(PASSING) | any_json


@given(rules(), any_data)
def test_a_rule_never_raises_and_explains_its_own_answer(rule, data):
    assert rule.explain(data).result is rule.holds(data)


@given(rules(), any_data)
def test_a_stored_rule_is_the_rule_again(rule, data):
    again = compile_rule(PASSING, rule.path, rule.operator, json.loads(json.dumps(rule.value)))

    assert (again.path, again.operator, again.value) == (rule.path, rule.operator, rule.value)
    assert again.holds(data) is rule.holds(data)


@given(rules(), any_data)
def test_equality_agrees_with_holds(rule, data):
    if rule.equality is not None:
        path, value = rule.equality
        assert path == rule.path
        assert (rule.source.observe(data) == value) is rule.holds(data)
    if rule.choices is not None:
        assert (rule.source.observe(data) in rule.choices) is rule.holds(data)


@given(paths, st.sampled_from(operator_names()), any_json | operands)
def test_any_value_compiles_or_is_refused(path, operator, value):
    try:
        rule, message = compile_rule(PASSING, path, operator, value), ""
    except RuleError as error:
        rule, message = None, error.message

    assert path in message if rule is None else json.loads(json.dumps(rule.value)) == rule.value


def test_only_eq_is_an_equality():
    assert compile_rule(PASSING, "score", "eq", "5.0").equality == ("score", 5)
    assert compile_rule(PASSING, "score", "in", "5").equality is None
    assert compile_rule(PASSING, "grade", "exists", True).equality is None


# --- explanations and sets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "observed", "step"),
    [
        (("score", "gte", "80"), 62, Step("score", "gte", 80, 62, False, "")),
        (("score", "gte", "80"), 80, Step("score", "gte", 80, 80, True, "")),
        (("score", "gte", "80"), None, Step("score", "gte", 80, None, False, "there is no value")),
        (("score", "gte", "80"), "A", Step("score", "gte", 80, "A", False, "the value is not a number")),
        (
            ("grade", "gte", "80"),
            "A",
            Step("grade", "gte", 80, "A", False, "the value is not text that spells a number"),
        ),
        (("grade", "exists", False), None, Step("grade", "exists", False, None, True, "")),
        (("tags", "contains", "a"), "a", Step("tags", "contains", "a", "a", False, "the value is not a list of text")),
    ],
)
def test_an_explanation_shows_what_was_seen(rule, observed, step):
    assert compile_rule(PASSING, *rule).explain({rule[0]: observed}) == step


def test_an_explanation_tells_that_a_text_was_too_long_for_a_pattern():
    step = compile_rule(PASSING, "grade", "regex", "a").explain({"grade": "a" * 70_000})

    assert (step.result, step.note) == (False, "the value is longer than 64 KiB")


class Watched(dict):
    """Data that remembers which of its keys were looked at."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.looked_at = []

    def get(self, key, default=None):
        self.looked_at.append(key)
        return super().get(key, default)


def test_a_set_of_rules_holds_when_all_hold():
    rules = RuleSet([compile_rule(PASSING, "score", "gte", 80), compile_rule(PASSING, "attempts", "lt", 3)])

    assert rules.holds({"score": 80, "attempts": 2})
    assert not rules.holds({"score": 80, "attempts": 3})
    assert not rules.holds({"score": 79, "attempts": 2})


def test_holding_stops_at_the_first_that_fails_and_explaining_goes_on():
    rules = RuleSet([compile_rule(PASSING, "score", "gte", 80), compile_rule(PASSING, "attempts", "lt", 3)])
    data = Watched(score=1, attempts=1)

    assert not rules.holds(data)
    assert data.looked_at == ["score"]
    assert [step.result for step in rules.explain(data)] == [False, True]


@given(any_json)
def test_no_rules_match_every_event(data):
    assert RuleSet().holds(data)
    assert RuleSet().explain(data) == ()
