"""What other plugins read through ``badges.api``."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api
from tests.factories import (
    GEOMETRY,
    NOON,
    REVOKED,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    UserCredentialFactory,
    make_template,
    requirement,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def test_credentials_of_a_person_named_in_each_way() -> None:
    learner = LearnerFactory()
    mine = UserCredentialFactory(learner=learner)
    UserCredentialFactory()
    for person in (learner.user, learner.lms_user_id, str(learner.lms_user_id), learner.user.get_username()):
        assert list(api.credentials_of(person)) == [mine]


def test_credentials_come_newest_first_and_revoked_ones_too() -> None:
    learner, template = LearnerFactory(), make_template()
    first = UserCredentialFactory(learner=learner, template=template, awarded_at=NOON, **REVOKED)
    second = UserCredentialFactory(learner=learner, template=template, awarded_at=NOON + dt.timedelta(days=1))
    UserCredentialFactory(learner=learner)
    assert list(api.credentials_of(learner.lms_user_id, template=template.slug)) == [second, first]


def test_digits_are_an_lms_user_id_even_if_they_are_a_username_too() -> None:
    called = LearnerFactory(user__username="4711", lms_user_id=1)
    numbered = LearnerFactory(lms_user_id=4711)
    UserCredentialFactory(learner=called)
    theirs = UserCredentialFactory(learner=numbered)
    assert list(api.credentials_of("4711")) == [theirs]


@pytest.mark.parametrize("person", [2**80, "9" * 30, "hou\0ba", "", "🦁", -1])
def test_an_unknown_person_has_no_credentials(person: Any) -> None:
    UserCredentialFactory(learner=LearnerFactory(lms_user_id=None))
    assert list(api.credentials_of(person)) == []


def test_holders_are_learners_with_an_active_credential() -> None:
    template = make_template()
    held = UserCredentialFactory(template=template)
    UserCredentialFactory(template=template, **REVOKED)
    UserCredentialFactory()
    assert list(api.holders_of(template.slug)) == [held]


def test_a_report_names_what_is_fulfilled_and_what_is_open() -> None:
    template = make_template(requirements=[requirement("algebra"), requirement("geometry", course=GEOMETRY)])
    progress = BadgeProgressFactory(template=template)
    FulfillmentFactory(progress=progress, requirement=template.requirements.get(key="geometry"))
    BadgeProgressFactory(learner=progress.learner)
    (found,) = api.progress_of(progress.learner.user, template=template.slug)
    reported = api.report(found)
    assert (reported.fulfilled, reported.total) == (1, 2)
    assert [group.fulfilled for group in reported.groups] == [False, True]
