"""What staff and other plugins rely on: a badge is awarded and revoked once, with its cause, and a block holds."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from badges import api
from badges.exceptions import (
    AlreadyHeldError,
    BlockedError,
    NotBlockedError,
    NotHeldError,
    TemplateNotActiveError,
    UnknownPersonError,
)
from badges.models import BadgeTemplate, OutboxMessage, UserCredential
from badges.outbox.models import OutboxState
from tests.factories import (
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
    with pytest.raises(AlreadyHeldError, match="Revoke it before"):
        api.award(credential.learner, credential.template.slug)
    assert UserCredential.objects.count() == 1
    assert messages() == []


def test_an_inactive_template_is_not_awarded() -> None:
    with pytest.raises(TemplateNotActiveError, match="Activate"):
        api.award(LearnerFactory(), make_template(is_active=False).slug)


def test_unknown_people_and_templates_are_named() -> None:
    template = make_template()
    with pytest.raises(UnknownPersonError, match="Check the LMS user id"):
        api.award(987_654, template.slug)
    with pytest.raises(BadgeTemplate.DoesNotExist):
        api.award(LearnerFactory(), "no-such-template")


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
    with pytest.raises(BlockedError, match="Lift the block"):
        api.award(learner, slug, by=boss)
    assert api.lift_block(learner, slug, by=boss) is None  # nothing is fulfilled
    assert api.award(learner, slug, by=boss).status == "awarded"
    with pytest.raises(NotBlockedError):
        api.lift_block(learner, slug, by=boss)


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
        {"status": "expired"},  # still active
        {"status": "revoked", "active_key": None, "revoked_at": NOON},
    ],
)
def test_the_database_refuses_what_cannot_be(wrong: dict[str, Any]) -> None:
    credential = UserCredentialFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        UserCredential.objects.filter(pk=credential.pk).update(**wrong)


def test_an_expired_credential_is_not_active() -> None:
    credential = UserCredentialFactory()
    assert UserCredential.objects.filter(pk=credential.pk).update(status="expired", active_key=None) == 1
