"""What a learner and a sticker service rely on: a claim counts once, and one that cannot be used stops no other."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from badges import api, pipeline
from badges.awarding.models import UserCredential
from badges.flows.claims import claimed_count
from badges.flows.models import StickerClaim
from badges.intake.inbox import requeue
from badges.intake.learners import give_account
from badges.intake.models import InboxMessage, Learner, LearnerIdentity
from tests.factories import LearnerFactory, make_template
from tests.flows.senders import NOON, claimed, reasons, states, take, work
from tests.support.constraints import again, refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]


def test_a_claim_counts_and_awards_nothing() -> None:
    make_template(slug="نجمة")
    learner = LearnerFactory()
    result = take(claimed(learner, "نجمة", id="claim-1"))
    assert (result.awarded, states()) == (0, ["processed"])
    assert claimed_count(learner) == 1
    assert not UserCredential.objects.exists()
    claim = StickerClaim.objects.get()
    assert (claim.event_source, claim.event_id) == ("stickers", "claim-1")
    assert claim.event_time == dt.datetime(2026, 3, 10, 9, 30, tzinfo=dt.UTC)


def test_a_claim_that_comes_again_changes_nothing() -> None:
    make_template(slug="star")
    learner = LearnerFactory()
    first = claimed(learner, "star", id="one")
    take(first, first)
    take(first)
    take(claimed(learner, "star", id="two"), claimed(learner, "star", id="three"))
    assert claimed_count(learner) == 1


def test_the_uuid_of_a_template_names_it_too() -> None:
    template = make_template(slug="star")
    learner = LearnerFactory()
    take(claimed(learner, str(template.uuid).upper()), claimed(learner, "star"))
    assert claimed_count(learner) == 1


def test_an_unknown_account_or_sticker_is_a_dead_letter_and_the_others_go_on() -> None:
    make_template(slug="star")
    learner = LearnerFactory()
    unknown = "0190e3c0-0000-7000-b000-00000000abcd"
    result = take(claimed(unknown, "star"), claimed(learner, "comet"), claimed(learner, "star"))
    assert (result.dead, claimed_count(learner)) == (2, 1)
    account, sticker = reasons()
    assert "Nobody here has the account id" in account
    assert "no badge template with this slug" in sticker
    assert unknown not in account


def test_a_dead_letter_is_tried_again_by_an_operator_or_when_it_comes_again() -> None:
    learner = LearnerFactory()
    event = claimed(learner, "star")
    take(event, claimed(learner, "comet"))
    make_template(slug="star")
    make_template(slug="comet")
    take(event)
    assert claimed_count(learner) == 1
    requeue(InboxMessage.objects.all(), now=NOON)
    work()
    assert claimed_count(learner) == 2
    assert states() == ["processed", "processed"]


def test_claims_award_where_the_setting_says_so(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"claims_award": True}}
    make_template(slug="star")
    make_template(slug="asleep", is_active=False)
    learner = LearnerFactory()
    event = claimed(learner, "star", id="claim-7")
    assert take(event, claimed(learner, "asleep")).awarded == 1
    credential = api.credentials_of(learner).get()
    assert (credential.template.slug, credential.cause_event_id) == ("star", "claim-7")
    api.revoke(learner, "star")
    assert take(claimed(learner, "star", id="claim-8")).awarded == 0
    assert claimed_count(learner) == 2


def test_an_account_id_may_be_an_id_at_another_system(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"account_issuer": "https://id.example.org"}}
    make_template(slug="star")
    learner = LearnerFactory()
    LearnerIdentity.objects.create(issuer="https://id.example.org", subject="auth0|17", learner=learner)
    LearnerIdentity.objects.create(issuer="https://other.example.org", subject="auth0|18", learner=LearnerFactory())
    take(claimed("auth0|17", "star"), claimed("auth0|18", "star"))
    assert (claimed_count(learner), StickerClaim.objects.count()) == (1, 1)


def test_an_account_id_that_is_a_uuid_is_found_in_whatever_case_it_was_entered(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"account_issuer": "id.example.org"}}
    make_template(slug="star")
    upper, lower = LearnerFactory.create_batch(2)
    account_id, other = "A1B2C3D4-0000-4000-8000-00000000ABCD", "a1b2c3d4-0000-4000-8000-00000000abce"
    LearnerIdentity.objects.create(issuer="id.example.org", subject=account_id, learner=upper)
    LearnerIdentity.objects.create(issuer="id.example.org", subject=other, learner=lower)
    LearnerIdentity.objects.create(issuer="id.example.org", subject=other.upper(), learner=upper)
    take(claimed(account_id, "star"), claimed(account_id.lower(), "star"), claimed(other.upper(), "star"))
    assert [claimed_count(upper), claimed_count(lower)] == [1, 1]
    assert reasons() == []


def test_a_learner_whose_account_another_one_has_now_stands_for_that_one(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"account_issuer": "id.example.org"}}
    for slug in ("star", "comet", "moon"):
        make_template(slug=slug)
    by_name, by_id = LearnerFactory(lms_user_id=None), LearnerFactory(user=None)
    LearnerIdentity.objects.create(issuer="id.example.org", subject="groom-1938", learner=by_name)
    Learner.objects.filter(pk=by_id.pk).update(account_learner=by_name)
    by_id.refresh_from_db()
    give_account(by_id)
    take(claimed(by_name, "star"), claimed(by_id, "comet"), claimed("groom-1938", "moon"))
    assert [claimed_count(by_name), claimed_count(by_id)] == [0, 3]
    api.retire(by_id)
    take(claimed(by_name, "star", id="later"))
    assert [claimed_count(by_name), claimed_count(by_id)] == [0, 0]
    assert not LearnerIdentity.objects.exists()
    assert InboxMessage.objects.get(event_id="later").payload is None


def test_a_retirement_removes_the_claims_and_the_events_and_later_ones_are_not_kept() -> None:
    make_template(slug="star")
    learner = LearnerFactory()
    take(claimed(learner, "star"), claimed(learner, "comet"))
    api.retire(learner)
    assert not StickerClaim.objects.exists()
    assert set(InboxMessage.objects.values_list("payload", "name_digest")) == {(None, None)}
    take(claimed(learner, "star"))
    assert not StickerClaim.objects.exists()
    assert set(InboxMessage.objects.values_list("payload", "name_digest")) == {(None, None)}


def test_the_number_of_statements_does_not_depend_on_the_number_of_claims(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"flows": {"claims_award": True}}
    make_template(slug="star")
    make_template(slug="comet")

    def statements(number: int) -> int:
        learners = LearnerFactory.create_batch(number)
        pipeline.handle([claimed(learner, slug) for learner in learners for slug in ("star", "comet")], now=NOON)
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert work().awarded == 2 * number
        return len([query for query in captured if not query["sql"].startswith(("INSERT", "--"))])

    assert statements(2) == statements(20)


def test_the_database_takes_one_claim_for_each_learner_and_template() -> None:
    make_template(slug="star")
    take(claimed(LearnerFactory(), "star"))
    row = StickerClaim.objects.get()
    refused(again(row))
