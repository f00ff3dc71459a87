"""What reaches a provider: awards and revocations of one badge in their order, and no badge waits for another."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api, delivery
from badges.models import OutboxMessage, UserCredential
from tests.factories import NOON, LearnerFactory
from tests.support.providers import TestedProvider

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def award(learner: Any, template: Any) -> UserCredential:
    return api.award(learner, template.slug, now=NOON)


def drain_after(**time: float) -> None:
    delivery.drain(now=NOON + dt.timedelta(**time))


def only_valid_badge(provider: TestedProvider) -> str:
    (badge,) = provider.valid_badges()
    return badge


def test_award_revoke_and_award_again_arrive_in_that_order(provider: TestedProvider) -> None:
    learner, template = LearnerFactory(), provider.template()
    award(learner, template)
    api.revoke(learner, template.slug, reason="Awarded too early.", now=NOON)
    again = award(learner, template)
    drain_after(seconds=1)
    # The first was revoked before the provider was asked for it, so there is nothing to issue or to revoke.
    assert len(provider.all_badges()) == 1
    assert provider.external_id(provider.row(again)) == only_valid_badge(provider)


def test_an_issued_badge_is_revoked_before_it_is_issued_again(provider: TestedProvider) -> None:
    learner, template = LearnerFactory(), provider.template()
    first = award(learner, template)
    drain_after(seconds=1)
    api.revoke(learner, template.slug, reason="Awarded too early.", now=NOON)
    again = award(learner, template)
    drain_after(seconds=2)
    assert provider.external_id(provider.row(again)) == only_valid_badge(provider)
    assert provider.row(first).state in ("revoked", "expired")
    assert not OutboxMessage.objects.filter(channel=provider.slug).exclude(state="delivered").exists()


def test_a_first_award_that_waits_is_issued_revoked_and_issued_again_in_that_order(provider: TestedProvider) -> None:
    learner, template = LearnerFactory(), provider.template()
    award(learner, template)
    provider.standin.drop(on="issue", times=1)  # the badge was issued, and the answer was lost
    drain_after(seconds=1)
    assert OutboxMessage.objects.get(channel=provider.slug).state == "pending"
    api.revoke(learner, template.slug, now=NOON)
    again = award(learner, template)
    drain_after(hours=2)
    assert provider.external_id(provider.row(again)) == only_valid_badge(provider)
    assert not OutboxMessage.objects.filter(channel=provider.slug).exclude(state="delivered").exists()


def test_a_badge_that_waits_holds_up_no_other_badge_of_the_learner(provider: TestedProvider) -> None:
    learner, first, second = LearnerFactory(), provider.template(), provider.template()
    provider.standin.break_down(on="issue", times=1)
    award(learner, first)
    award(learner, second)
    drain_after(seconds=1)
    assert len(provider.all_badges()) == 1
    states = OutboxMessage.objects.filter(channel=provider.slug).values_list("state", flat=True)
    assert sorted(states) == ["delivered", "pending"]
