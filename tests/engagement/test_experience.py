"""What an operator relies on: an activity gives the XP that the settings say, and wrong settings are named."""

from __future__ import annotations

import pytest

from badges.engagement.experience import read_rules


@pytest.mark.parametrize(
    ("score", "xp"), [(0, 0), (0.9, 0), (1, 1), (79.99, 79), (80, 80), (100, 100), (100.5, 100), (1_000_000, 100)]
)
def test_a_quiz_gives_one_xp_for_each_point_and_at_most_100(score, xp):
    rules, _ = read_rules({})
    assert rules["quiz"].xp_of(score=score) == xp


@pytest.mark.parametrize(("cards", "xp"), [(0, 0), (7, 7), (50, 50), (51, 50)])
def test_flashcards_give_one_xp_for_each_card_and_at_most_50(cards, xp):
    rules, _ = read_rules({})
    assert rules["flashcards"].xp_of(cards=cards) == xp


@pytest.mark.parametrize(
    ("rule", "score", "xp"),
    [
        ({"xp": 10}, None, 10),
        ({"xp": 10, "per_point": 0.29}, 100, 39),  # 0.29 * 100 is less than 29 as floats
        ({"per_point": 0.1}, 0.3, 0),
        ({"per_point": 1000, "most": 1.5}, 3, 1),
    ],
)
def test_the_parts_of_a_rule_are_added_and_rounded_down(rule, score, xp):
    rules, problems = read_rules({"lesson": rule})
    assert rules["lesson"].xp_of(score=score) == xp
    assert problems == []


def test_a_rule_replaces_the_default_of_its_kind_and_leaves_the_others():
    rules, _ = read_rules({"quiz": {"xp": 3}})
    assert rules["quiz"].xp_of(score=80) == 3
    assert rules["flashcards"].xp_of(cards=8) == 8


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"quiz": {"points": 1}}, "['quiz']['points'] is not known; known keys are xp, per_point, per_card, most"),
        ({"quiz": {"xp": -1}}, "['quiz']['xp']: write a number from 0 to 1000000"),
        ({"quiz": {"xp": float("nan")}}, "['quiz']['xp']: write a number from 0 to 1000000"),
        ({"quiz": {"xp": True}}, "['quiz']['xp']: write a number from 0 to 1000000"),
        ({"quiz": {"most": None}}, "['quiz']['most']: write a number from 0 to 1000000"),
        ({"quiz": 10}, "['quiz']: write a dict, such as {\"xp\": 10}; known keys are xp, per_point, per_card, most"),
        ([], ": write a dict of rules by kind of activity"),
    ],
)
def test_a_wrong_rule_is_named_and_the_default_of_its_kind_stays(given, problem):
    rules, problems = read_rules(given)
    assert problems == [problem]
    assert rules["quiz"].xp_of(score=80) == 80
