"""The index finds what asking everybody would find, without asking everybody."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import Kind, RuleIndex, RuleSet, Shape, compile_rule
from tests.rules.examples import PASSING
from tests.rules.test_data_rules import Watched, any_data, rules

COURSE = "course-v1:Marsu+Houba+1"
FATES = ("keep", "remove", "add")


def rule_set(*written):
    return RuleSet(compile_rule(PASSING, *rule) for rule in written)


@st.composite
def likely_rules(draw):
    """Rules over few values, so that they often hold together, contradict each other and share signatures."""
    few = st.integers(0, 2)
    path = draw(st.sampled_from(["attempts", "score", "user.id"]))
    if draw(st.booleans()):
        return compile_rule(PASSING, path, draw(st.sampled_from(["eq", "eq", "ne", "gt"])), draw(few))
    return compile_rule(
        PASSING, path, draw(st.sampled_from(["in", "nin"])), draw(st.lists(few, min_size=1, max_size=3))
    )


likely_data = st.fixed_dictionaries(
    {"user": st.fixed_dictionaries({"id": st.integers(0, 2)})},
    optional={"attempts": st.integers(0, 2) | st.booleans(), "score": st.sampled_from([None, 0, 1.0, 2, 0.5, "1"])},
)


def brute_force(entries, data):
    return [entry for rule_set, entry in entries if rule_set.holds(data)]


@given(st.lists(st.lists(likely_rules() | rules(), max_size=4), max_size=12), likely_data | any_data)
def test_the_index_finds_what_asking_everybody_finds(many, data):
    entries = [(RuleSet(rules), number) for number, rules in enumerate(many)]

    assert RuleIndex(entries).matching(data) == brute_force(entries, data)


def test_entries_come_back_in_the_order_given_whichever_way_they_were_found():
    index = RuleIndex(
        [
            (rule_set(("attempts", "gt", 1)), "asked"),
            (rule_set(("attempts", "in", [1, 2, 3])), "by choice"),
            (rule_set(), "always"),
            (rule_set(("attempts", "eq", 2)), "by value"),
            (rule_set(("attempts", "eq", 2), ("attempts", "eq", 3)), "never"),
            (rule_set(("attempts", "exists", False)), "without"),
        ]
    )

    assert index.matching({"attempts": 2}) == ["asked", "by choice", "always", "by value"]
    assert index.matching({}) == ["always", "without"]
    assert index.matching(None) == ["always", "without"]


def test_an_entry_is_found_once_however_many_choices_match():
    index = RuleIndex([(rule_set(("attempts", "in", [1, 2]), ("user.id", "in", [1, 2])), "once")])

    assert index.matching({"attempts": 1, "user": {"id": 2}}) == ["once"]


@pytest.mark.parametrize("length", [20, 21, 1000])
def test_short_and_long_lists_of_choices_find_the_same(length):
    index = RuleIndex([(rule_set(("attempts", "in", list(range(length)))), "found")])

    assert index.matching({"attempts": length - 1}) == ["found"]
    assert index.matching({"attempts": length}) == []


def test_the_same_path_in_events_of_different_shapes_is_not_confused():
    text = Shape(Kind.OBJECT, {"attempts": Shape(Kind.TEXT)})
    index = RuleIndex(
        [
            (rule_set(("attempts", "eq", 1)), "number"),
            (RuleSet([compile_rule(text, "attempts", "eq", "1")]), "text"),
        ]
    )

    assert index.matching({"attempts": 1}) == ["number"]
    assert index.matching({"attempts": "1"}) == ["text"]


def test_an_index_of_nothing_finds_nothing():
    assert RuleIndex([]).matching({"attempts": 1}) == []


# --- the cost --------------------------------------------------------------------------------------------------------


def demanding(number):
    """Half share one course and are told apart by a second equality, the other half by their course."""
    course = COURSE if number % 2 == 0 else f"course-v1:Marsu+Houba+run{number}"
    return rule_set(
        ("course.course_key", "eq", course),
        ("user.id", "eq", number),
        ("score", "gte", 50),
        ("is_passing", "ne", False),
    )


def looks(entries, number=0):
    """How often the data is looked at to find the entry with this number: look-ups and rules asked, all together."""
    data = Watched(course={"course_key": COURSE}, user={"id": number}, score=80, is_passing=True)
    assert RuleIndex(entries).matching(data) == [number]
    return Counter(data.looked_at)


def test_ten_thousand_entries_cost_as_much_as_one():
    alone = looks([(demanding(0), 0)])
    crowd = looks([(demanding(number), number) for number in range(10_000)])

    assert crowd == alone
    assert alone == {"course": 1, "user": 1, "score": 1, "is_passing": 1}


def test_ten_thousand_entries_that_do_not_match_are_not_asked():
    data = Watched(course={"course_key": COURSE}, user={"id": 1}, score=80, is_passing=True)

    assert RuleIndex((demanding(number), number) for number in range(10_000)).matching(data) == []
    assert data.looked_at == ["course", "user"]


def test_short_lists_of_choices_are_looked_up_and_not_asked():
    twenty = ("user.id", "in", list(range(20)))
    data = Watched(user={"id": 20})

    assert RuleIndex((rule_set(twenty), number) for number in range(100)).matching(data) == []
    assert data.looked_at == ["user"]


def test_lists_of_choices_do_not_multiply():
    # All together would be 20 * 20 * 20 keys for one entry; one list is looked up, the others wait to be asked.
    twenty = list(range(20))
    entry = rule_set(("user.id", "in", twenty), ("attempts", "in", twenty), ("score", "in", twenty))
    data = Watched(user={"id": 20}, attempts=1, score=1)

    assert RuleIndex([(entry, "entry")]).matching(data) == []
    assert data.looked_at == ["user"]


def test_equal_sources_are_looked_at_once_for_all_signatures():
    entries = [
        (rule_set(("user.id", "eq", 7)), "a"),
        (rule_set(("user.id", "eq", 7), ("attempts", "eq", 1)), "b"),
        (rule_set(("attempts", "eq", 1)), "c"),
    ]
    data = Watched(user={"id": 7}, attempts=1)

    assert RuleIndex(entries).matching(data) == ["a", "b", "c"]
    assert Counter(data.looked_at) == {"user": 1, "attempts": 1}


@given(
    st.lists(st.tuples(st.lists(likely_rules() | rules(), max_size=4), st.sampled_from(FATES))),
    likely_data | any_data,
)
def test_a_changed_index_finds_what_a_new_one_of_the_same_entries_finds(many, data):
    entries = [((RuleSet(rules), object()), fate) for rules, fate in many]
    kept, removed, added = ([entry for entry, is_for in entries if is_for == fate] for fate in FATES)
    before = RuleIndex([*kept, *removed])

    after = before.replace(removed, added)

    assert after.matching(data) == RuleIndex([*kept, *added]).matching(data)
    assert set(before.matching(data)) == set(brute_force([*kept, *removed], data))


def test_what_only_removed_entries_asked_for_is_looked_at_no_more():
    gone, stays = (rule_set(("user.id", "eq", 7)), "gone"), (rule_set(("attempts", "eq", 1)), "stays")
    data = Watched(user={"id": 7}, attempts=1)

    assert RuleIndex([gone, stays]).replace([gone], []).matching(data) == ["stays"]
    assert data.looked_at == ["attempts"]
    assert not RuleIndex([gone]).replace([gone], [])
