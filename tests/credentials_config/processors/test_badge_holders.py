"""Who holds badges."""

from __future__ import annotations

import pytest

from credentials_config.contracts import Person
from credentials_config.registry import processor
from tests.credentials_config.lms import school
from tests.factories import REVOKED, LearnerFactory, UserCredentialFactory, make_template

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


@pytest.fixture
def star():
    return make_template(slug="algebra-star")


@pytest.fixture
def moon():
    return make_template(slug="geometry-moon")


def give(template, **given):
    return UserCredentialFactory(template=template, **given)


def retrieve(context_key: str, badges, *learners):
    people = [Person(learner.lms_user_id, "") for learner in learners]
    answers = processor("badge_holders").retrieve(context_key, {"badges": badges}, people)
    return {learner: answers[learner.lms_user_id] for learner in learners}


def test_whoever_holds_the_badge_is_eligible(star, moon):
    holder, other = give(star).learner, give(moon).learner

    answers = retrieve(school.ALGEBRA, "algebra-star", holder, other)

    assert (answers[holder].eligible, answers[other].eligible) == (True, False)
    assert answers[other].reasons == ("The badge algebra-star is not held.",)
    assert answers[holder].progress == {"held_badges": ["algebra-star"], "required_badges": ["algebra-star"]}


def test_all_badges_must_be_held(star, moon):
    both, one = give(star).learner, give(star).learner
    give(moon, learner=both)

    answers = retrieve(school.ALGEBRA, ["algebra-star", "geometry-moon"], both, one)

    assert (answers[both].eligible, answers[one].eligible) == (True, False)
    assert answers[one].reasons == ("The badge geometry-moon is not held.",)


def test_a_revoked_badge_is_not_held(star):
    learner = give(star, **REVOKED).learner

    assert not retrieve(school.ALGEBRA, "algebra-star", learner)[learner].eligible


def test_any_kind_of_context_will_do():
    supports = processor("badge_holders").supports

    assert supports(school.ALGEBRA)
    assert supports(school.key("question", type="problem"))
    assert supports(school.PATHWAY)
    assert not supports("Algebra, second term")


def test_holders_are_named_as_the_lms_names_them_now(star, lms):
    learner = give(star).learner
    lms.add_learner(learner.user.username, id=learner.lms_user_id, name="Marsu Pilami", email="marsu@example.com")

    people = list(processor("badge_holders").people(school.ALGEBRA, {"badges": "algebra-star"}))

    assert people == [Person(learner.lms_user_id, learner.user.username, "marsu@example.com", "Marsu Pilami")]


def test_holders_the_lms_does_not_know_are_named_as_here(star, lms):
    learner = give(star).learner
    lms.add_learner(learner.user.username, id=77)  # somebody else took the name

    people = list(processor("badge_holders").people(school.ALGEBRA, {"badges": "algebra-star"}))

    user = learner.user
    assert people == [Person(learner.lms_user_id, user.username, user.email, f"Houba {user.last_name}")]


def test_without_any_lms_holders_are_named_as_here(star, settings):
    settings.CREDENTIALS_CONFIG = {}
    gone = give(star, learner=LearnerFactory(user=None)).learner
    give(star, learner=LearnerFactory(lms_user_id=None))  # nobody the LMS could name

    assert list(processor("badge_holders").people(school.ALGEBRA, {"badges": ["algebra-star"]})) == [
        Person(gone.lms_user_id, "")
    ]


def test_in_a_pathway_the_badge_counts_for_those_enrolled(star, lms):
    school.fill(lms)
    inside, outside = give(star).learner, give(star).learner
    for learner in (inside, outside):
        lms.add_learner(learner.user.username, id=learner.lms_user_id)
    lms.enroll(school.PATHWAY, inside.user.username)

    answers = retrieve(school.PATHWAY, "algebra-star", inside, outside)

    assert (answers[inside].eligible, answers[outside].reasons) == (True, ("Not enrolled.",))


def test_the_number_of_statements_depends_on_badges_and_not_on_learners(star, django_assert_num_queries):
    learners = [give(star).learner for _ in range(20)]

    with django_assert_num_queries(1):
        retrieve(school.ALGEBRA, "algebra-star", *learners)


@pytest.mark.parametrize("badges", [None, "", [], [7], [["algebra-star"]], [{}], ["algebra-star", ""], {"a": 1}])
def test_options_that_name_no_badge_say_what_to_write(badges):
    assert processor("badge_holders").clean_options({"badges": badges}) == [
        "badges: write the slug of a badge template, or a list of slugs."
    ]
