"""Who completed enough."""

from __future__ import annotations

import pytest

from badges.exceptions import Permanent, Retryable
from credentials_config.registry import processor
from tests.credentials_config.lms import school


def test_enough_is_enough_and_less_is_told(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 3, completed=0.9)
    school_lms.complete(school.ALGEBRA, "learner-2", 0.8996)

    answers = ask("completions", school.ALGEBRA)

    assert {name: answer.eligible for name, answer in answers.items()} == {
        "learner-1": True,
        "learner-2": False,
        "learner-3": True,
    }
    assert answers["learner-1"].reasons == ()
    assert answers["learner-2"].reasons == ("Completed 89.96 % of the required 90 %.",)
    assert answers["learner-2"].progress == {"current_completion": 0.8996, "required_completion": 0.9}


def test_the_demand_comes_from_the_options(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 1, completed=0.5)

    assert ask("completions", school.ALGEBRA, required_completion=0.5)["learner-1"].eligible
    assert not ask("completions", school.ALGEBRA, required_completion=1)["learner-1"].eligible


@pytest.mark.parametrize("invalid", [None, float("nan"), "all of it", 1.5, -1, [1], {"ratio": 1}])
def test_one_learners_odd_completion_does_not_stop_the_others(school_lms, ask, invalid):
    school_lms.enroll_many(school.ALGEBRA, 3, completed=1.0)
    school_lms.garble_completion(school.ALGEBRA, "learner-2", invalid)

    answers = ask("completions", school.ALGEBRA)

    assert [answer.eligible for answer in answers.values()] == [True, False, True]
    assert answers["learner-2"].reasons == ("The LMS reports a completion that makes no sense.",)
    assert answers["learner-2"].progress["current_completion"] is None


def test_nothing_to_complete_is_not_everything_completed(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 2, completed=1.0)
    school_lms.empty(school.ALGEBRA)

    answers = ask("completions", school.ALGEBRA)

    for answer in answers.values():
        assert not answer.eligible
        assert answer.reasons == ("There is nothing to complete here. Add content, or correct the key.",)


def test_whoever_is_asked_about_gets_an_answer_also_without_an_enrolment(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 2, completed=1.0)
    school_lms.unenroll(school.ALGEBRA, "learner-2")
    school_lms.add_learner("stranger")

    answers = ask("completions", school.ALGEBRA, "learner-1", "learner-2", "stranger")

    assert {name: answer.reasons for name, answer in answers.items()} == {
        "learner-1": (),
        "learner-2": ("Not enrolled.",),
        "stranger": ("Not enrolled.",),
    }


def test_only_the_given_learners_are_asked_about(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 9, completed=1.0)

    ask("completions", school.ALGEBRA, "learner-2", "learner-7")

    assert school_lms.asked == {"completions": ["1002", "1007"]}


def test_nobody_to_ask_about_is_no_question(school_lms):
    assert processor("completions").retrieve(school.ALGEBRA, {}, []) == {}
    assert school_lms.calls == []


@pytest.mark.parametrize("type", ["chapter", "sequential", "vertical"])
def test_the_completion_of_a_lesson_is_its_own(school_lms, ask, type):
    lesson = school.key("unit 1", type=type)
    school_lms.enroll_many(school.ALGEBRA, 2, completed=1.0)
    school_lms.complete(lesson, "learner-1", 0.95)
    school_lms.complete(lesson, "learner-2", 0.2)

    assert [answer.eligible for answer in ask("completions", lesson).values()] == [True, False]


def test_single_problems_and_libraries_are_not_supported():
    completions = processor("completions")

    assert not completions.supports(school.key("question", type="problem"))
    assert not completions.supports("library-v1:Demo+Questions")
    with pytest.raises(Permanent, match="does not support"):
        completions.retrieve(school.key("question", type="problem"), {})


def test_an_lms_that_is_down_is_no_verdict_on_anybody(school_lms, ask):
    school_lms.enroll_many(school.ALGEBRA, 1, completed=1.0)
    school_lms.break_down(on="completions")

    with pytest.raises(Retryable):
        ask("completions", school.ALGEBRA)


@pytest.mark.parametrize("demand", ["0.9", 90, -0.1, None, True, float("nan")])
def test_a_demand_that_is_no_share_is_found_when_saved_and_refused_when_run(school_lms, demand):
    options = {"required_completion": demand}

    assert processor("completions").clean_options(options) == [
        "required_completion: write a share between 0 and 1, like 0.9 for 90 %."
    ]
    with pytest.raises(Permanent, match="required_completion: write a share"):
        processor("completions").retrieve(school.ALGEBRA, options)
    assert school_lms.calls == []


def test_options_of_the_generator_are_none_of_its_business_and_slips_are_noticed():
    completions = processor("completions")

    assert completions.clean_options({"template": "diploma", "text_elements": {}, "required_completion": 1}) == []
    assert completions.clean_options({"requierd_completion": 0.5}) == [
        "requierd_completion: this is not known. Do you mean “required_completion”?"
    ]
