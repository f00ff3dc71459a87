"""Who has the grades, and who both completed enough and has the grades: asked of an LMS that computes its own."""

from __future__ import annotations

import pytest

from badges.exceptions import Permanent
from credentials_config.registry import processor
from tests.credentials_config.lms import school

SHEETS = [school.key(f"sheet {number}") for number in (1, 2, 3)]
EXAM = school.key("exam")


def scored(lms, username: str, *shares: float, exam: float | None = None) -> None:
    """Enroll somebody and let them score; shares of the sheets in their order."""
    lms.add_learner(username)
    lms.enroll(school.ALGEBRA, username)
    for key, share in zip(SHEETS, shares, strict=False):
        lms.score(key, username, share * 10, 10)
    if exam is not None:
        lms.score(EXAM, username, exam * 10, 10)


def test_categories_and_total_respect_drops_and_weights(school_lms, ask):
    scored(school_lms, "ada", 0.9, 0.7, 0.1, exam=0.8)  # homework 0.8 without the lowest, total 0.8
    scored(school_lms, "bob", 0.9, 0.7, 0.1, exam=0.7)  # total 0.725, which the LMS shows as 0.73

    answers = ask("subsection_grades", school.ALGEBRA, required_grades={"Homework": 0.8, "Total": 0.8})

    assert answers["ada"].eligible
    assert answers["ada"].progress["current_grades"] == {"Homework": 0.8, "Total": 0.8}
    assert answers["bob"].reasons == ("Total: 73 % of the required 80 %.",)


def test_capitals_do_not_matter(school_lms, ask):
    scored(school_lms, "ada", exam=0.8)

    assert ask("subsection_grades", school.ALGEBRA, required_grades={"EXAM": 0.8})["ada"].eligible


def test_a_category_nobody_attempted_is_a_reason(school_lms, ask):
    scored(school_lms, "ada", 1.0, 1.0, 1.0)

    answers = ask("subsection_grades", school.ALGEBRA, required_grades={"Exam": 0.0})

    assert answers["ada"].reasons == ("Exam: nothing was attempted yet.",)


def test_a_category_the_policy_lost_is_a_reason_for_each_and_an_error_for_none(school_lms, ask):
    scored(school_lms, "ada", 1.0, exam=1.0)
    scored(school_lms, "bob", 1.0, exam=1.0)
    school_lms.change_course(school.ALGEBRA, policy=[{"assignment_type": "Exam", "count": 1, "weight": 1.0}])

    answers = ask("subsection_grades", school.ALGEBRA, required_grades={"Homework": 0.5})

    reasons = ("Homework: the course's grading policy has no such category.",)
    assert {name: answer.reasons for name, answer in answers.items()} == {"ada": reasons, "bob": reasons}
    assert ask("subsection_grades", school.ALGEBRA, required_grades={"Exam": 0.5})["ada"].eligible


@pytest.mark.parametrize(
    "invalid",
    [
        {"percent": "A+"},
        {"percent": None},
        {"percent": float("nan")},
        {"percent": 80},
        {"section_breakdown": None},
        {"section_breakdown": "none"},
        {"section_breakdown": [None, 7, {"category": "Exam", "attempted": True, "percent": "B"}]},
        {"section_breakdown": [{"category": 5, "attempted": 1, "percent": {}, "module_id": None}]},
    ],
)
def test_one_learners_odd_grades_do_not_stop_the_others(school_lms, ask, invalid):
    for username in ("ada", "bob", "eve"):
        scored(school_lms, username, 1.0, 1.0, 1.0, exam=1.0)
    school_lms.garble_grades(school.ALGEBRA, "bob", **invalid)

    answers = ask("subsection_grades", school.ALGEBRA, required_grades={"Exam": 0.5, "Total": 0.5})

    assert {name: answer.eligible for name, answer in answers.items()} == {"ada": True, "bob": False, "eve": True}
    assert answers["bob"].reasons


def test_only_the_given_learners_are_asked_about(school_lms, ask):
    for username in ("ada", "bob", "eve"):
        scored(school_lms, username, exam=1.0)

    ask("subsection_grades", school.ALGEBRA, "eve", required_grades={"Exam": 0.5})

    assert school_lms.asked == {"enrollments": ["eve"], "gradebook": ["eve"]}


def test_a_learner_who_left_is_not_eligible_whatever_the_grades(school_lms, ask):
    scored(school_lms, "ada", exam=1.0)
    school_lms.unenroll(school.ALGEBRA, "ada")

    assert ask("subsection_grades", school.ALGEBRA, "ada", required_grades={"Exam": 0.5})["ada"].reasons == (
        "Not enrolled.",
    )


def test_a_lesson_is_graded_by_its_own_subtree(school_lms, ask):
    scored(school_lms, "ada", 0.9, 0.2, 0.1, exam=0.1)
    required = {"Homework": 0.9, "Total": 0.9}

    assert ask("subsection_grades", school.SHEET, required_grades=required)["ada"].eligible
    week = ask("subsection_grades", school.WEEK, required_grades=required)["ada"]
    assert week.progress["current_grades"] == {"Homework": 0.55, "Total": 0.55}


def test_units_have_no_grades_of_their_own():
    unit = school.key("unit 1", type="vertical")

    assert not processor("subsection_grades").supports(unit)
    assert not processor("completions_and_grades").supports(unit)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({}, "required_grades: write what is demanded"),
        ({"required_grades": {}}, "required_grades: write what is demanded"),
        ({"required_grades": [0.5]}, "required_grades: write what is demanded"),
        ({"required_grades": {"Exam": 80}}, "required_grades.Exam: write a share between 0 and 1, like 0.8 for 80 %."),
        ({"required_grades": {"Exam": 0.8, "EXAM": 0.9}}, "required_grades: a category is there twice"),
    ],
)
def test_options_that_cannot_be_used_say_so(options, error):
    (found,) = processor("subsection_grades").clean_options(options)

    assert found.startswith(error)
    with pytest.raises(Permanent, match="required_grades"):
        processor("subsection_grades").retrieve(school.ALGEBRA, options)


# Both


def test_both_must_be_reached(school_lms, ask):
    for username, completed, exam in [("ada", 1.0, 1.0), ("bob", 0.5, 1.0), ("eve", 1.0, 0.1), ("kim", 0.5, 0.1)]:
        scored(school_lms, username, exam=exam)
        school_lms.complete(school.ALGEBRA, username, completed)

    answers = ask("completions_and_grades", school.ALGEBRA, required_completion=0.8, required_grades={"Exam": 0.6})

    assert {name: answer.eligible for name, answer in answers.items()} == {
        "ada": True,
        "bob": False,
        "eve": False,
        "kim": False,
    }
    assert answers["kim"].reasons == ("Completed 50 % of the required 80 %.", "Exam: 10 % of the required 60 %.")
    assert answers["ada"].progress == {
        "current_completion": 1.0,
        "required_completion": 0.8,
        "current_grades": {"Exam": 1.0},
        "required_grades": {"Exam": 0.6},
    }


def test_not_enrolled_is_said_once(school_lms, ask):
    school_lms.add_learner("stranger")

    answers = ask("completions_and_grades", school.ALGEBRA, "stranger", required_grades={"Exam": 0.6})

    assert answers["stranger"].reasons == ("Not enrolled.",)
