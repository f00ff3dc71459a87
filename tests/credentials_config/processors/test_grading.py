"""Grades compared with the required ones: drops, weights, upper case, and invalid data."""

from __future__ import annotations

from typing import Any

import pytest

from credentials_config.lms import Assignment, Grades, Section
from credentials_config.processors.grading import evaluate_grades

POLICY = (Assignment("Homework", 4, 1, 0.25), Assignment("Exam", 1, 0, 0.75))


def sections(category: str, *percents: Any) -> list[Section]:
    """None: not attempted."""
    return [
        Section(f"{category}-{number}", category, 0.0 if percent is None else percent, percent is not None)
        for number, percent in enumerate(percents)
    ]


def evaluate(required: dict[str, float], *graded: Section, total: Any = 0.5, policy=POLICY, **more: Any):
    return evaluate_grades(required, policy, Grades(total, tuple(graded)), **more)


@pytest.mark.parametrize(
    ("percents", "dropped", "count", "grade"),
    [
        ((0.9, 0.6, 0.3), 0, 3, 0.6),
        ((0.9, 0.6, 0.3), 1, 3, 0.75),  # the lowest goes
        ((0.3, 0.9, 0.6), 1, 3, 0.75),  # wherever it stands
        ((0.9, 0.9), 0, 4, 0.45),  # two that do not exist yet are nought
        ((0.9, 0.9), 2, 4, 0.9),  # and are the first to be dropped
        ((0.9, None, 0.6), 0, 3, 0.5),  # what was not attempted is nought
        ((0.9, 0.8, 0.7), 0, 2, 0.8),  # more than the policy counts on
        ((0.9,), 1, 1, 0.0),  # nothing is left, as in the platform
        ((0.9, 0.6), "1", "2.0", 0.9),  # old courses keep counts as text
    ],
)
def test_a_category_is_graded_as_the_platform_does(percents, dropped, count, grade):
    policy = (Assignment("Homework", count, dropped, 0.25),)

    result = evaluate({"Homework": 1.0}, *sections("Homework", *percents), policy=policy)

    assert result.progress["current_grades"]["Homework"] == pytest.approx(grade)


def test_each_demand_must_be_met():
    graded = [*sections("Homework", 0.8, 0.8, 0.8, 0.8), *sections("Exam", 0.5)]

    assert evaluate({"Homework": 0.8, "Exam": 0.5}, *graded).eligible
    result = evaluate({"Homework": 0.8, "Exam": 0.51}, *graded)
    assert not result.eligible
    assert result.reasons == ("Exam: 50 % of the required 51 %.",)


def test_the_total_is_what_the_lms_shows():
    result = evaluate({"Total": 0.8}, *sections("Exam", 0.1), total=0.8)

    assert result.eligible
    assert result.progress == {"current_grades": {"Total": 0.8}, "required_grades": {"Total": 0.8}}
    assert not evaluate({"Total": 0.8}, total=0.79).eligible


def test_capitals_and_spaces_around_do_not_matter():
    graded = sections("homework ", 0.9, 0.9, 0.9)

    assert evaluate({"HOMEWORK": 0.9, "tOTAL": 0.5}, *graded).eligible


def test_a_category_that_was_not_attempted_is_a_reason():
    result = evaluate({"Exam": 0.0}, *sections("Exam", None), *sections("Homework", 1.0))

    assert not result.eligible
    assert result.reasons == ("Exam: nothing was attempted yet.",)
    assert result.progress["current_grades"] == {"Exam": None}


def test_an_attempt_that_scored_nothing_is_an_attempt():
    assert evaluate({"Exam": 0.0}, *sections("Exam", 0.0)).eligible


def test_a_category_that_the_policy_does_not_have_is_a_reason():
    result = evaluate({"Lab": 0.5, "Exam": 0.5}, *sections("Exam", 0.9), *sections("Lab", 0.9))

    assert not result.eligible
    assert result.reasons == ("Lab: the course's grading policy has no such category.",)


def test_a_graded_category_outside_the_policy_disturbs_nothing_else():
    assert evaluate({"Exam": 0.5}, *sections("Exam", 0.9), *sections("Lab", 0.9)).eligible


@pytest.mark.parametrize("invalid", [float("nan"), float("inf"), "0.9", 90, -1, [], True])
def test_an_odd_score_is_a_reason(invalid):
    result = evaluate({"Exam": 0.5}, *sections("Exam", invalid))

    assert not result.eligible
    assert result.reasons == ("Exam: the LMS reports a score that makes no sense.",)


def test_an_odd_score_in_a_category_nobody_asks_for_does_not_matter():
    assert evaluate({"Homework": 0.5}, *sections("Exam", "A+"), *sections("Homework", 0.9, 0.9, 0.9)).eligible


@pytest.mark.parametrize("invalid", [None, float("nan"), "0.9", 80, -0.1, {}])
def test_an_odd_course_grade_is_a_reason(invalid):
    result = evaluate({"Total": 0.5}, total=invalid)

    assert not result.eligible
    assert result.reasons == ("The LMS reports a course grade that makes no sense.",)


def test_extra_credit_may_lift_the_course_grade_above_one():
    policy = (*POLICY, Assignment("Bonus", 1, 0, 0.1))

    assert evaluate({"Total": 1.0}, total=1.08, policy=policy).eligible
    assert not evaluate({"Total": 1.0}, total=1.2, policy=policy).eligible


@pytest.mark.parametrize("invalid", [None, "many", float("nan"), -1])
def test_an_odd_policy_is_a_reason(invalid):
    policy = (Assignment("Exam", invalid, 0, 1.0),)

    result = evaluate({"Exam": 0.5}, *sections("Exam", 0.9), policy=policy)

    assert result.reasons == ("Exam: the course's grading policy makes no sense.",)


# Lessons


def test_only_the_subsections_of_the_lesson_count():
    graded = sections("Homework", 0.9, 0.2, 0.1)

    result = evaluate({"Homework": 0.9, "Total": 0.9}, *graded, lesson={"Homework-0"}, total=0.1)

    assert result.eligible


def test_nothing_is_dropped_in_a_lesson():
    graded = sections("Homework", 0.8, 0.4)

    result = evaluate({"Homework": 0.5}, *graded, lesson={"Homework-0", "Homework-1"})

    assert result.progress["current_grades"] == {"Homework": pytest.approx(0.6)}


def test_the_total_of_a_lesson_weighs_its_categories():
    graded = [*sections("Homework", 1.0), *sections("Exam", 0.6)]

    result = evaluate({"Total": 0.7}, *graded, lesson={"Homework-0", "Exam-0"})

    assert result.progress["current_grades"] == {"Total": pytest.approx(0.7)}
    assert result.eligible


def test_what_was_left_out_of_a_lesson_is_nought():
    graded = [*sections("Homework", 1.0), *sections("Exam", None)]

    result = evaluate({"Total": 0.3}, *graded, lesson={"Homework-0", "Exam-0"})

    assert result.progress["current_grades"] == {"Total": pytest.approx(0.25)}


@pytest.mark.parametrize(
    ("graded", "reason"),
    [
        ([], "Nothing in this lesson is graded."),
        (sections("Exam", None), "Nothing in this lesson was attempted yet."),
        (sections("Lab", 0.9), "Nothing in this lesson counts for the grade."),
    ],
)
def test_a_lesson_without_a_grade_says_why(graded, reason):
    result = evaluate({"Total": 0.5}, *graded, lesson={"Exam-0", "Lab-0"})

    assert (result.eligible, result.reasons) == (False, (reason,))
