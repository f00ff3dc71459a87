"""Rules that no event can satisfy are recognised, and no others are called so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import RuleSet, compile_rule, contradicting_path
from tests.rules.examples import PASSING

COURSE = "course.course_key"
SCORE = "score"


def contradicting(shape: Any, *rules: tuple[str, str, Any]) -> str | None:
    return contradicting_path(compile_rule(shape, *rule) for rule in rules)


@pytest.mark.parametrize(
    "rules",
    [
        [(COURSE, "eq", "a"), (COURSE, "eq", "b")],
        [(COURSE, "eq", "a"), (COURSE, "ne", "a")],
        [(COURSE, "in", ["a", "b"]), (COURSE, "startsWith", "c")],
        [(COURSE, "eq", "a"), (COURSE, "exists", False)],
        [(COURSE, "exists", True), (COURSE, "exists", False)],
        [("is_passing", "ne", True), ("is_passing", "ne", False)],
    ],
)
def test_no_event_satisfies_these(rules: list[tuple[str, str, Any]]) -> None:
    assert contradicting(PASSING, ("grade", "exists", True), *rules) == rules[0][0]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [(COURSE, "in", ["a", "b"]), (COURSE, "in", ["b", "c"])],
        [(COURSE, "eq", "a"), ("grade", "eq", "b")],
        [(COURSE, "regex", "^a"), (COURSE, "regex", "^b")],  # two patterns are not compared
        [(COURSE, "ne", "a"), (COURSE, "ne", "b")],
        [("is_passing", "ne", True), ("is_passing", "exists", True)],
    ],
)
def test_an_event_may_satisfy_these(rules: list[tuple[str, str, Any]]) -> None:
    assert contradicting(PASSING, *rules) is None


NUMBERS = st.integers(-3, 3)
COMPARED = st.one_of(
    st.tuples(st.just(SCORE), st.sampled_from(["eq", "ne", "gt", "gte", "lt", "lte"]), NUMBERS),
    st.tuples(st.just(SCORE), st.sampled_from(["in", "nin"]), st.lists(NUMBERS, min_size=1, max_size=3)),
    st.tuples(st.just(SCORE), st.just("between"), st.tuples(NUMBERS, NUMBERS).map(sorted)),
)


@given(rules=st.lists(COMPARED, min_size=1, max_size=4))
def test_of_comparisons_those_contradict_that_hold_for_no_number(rules: list[tuple[str, str, Any]]) -> None:
    compiled = [compile_rule(PASSING, *rule) for rule in rules]
    numbers = [number / 2 for number in range(-9, 10)]  # one in each gap between the operands, and around them
    is_satisfied = any(RuleSet(compiled).holds({"score": number}) for number in numbers)
    assert (contradicting_path(compiled) is None) is is_satisfied
