"""What staff rely on who let a schedule award a badge: once, with the credential, and taken back with it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from badges import api as badges
from badges.models import BadgeTemplate, OutboxMessage, UserCredential
from credentials_config import api
from credentials_config.contracts import GenerationError
from credentials_config.generators.badge import BadgeGenerator
from credentials_config.issuing import document_queue, lifecycle, renderers
from credentials_config.models import Credential, CredentialConfiguration
from credentials_config.testing.lms import LmsStandIn
from tests.credentials_config.factories import CredentialFactory
from tests.factories import UserCredentialFactory, UserFactory, make_template
from tests.support.certificates import DAY, NOW, add_algebra, configure_certificate, deliver, issue, make, run, waiting
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

LATER = NOW + DAY


@pytest.fixture(autouse=True)
def close_renderers(folder: Path) -> Any:
    yield
    renderers.close_all()


@pytest.fixture
def star() -> BadgeTemplate:
    return make_template(slug="star", requirements=[], is_active=False)


def configure(**given: Any) -> CredentialConfiguration:
    options = {"required_completion": 0.9, "award": "star"}
    return configure_certificate(
        credential_type__generator="badge",
        credential_type__options=options,
        credential_type__name="Finished algebra",
        **given,
    )


def held_by(lms_user_id: int) -> bool:
    return badges.holders_of("star").filter(learner__lms_user_id=lms_user_id).exists()


def test_everybody_who_finished_the_course_gets_the_badge_and_no_document_and_no_mail(
    lms: LmsStandIn, star: BadgeTemplate, folder: Path
) -> None:
    add_algebra(lms, finished=3, unfinished=2)
    done = issue(configure())
    assert (done.issued, done.failed) == (3, 0)
    rows = list(Credential.objects.select_related("learner"))
    assert {(row.status, row.document, row.document_number, row.due_at) for row in rows} == {("available", "", 0, None)}
    awarded = {row.learner_id: row for row in UserCredential.objects.all()}
    assert awarded.keys() == {row.learner_id for row in rows}
    one = rows[0]
    badge = awarded[one.learner_id]
    assert one.made_from == {
        "generator": "badge 1",
        "assets": {},
        "given": {"template": "star", "credential": str(badge.pk), "awarded": True},
    }
    assert (badge.cause_kind, badge.awarded_at) == ("program", NOW)
    assert badge.cause_reason == f"Finished algebra, Algebra for squirrels: {one.verification_code}"
    assert OutboxMessage.objects.filter(channel="announce", type="badge.awarded").count() == 3
    assert waiting("credential-mail") == []
    assert not folder.exists() or not list(folder.rglob("*.*"))


def test_a_later_run_awards_only_whom_the_earlier_ones_have_not_found(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure()
    issue(configuration)
    lms.enroll_many(configuration.context_key, 1, prefix="late", completed=1.0)
    issue(configuration, now=LATER)
    assert (UserCredential.objects.count(), Credential.objects.filter(status="available").count()) == (3, 3)


def test_who_holds_the_badge_already_keeps_it_also_when_the_credential_is_invalidated(
    lms: LmsStandIn, star: BadgeTemplate
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure()
    run(configuration)
    credential = Credential.objects.get()
    held_before = badges.award(credential.learner, "star")
    make()
    credential.refresh_from_db()
    assert credential.status == "available"
    assert credential.made_from["given"] == {"template": "star", "credential": str(held_before.pk), "awarded": False}
    lifecycle.invalidate([credential], public_reason="A mistake.", now=LATER)
    assert UserCredential.objects.get().status == "awarded"


def test_award_and_state_are_one_transaction_so_a_killed_worker_awards_nobody_twice(
    lms: LmsStandIn, star: BadgeTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure())

    def killed(*args: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as broken:
        broken.setattr(document_queue, "_count", killed)  # after the award, before the commit
        with pytest.raises(SystemExit):
            make()
    assert (UserCredential.objects.count(), Credential.objects.get().status) == (0, "generating")
    make(now=LATER)
    assert (UserCredential.objects.count(), Credential.objects.get().status) == (1, "available")
    assert Credential.objects.get().made_from["given"]["awarded"] is True


def test_a_worker_that_has_lost_its_row_awards_nothing(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    run(configure())
    slow = document_queue.claim(1, now=NOW)[0]
    make(now=LATER)
    assert not document_queue.finish_without_document(slow, lambda row: pytest.fail("it was given again"))


def test_a_learner_who_is_blocked_costs_the_others_nothing(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    run(configure())
    blocked, other = Credential.objects.order_by("learner__lms_user_id")
    badges.award(blocked.learner, "star")
    badges.revoke(blocked.learner, "star", by=UserFactory())
    make()
    blocked.refresh_from_db()
    other.refresh_from_db()
    assert (blocked.status, other.status) == ("error", "available")
    assert "is blocked. Lift the block first." in blocked.error
    badges.lift_block(blocked.learner, "star")
    lifecycle.retry(Credential.objects.all(), now=LATER)
    make(now=LATER)
    blocked.refresh_from_db()
    assert (blocked.status, held_by(blocked.learner.lms_user_id)) == ("available", True)


def test_a_template_that_is_switched_off_postpones_all_and_says_why(lms: LmsStandIn) -> None:
    make_template(slug="star")
    add_algebra(lms, finished=2, unfinished=0)
    configuration = configure()
    run(configuration)
    with renderers.renderer_for(configuration):  # a worker that has begun before
        pass
    BadgeTemplate.objects.update(is_active=False)
    make()
    configuration.refresh_from_db()
    assert "The template star is not active." in configuration.problem
    assert configuration.problem_until > NOW
    assert {row.attempts for row in Credential.objects.all()} == {0}
    BadgeTemplate.objects.update(is_active=True)
    make(now=configuration.problem_until + dt.timedelta(seconds=1))
    assert UserCredential.objects.count() == 2


def test_invalidating_revokes_the_badge_and_blocks_it(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration, boss = configure(), UserFactory()
    issue(configuration)
    credential = Credential.objects.get()
    api.invalidate([credential], public_reason="Somebody else sat the exam.", note="Seen by Spip.", by=boss, now=LATER)
    badge = UserCredential.objects.get()
    assert (badge.status, badge.blocked, badge.revocation_person) == ("revoked", True, boss)
    assert (badge.public_reason, badge.internal_reason) == ("Somebody else sat the exam.", "Seen by Spip.")
    issue(configuration, now=LATER)
    assert UserCredential.objects.count() == 1
    assert api.invalidate([credential], public_reason="Again.", now=LATER) == 0


def test_invalidating_leaves_a_badge_that_the_learner_has_got_since(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure())
    credential = Credential.objects.get()
    badges.revoke(credential.learner, "star")
    badges.award(credential.learner, "star")
    api.invalidate([credential], public_reason="A mistake.", now=LATER)
    assert held_by(credential.learner.lms_user_id)


def test_reissuing_awards_the_badge_again_to_who_has_lost_it(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=2, unfinished=0)
    issue(configure())
    lost, kept = Credential.objects.order_by("learner__lms_user_id")
    badges.revoke(lost.learner, "star")
    lms.change_learner("done-2", name="Zorglub")
    assert lifecycle.reissue([lost, kept], now=LATER) == 2
    make(now=LATER)
    deliver()
    lost.refresh_from_db()
    kept.refresh_from_db()
    assert UserCredential.objects.filter(learner=lost.learner).count() == 2
    assert held_by(lost.learner.lms_user_id)
    assert UserCredential.objects.filter(learner=kept.learner).count() == 1
    assert (kept.made_from["given"]["awarded"], kept.learner_name, kept.reissue) == (True, "Zorglub", {})
    assert waiting("credential-mail") == []


def test_the_verification_page_says_whether_the_badge_is_still_held(
    lms: LmsStandIn, star: BadgeTemplate, client: Any
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    configuration = configure()
    run(configuration)
    credential = Credential.objects.get()
    page = f"/credentials/verify/{credential.verification_code}"
    metadata = f"/api/credentials/v1/metadata/{credential.verification_code}/"
    assert (client.get(page).status_code, client.get(metadata).status_code) == (404, 404)
    make()
    assert "This certificate is valid" in client.get(page).content.decode()
    assert client.get(metadata).json()["title"] == "Finished algebra"
    badges.revoke(credential.learner, "star")
    assert "This certificate was revoked" in client.get(page).content.decode()
    assert client.get(metadata).json()["state"] == "revoked"


@pytest.mark.parametrize(
    ("renewed", "newest", "state"),
    [
        (False, {"valid_until": NOW}, "expired"),
        (False, {"valid_until": NOW, "status": "expired", "active_key": None, "ended_at": NOW}, "expired"),
        (True, {}, "valid"),
        (True, {"valid_until": NOW}, "expired"),
        (True, {"status": "revoked", "active_key": None, "revoked_at": NOW, "revocation_kind": "person"}, "revoked"),
    ],
)
def test_a_badge_that_was_renewed_is_valid_and_one_at_its_end_has_expired(
    lms: LmsStandIn, star: BadgeTemplate, client: Any, renewed: bool, newest: dict[str, Any], state: str
) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure())
    badge = UserCredential.objects.get()
    if renewed:
        ended = {"status": "replaced", "active_key": None, "ended_at": NOW, "valid_until": NOW + DAY}
        UserCredential.objects.update(**ended)
        badge = UserCredentialFactory(learner=badge.learner, template=star, replaces=badge)
    UserCredential.objects.filter(pk=badge.pk).update(**newest)
    metadata = f"/api/credentials/v1/metadata/{Credential.objects.get().verification_code}/"
    assert client.get(metadata).json()["state"] == state


def test_the_lists_of_what_a_learner_holds_have_the_badge_once(lms: LmsStandIn, star: BadgeTemplate) -> None:
    add_algebra(lms, finished=1, unfinished=0)
    issue(configure())
    learner = Credential.objects.get().learner
    client = signed_in(learner.user)
    listed = client.get("/api/credentials/v1/credentials/").json()["results"]
    assert [(each["kind"], each["held"]) for each in listed] == [("badge", True)]


def test_a_template_is_checked_when_the_options_are_saved(star: BadgeTemplate) -> None:
    make_template(slug="asleep", is_active=False)
    check = BadgeGenerator().clean_options
    assert check({"award": "star", "required_completion": 0.9}) == []
    assert check({}) == check({"award": 17}) == ['award: write the slug of a badge template, like "algebra-star".']
    assert "There is no badge template with this slug." in check({"award": "moon"})[0]
    assert "There is no badge template with this slug." in check({"award": "s\0"})[0]
    assert "The template asleep is not active." in check({"award": "asleep"})[0]


def test_a_preview_says_that_there_is_no_document(star: BadgeTemplate) -> None:
    with pytest.raises(GenerationError, match="learners get the badge star"):
        api.preview(configure().credential_type, {})
    assert not UserCredential.objects.exists()


def test_a_package_that_is_gone_does_not_keep_a_credential_from_being_invalidated() -> None:
    credential = CredentialFactory(made_from={"generator": "gone 1", "given": {"anything": 1}}, document="")
    assert api.invalidate([credential], public_reason="A mistake.") == 1
