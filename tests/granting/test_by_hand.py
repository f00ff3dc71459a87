"""What staff and other plugins rely on: a badge is awarded and revoked once, with its cause, and a block holds."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction

from badges import api
from badges.api import ExternalIdentity
from badges.awarding.models import held
from badges.exceptions import (
    AlreadyHeldError,
    BlockedError,
    NotBlockedError,
    NotHeldError,
    TemplateNotActiveError,
    UnknownPersonError,
    UnusableReasonError,
)
from badges.granting import by_hand
from badges.models import BadgeTemplate, Learner, OutboxMessage, UserCredential
from badges.outbox.models import OutboxState
from tests.factories import (
    EXPIRED,
    NOON,
    BadgeProgressFactory,
    FulfillmentFactory,
    LearnerFactory,
    UserCredentialFactory,
    UserFactory,
    credly_issuer,
    make_template,
)

pytestmark = [pytest.mark.django_db, pytest.mark.tables]


def messages() -> list[tuple[str, str]]:
    return list(OutboxMessage.objects.order_by("sequence").values_list("channel", "type"))


def test_a_template_without_requirements_is_awarded_by_hand_with_the_person_as_the_cause() -> None:
    learner, boss = LearnerFactory(), UserFactory()
    template = make_template(slug="palombia", is_active=False, requirements=[], issuers=[credly_issuer()])
    credential = api.award(learner, "palombia", by=boss, reason="Helped everybody.", now=NOON)
    credential.refresh_from_db()
    assert (credential.status, credential.awarded_at, credential.template) == ("awarded", NOON, template)
    assert (credential.cause_kind, credential.cause_person, credential.cause_reason) == (
        "person",
        boss,
        "Helped everybody.",
    )
    assert credential.revision == template.revisions.latest("number")
    assert credential.credly_badge.state == "created"
    assert messages() == [("announce", "badge.awarded"), ("credly", "issue")]


def test_an_award_by_other_code_says_so() -> None:
    credential = api.award(LearnerFactory(), make_template().slug)
    assert (credential.cause_kind, credential.cause_person_id) == ("program", None)


def test_nobody_holds_a_badge_twice() -> None:
    credential = UserCredentialFactory()
    with pytest.raises(AlreadyHeldError, match="Revoke it before") as held:
        api.award(credential.learner, credential.template.slug)
    assert held.value.credential_id == credential.pk
    assert UserCredential.objects.count() == 1
    assert messages() == []


def test_an_inactive_template_is_not_awarded() -> None:
    with pytest.raises(TemplateNotActiveError, match="Activate"):
        api.award(LearnerFactory(), make_template(is_active=False).slug)


@pytest.mark.parametrize(
    "person", [987_654, "987654", "no-such-name", "", "\0", "9" * 5000, uuid.UUID(int=5), ExternalIdentity("sis", "7")]
)
def test_a_person_whom_nobody_here_knows_is_not_awarded_anything(person: Any) -> None:
    with pytest.raises(UnknownPersonError, match="Check the LMS user id"):
        api.award(person, make_template().slug)
    assert not Learner.objects.exists()


def test_an_unknown_template_is_not_awarded() -> None:
    with pytest.raises(BadgeTemplate.DoesNotExist):
        api.award(LearnerFactory(), "no-such-template")


@pytest.mark.parametrize("named_by", ["account", "username"])
def test_an_account_that_no_event_was_about_gets_a_learner_with_its_first_award(named_by: str) -> None:
    user, other = UserFactory(username="marsupilami"), UserFactory()
    credential = api.award(user if named_by == "account" else "marsupilami", make_template().slug)
    assert (credential.learner.user, credential.learner.lms_user_id) == (user, None)
    assert list(api.credentials_of(user)) == [credential]
    assert api.learner_of(other) is None


@pytest.mark.parametrize("named_by", ["account", "username", "lms_user_id"])
def test_the_lms_user_id_that_the_host_stores_goes_to_the_new_learner(named_by: str, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}  # some text column of the host
    user = UserFactory(username="marsupilami", last_name="4711")
    person = {"account": user, "username": "marsupilami", "lms_user_id": 4711}[named_by]
    credential = api.award(person, make_template().slug)
    assert (credential.learner.user, credential.learner.lms_user_id) == (user, 4711)


def test_an_account_whose_lms_user_id_has_a_learner_already_shares_it(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    learner = LearnerFactory(lms_user_id=4711, user=None)
    user = UserFactory(last_name="4711")
    assert api.award(user, make_template().slug).learner == learner
    learner.refresh_from_db()
    assert learner.user == user


def test_the_learner_of_another_account_is_not_taken(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    LearnerFactory(lms_user_id=4711)
    with pytest.raises(UnknownPersonError):
        api.award(UserFactory(last_name="4711"), make_template().slug)
    assert not UserCredential.objects.exists()


def test_who_was_retired_is_not_brought_back_by_an_award(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"user_lms_id_field": "last_name"}
    user = UserFactory(last_name="4711")
    api.retire(user)
    with pytest.raises(UnknownPersonError):
        api.award(user, make_template().slug)
    assert not Learner.objects.exists()


def test_a_refused_award_leaves_no_learner() -> None:
    with pytest.raises(TemplateNotActiveError):
        api.award(UserFactory(), make_template(is_active=False).slug)
    assert not Learner.objects.exists()


TOO_LONG_OR_UNSTORABLE = [("houba" * 200, "Shorten it to"), ("hou\0ba", "NUL"), ("hou\ud800ba", "half a character")]


@pytest.mark.parametrize(("text", "remedy"), TOO_LONG_OR_UNSTORABLE)
def test_a_reason_that_no_column_takes_is_refused_before_the_database(text: str, remedy: str) -> None:
    held, blocked = UserCredentialFactory(), UserCredentialFactory()
    api.revoke(blocked.learner, blocked.template.slug, by=UserFactory())
    calls = {
        "reason: It": [
            lambda: api.award(LearnerFactory(), make_template().slug, reason=text),
            lambda: api.revoke(held.learner, held.template.slug, reason=text),
            lambda: api.lift_block(blocked.learner, blocked.template.slug, reason=text),
        ],
        "internal_reason: It": [lambda: api.revoke(held.learner, held.template.slug, internal_reason=text)],
    }
    for beginning, each in calls.items():
        for call in each:
            with pytest.raises(UnusableReasonError, match=remedy) as refused:
                call()
            assert str(refused.value).startswith(beginning.removesuffix("It"))
    assert UserCredential.objects.filter(active_key="active").get() == held
    assert UserCredential.objects.filter(blocked=True).get() == blocked


def test_reasons_of_exactly_the_longest_length_are_stored() -> None:
    learner, slug = LearnerFactory(), make_template().slug
    credential = api.award(learner, slug, reason="好" * 500)
    api.revoke(learner, slug, reason="猫" * 255, internal_reason="犬" * 500, block=True)
    api.lift_block(learner, slug, reason="鳥" * 500)
    credential.refresh_from_db()
    assert (credential.cause_reason, credential.public_reason) == ("好" * 500, "猫" * 255)
    assert (credential.internal_reason, credential.block_lifted_reason) == ("犬" * 500, "鳥" * 500)


def test_revoking_one_credential_leaves_the_one_that_replaced_it() -> None:
    old = UserCredentialFactory()
    learner, slug = old.learner, old.template.slug
    api.revoke(learner, slug)
    new = api.award(learner, slug)
    with pytest.raises(NotHeldError):
        api.revoke(learner, slug, credential_id=old.pk)
    assert list(api.holders_of(slug)) == [new]
    assert api.revoke(learner, slug, credential_id=new.pk) == new


def test_a_lifted_block_keeps_who_lifted_it_when_and_why() -> None:
    credential, boss = UserCredentialFactory(), UserFactory()
    api.revoke(credential.learner, credential.template.slug, by=UserFactory())
    with pytest.raises(NotBlockedError):
        api.lift_block(credential.learner, credential.template.slug, credential_id=uuid.UUID(int=5))
    api.lift_block(
        credential.learner,
        credential.template.slug,
        by=boss,
        reason="It was a mistake.",
        credential_id=credential.pk,
        now=NOON,
    )
    credential.refresh_from_db()
    assert (credential.status, credential.blocked) == ("revoked", False)
    assert (credential.block_lifted_at, credential.block_lifted_person) == (NOON, boss)
    assert credential.block_lifted_reason == "It was a mistake."


def test_a_revocation_keeps_who_revoked_when_and_why_and_is_announced() -> None:
    credential, boss = UserCredentialFactory(), UserFactory()
    revoked = api.revoke(
        credential.learner,
        credential.template.slug,
        by=boss,
        reason="Awarded by mistake.",
        internal_reason="See the minutes.",
        now=NOON,
    )
    revoked.refresh_from_db()
    assert revoked == credential
    assert (revoked.status, revoked.active_key, revoked.revoked_at) == ("revoked", None, NOON)
    assert (revoked.public_reason, revoked.internal_reason) == ("Awarded by mistake.", "See the minutes.")
    assert (revoked.revocation_kind, revoked.revocation_person, revoked.blocked) == ("person", boss, True)
    assert revoked.revocation_revision == credential.template.revisions.latest("number")
    assert (revoked.cause_kind, revoked.awarded_at) == ("event", credential.awarded_at)
    assert messages() == [("announce", "badge.revoked")]


def test_what_is_not_held_cannot_be_revoked() -> None:
    with pytest.raises(NotHeldError, match="nothing to revoke"):
        api.revoke(LearnerFactory(), make_template().slug)


def test_after_a_persons_revocation_the_badge_is_awarded_again_only_when_the_block_is_lifted() -> None:
    credential, boss = UserCredentialFactory(), UserFactory()
    learner, slug = credential.learner, credential.template.slug
    api.revoke(learner, slug, by=boss)
    with pytest.raises(BlockedError, match="Lift the block") as blocked:
        api.award(learner, slug, by=boss)
    assert blocked.value.credential_id == credential.pk
    assert api.lift_block(learner, slug, by=boss) is None  # nothing is fulfilled
    assert api.award(learner, slug, by=boss).status == "awarded"
    with pytest.raises(NotBlockedError):
        api.lift_block(learner, slug, by=boss)


def test_an_award_that_lifts_a_block_does_both_or_nothing() -> None:
    credential, boss = UserCredentialFactory(), UserFactory()
    learner, slug = credential.learner, credential.template.slug
    api.revoke(learner, slug, by=UserFactory())
    BadgeTemplate.objects.update(is_active=False)
    with pytest.raises(TemplateNotActiveError):
        api.award(learner, slug, by=boss, lift_block=True)
    credential.refresh_from_db()
    assert (credential.blocked, credential.block_lifted_at) == (True, None)

    BadgeTemplate.objects.update(is_active=True)
    again = api.award(learner, slug, by=boss, reason="It was a mistake.", lift_block=True, now=NOON)
    credential.refresh_from_db()
    assert (again.status, again.cause_person, again.cause_reason) == ("awarded", boss, "It was a mistake.")
    assert (credential.blocked, credential.block_lifted_at, credential.block_lifted_person) == (False, NOON, boss)
    assert credential.block_lifted_reason == "It was a mistake."
    with pytest.raises(AlreadyHeldError):
        api.award(learner, slug, by=boss, lift_block=True)


def test_a_transient_error_in_the_callers_transaction_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, slug = LearnerFactory(), make_template().slug

    def deadlock(*args: Any, **given: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(by_hand, "award", deadlock)
    with pytest.raises(OperationalError), transaction.atomic():
        api.award(learner, slug)


def test_lifting_the_block_awards_a_badge_whose_requirements_are_fulfilled() -> None:
    progress, boss = BadgeProgressFactory(), UserFactory()
    FulfillmentFactory(progress=progress)
    slug = progress.template.slug
    api.award(progress.learner, slug)
    api.revoke(progress.learner, slug, by=boss)
    again = api.lift_block(progress.learner, slug, by=boss, reason="It was a mistake.")
    assert again is not None
    assert (again.status, again.cause_kind, again.cause_reason) == ("awarded", "person", "It was a mistake.")


def test_a_revocation_by_other_code_does_not_block() -> None:
    credential = UserCredentialFactory()
    api.revoke(credential.learner, credential.template.slug)
    assert api.award(credential.learner, credential.template.slug).status == "awarded"


def test_issue_revoke_and_issue_again_have_one_channel_and_key() -> None:
    learner, template = LearnerFactory(), make_template(issuers=[credly_issuer()])
    other = make_template(issuers=[credly_issuer()])
    api.award(learner, template.slug)
    api.revoke(learner, template.slug)
    api.award(learner, template.slug)
    api.award(learner, other.slug)
    rows = OutboxMessage.objects.filter(channel="credly", state=OutboxState.PENDING).order_by("sequence")
    assert [row.type for row in rows] == ["issue", "revoke", "issue", "issue"]
    assert len({row.key for row in rows[:3]}) == 1
    assert rows[3].key != rows[0].key  # a badge that waits delays no other


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "revoked", "active_key": None},  # no time, no cause
        {"revoked_at": NOON},
        {"revocation_kind": "person"},
        {"blocked": True},
        {"block_lifted_at": NOON},  # it was never revoked
        {"block_lifted_reason": "houba"},
        {"status": "expired"},  # still active
        {"status": "expired", "active_key": None},  # it has no end
        {"status": "replaced", "active_key": None, "ended_at": NOON},
        {"ended_at": NOON},  # still held
        {"status": "revoked", "active_key": None, "revoked_at": NOON},
    ],
)
def test_the_database_refuses_what_cannot_be(wrong: dict[str, Any]) -> None:
    credential = UserCredentialFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        UserCredential.objects.filter(pk=credential.pk).update(**wrong)


def test_an_expired_credential_is_not_active() -> None:
    credential = UserCredentialFactory()
    assert UserCredential.objects.filter(pk=credential.pk).update(**EXPIRED) == 1
    assert not list(UserCredential.objects.filter(held(NOON)))
