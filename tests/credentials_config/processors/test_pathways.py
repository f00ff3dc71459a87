"""Pathways: every step has to be passed, by those who are enrolled in the pathway."""

from __future__ import annotations

import pytest

from badges.exceptions import Permanent
from credentials_config.registry import processor
from tests.credentials_config.lms import school


@pytest.fixture
def students(school_lms):
    """Ada passes both steps, Bob only the first; Eve passes both, but left the pathway."""
    for username, algebra, geometry in [("ada", 1.0, 0.7), ("bob", 1.0, 0.6), ("eve", 1.0, 1.0)]:
        school_lms.add_learner(username)
        for course, completed in [(school.ALGEBRA, algebra), (school.GEOMETRY, geometry)]:
            school_lms.enroll(course, username)
            school_lms.complete(course, username, completed)
        school_lms.enroll(school.PATHWAY, username)
    school_lms.unenroll(school.PATHWAY, "eve")
    return school_lms


def test_all_steps_must_be_passed(students, ask):
    answers = ask("completions", school.PATHWAY, required_completion=0.7)

    assert {name: answer.eligible for name, answer in answers.items()} == {"ada": True, "bob": False}
    assert answers["bob"].reasons == (f"{school.GEOMETRY}: Completed 60 % of the required 70 %.",)
    assert answers["bob"].progress["steps"] == {
        school.ALGEBRA: {"eligible": True, "current_completion": 1.0, "required_completion": 0.7},
        school.GEOMETRY: {"eligible": False, "current_completion": 0.6, "required_completion": 0.7},
    }


def test_only_active_enrolments_in_the_pathway_count_and_others_are_not_asked_about(students, ask):
    answers = ask("completions", school.PATHWAY, "ada", "eve", required_completion=0.1)

    assert (answers["ada"].eligible, answers["eve"].eligible) == (True, False)
    assert answers["eve"].reasons == ("Not enrolled.",)
    assert students.asked["completions"] == [str(students.learners["ada"].id)]


def test_a_learner_of_the_pathway_who_left_a_step_does_not_pass(students, ask):
    students.unenroll(school.GEOMETRY, "ada")

    answer = ask("completions", school.PATHWAY, required_completion=0.1)["ada"]

    assert answer.reasons == (f"{school.GEOMETRY}: Not enrolled.",)


def test_a_steps_options_are_merged_over_the_others(students, ask):
    options = {"required_completion": 0.9, "steps": {school.GEOMETRY: {"required_completion": 0.6}}}

    answers = ask("completions", school.PATHWAY, **options)

    assert {name: answer.eligible for name, answer in answers.items()} == {"ada": True, "bob": True}


def test_a_step_that_says_something_about_one_category_keeps_the_others(students, ask):
    exam = students.add_subsection(school.GEOMETRY, "exam", category="Exam").key
    students.change_course(school.GEOMETRY, policy=[{"assignment_type": "Exam", "count": 1}])
    for key in (school.key("exam"), exam):
        students.score(key, "ada", 6, 10)
    options = {
        "required_grades": {"Exam": 0.6, "Total": 0.1},
        "steps": {school.GEOMETRY: {"required_grades": {"Exam": 0.7}}},
    }

    answer = ask("subsection_grades", school.PATHWAY, "ada", **options)["ada"]

    assert answer.reasons == (f"{school.GEOMETRY}: Exam: 60 % of the required 70 %.",)
    assert answer.progress["steps"][school.GEOMETRY]["required_grades"] == {"Exam": 0.7, "Total": 0.1}


def test_a_step_takes_a_category_away_with_null(students, ask):
    students.score(school.key("exam"), "ada", 6, 10)
    students.change_course(school.GEOMETRY, policy=[])
    options = {
        "required_grades": {"Exam": 0.6, "Total": 0.0},
        "steps": {school.GEOMETRY: {"required_grades": {"Exam": None}}},
    }

    assert ask("subsection_grades", school.PATHWAY, "ada", **options)["ada"].eligible


def test_options_for_a_course_that_is_no_step_are_a_mistake_and_not_overlooked(students, ask):
    with pytest.raises(Permanent, match="no step of"):
        ask("completions", school.PATHWAY, steps={school.NOWHERE: {"required_completion": 0.1}})


def test_a_step_without_demands_of_its_own_is_a_mistake_when_nothing_is_common(students, ask):
    options = {"steps": {school.ALGEBRA: {"required_grades": {"Exam": 0.5}}}}

    assert processor("subsection_grades").clean_options(options) == []
    with pytest.raises(Permanent, match=r"in the step course-v1:Demo\+Geometry"):
        ask("subsection_grades", school.PATHWAY, **options)


def test_a_pathway_without_steps_is_passed_by_nobody(students, ask):
    students.add_path(school.PATHWAY, steps=[])

    assert ask("completions", school.PATHWAY, "ada")["ada"].reasons == ("The pathway has no steps.",)


@pytest.mark.parametrize(
    ("steps", "error"),
    [
        ([], "steps: write an object"),
        ("all", "steps: write an object"),
        ({"algebra": {}}, "steps.algebra: this is no course key."),
        ({school.ALGEBRA: 0.5}, f"steps.{school.ALGEBRA}: write an object"),
        ({school.ALGEBRA: {"required_completion": 5}}, f"steps.{school.ALGEBRA}.required_completion: write a share"),
    ],
)
def test_steps_that_cannot_be_used_say_where(steps, error):
    (found,) = processor("completions").clean_options({"steps": steps})

    assert found.startswith(error)
