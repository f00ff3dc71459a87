"""The welcome badge: once for each learner, whatever is sent."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api
from badges.flows.models import WelcomeAward
from badges.intake.models import InboxMessage
from badges.outbox.models import OutboxMessage
from tests.factories import LearnerFactory, make_template
from tests.flows.senders import NOON, reasons, registered, states, take, work
from tests.support.constraints import again, refused
from tests.support.statement_counts import counted_statements

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


@pytest.fixture
def welcome(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"welcome_badge": "ようこそ"}}


def test_a_registration_gives_the_welcome_badge_once_and_is_not_published_again(welcome: None) -> None:
    make_template(slug="ようこそ", requirements=[], is_active=False)
    learner = LearnerFactory()
    assert take(registered(learner), registered(learner)).awarded == 1
    assert take(registered(learner)).awarded == 0
    api.revoke(learner, "ようこそ")
    assert take(registered(learner)).awarded == 0
    assert not OutboxMessage.objects.filter(type="users.userRegistered.v1").exists()


def test_another_welcome_badge_later_is_for_those_who_had_none(welcome: None, settings: Any) -> None:
    make_template(slug="ようこそ", requirements=[], is_active=False)
    make_template(slug="hello", requirements=[], is_active=False)
    old, new = LearnerFactory(), LearnerFactory()
    take(registered(old))
    settings.LMS_BADGES_CONFIG = {"flows": {"welcome_badge": "hello"}}
    take(registered(old), registered(new))
    assert [api.credentials_of(learner).get().template.slug for learner in (old, new)] == ["ようこそ", "hello"]


def test_without_the_setting_nothing_happens() -> None:
    take(registered(LearnerFactory()), registered("nobody-here"))
    assert states() == ["processed", "processed"]
    assert not WelcomeAward.objects.exists()


def test_a_registration_waits_for_its_account(welcome: None) -> None:
    make_template(slug="ようこそ", requirements=[], is_active=False)
    account = "0190e3c0-0000-7000-b000-00000000abcd"
    take(registered(account))
    assert states() == ["pending"]
    learner = LearnerFactory(uuid=account)
    assert work(now=NOON + dt.timedelta(minutes=1)).awarded == 1
    assert api.credentials_of(learner).count() == 1


def test_a_welcome_badge_that_is_not_there_is_told_with_the_remedy(welcome: None) -> None:
    events = [registered(learner) for learner in LearnerFactory.create_batch(4)]
    with counted_statements() as few:
        assert take(events[0]).dead == 1
    with counted_statements() as many:
        assert take(*events[1:]).dead == 3
    assert len(many) == len(few), "one transaction for all"
    assert all("welcome_badge" in reason for reason in reasons())
    make_template(slug="ようこそ", requirements=[], is_active=False)
    InboxMessage.objects.filter(state="dead").update(state="pending", due_at=NOON)
    assert work().awarded == 4


def test_the_database_takes_one_welcome_for_each_learner(welcome: None) -> None:
    make_template(slug="ようこそ", requirements=[], is_active=False)
    learner = LearnerFactory()
    take(registered(learner))
    row = WelcomeAward.objects.get()
    refused(again(row))
    api.retire(learner)
    assert not WelcomeAward.objects.exists()
