"""What reaches a provider: awards and revocations of one badge in their order, and no badge waits for another."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from badges import api, delivery
from badges.issuers.credly.models import CredlyBadge
from badges.models import OutboxMessage, UserCredential
from badges.testing.credly import CredlyStandIn
from tests.factories import NOON, LearnerFactory, credly_issuer, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def template_at(credly: CredlyStandIn, **given: Any) -> Any:
    return make_template(issuers=[credly_issuer(credly.organization, credly.add_template().id)], **given)


def award(learner: Any, template: Any) -> UserCredential:
    return api.award(learner, template.slug, now=NOON)


def test_award_revoke_and_award_again_arrive_in_that_order(credly: CredlyStandIn) -> None:
    learner, template = LearnerFactory(), template_at(credly)
    award(learner, template)
    api.revoke(learner, template.slug, reason="Awarded too early.", now=NOON)
    again = award(learner, template)
    delivery.drain(now=NOON + dt.timedelta(seconds=1))
    # The first was revoked before Credly was asked for it, so there is nothing to issue or to revoke.
    assert [badge.state for badge in credly.badges] == ["pending"]
    assert str(CredlyBadge.objects.get(pk=again.pk).external_uuid) == credly.badges[0].id


def test_an_issued_badge_is_revoked_before_it_is_issued_again(credly: CredlyStandIn) -> None:
    learner, template = LearnerFactory(), template_at(credly)
    award(learner, template)
    delivery.drain(now=NOON + dt.timedelta(seconds=1))
    api.revoke(learner, template.slug, reason="Awarded too early.", now=NOON)
    award(learner, template)
    delivery.drain(now=NOON + dt.timedelta(seconds=2))
    assert sorted(badge.state for badge in credly.badges) == ["pending", "revoked"]


def test_a_first_award_that_waits_is_issued_revoked_and_issued_again_in_that_order(credly: CredlyStandIn) -> None:
    learner, template = LearnerFactory(), template_at(credly)
    award(learner, template)
    credly.drop(on="issue", times=1)  # Credly issued the badge, and its answer was lost
    delivery.drain(now=NOON + dt.timedelta(seconds=1))
    assert OutboxMessage.objects.get(channel="credly").state == "pending"
    api.revoke(learner, template.slug, now=NOON)
    award(learner, template)
    delivery.drain(now=NOON + dt.timedelta(hours=2))
    assert sorted(badge.state for badge in credly.badges) == ["pending", "revoked"]
    assert not OutboxMessage.objects.filter(channel="credly").exclude(state="delivered").exists()


def test_a_badge_that_waits_holds_up_no_other_badge_of_the_learner(credly: CredlyStandIn) -> None:
    learner, first, second = LearnerFactory(), template_at(credly), template_at(credly)
    credly.break_down(on="issue", times=1)
    award(learner, first)
    award(learner, second)
    delivery.drain(now=NOON + dt.timedelta(seconds=1))
    assert len(credly.badges) == 1
    assert sorted(OutboxMessage.objects.filter(channel="credly").values_list("state", flat=True)) == [
        "delivered",
        "pending",
    ]
