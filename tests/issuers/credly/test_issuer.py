"""Issuing at Credly, against a real HTTP server that behaves and misbehaves as Credly does."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from badges.awarding.models import UserCredential
from badges.common.http import NoAnswer
from badges.exceptions import Permanent, Retryable, SharedProblem, Waiting
from badges.intake.models import Learner
from badges.issuers.credly import issuer
from badges.issuers.credly.client import CredlyClient
from badges.issuers.credly.issuer import CredlyIssuer
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.issuers.credly.payloads import ExternalBadge
from badges.outbox.channels import HandlerResult
from badges.outbox.steps import carry_out
from badges.testing.credly import Badge, CredlyStandIn
from tests.factories import EXPIRED, REVOKED

# What is the same at every provider is tested on every database in test_all_providers.
pytestmark = pytest.mark.django_db

issue = CredlyIssuer().issue
AWARDED_AT = dt.datetime(2024, 2, 29, 23, 59, 58, tzinfo=dt.UTC)


@pytest.fixture
def template(credly: CredlyStandIn) -> str:
    return credly.add_template(name="Analytical engine").id


@pytest.fixture
def credential(credly: CredlyStandIn, template: str, award: Callable[..., UserCredential]) -> UserCredential:
    return award(organization=credly.organization, external_template=template)


def row(credential: UserCredential) -> CredlyBadge:
    return CredlyBadge.objects.get(pk=credential.pk)


def bound_to(credential: UserCredential, external: Badge) -> bool:
    return row(credential).external_uuid == UUID(external.id)


def asked(credly: CredlyStandIn) -> None:
    """Credly was asked for all badges, and the outcome is not known."""
    for badge in CredlyBadge.objects.select_related("credential"):
        issuer = badge.credential.template.issuers.get()
        badge.state, badge.organization = "no_response", issuer.organization
        badge.external_template = issuer.external_template
        badge.save()


def add_badge(credly: CredlyStandIn, learner: Learner, template: str, **changes: str) -> Badge:
    """A badge that is at Credly already."""
    body = {
        "recipient_email": "another@example.com",
        "issued_to_first_name": "Ada",
        "issued_to_last_name": "Lovelace",
        "badge_template_id": template,
        "issued_at": "2020-01-01 00:00:00 +0000",
        "issuer_earner_id": str(learner.uuid),
    }
    return credly.issue(credly.organizations[0], {**body, **changes})


# What Credly is told, and what is written down


def test_a_badge_is_issued_to_the_learner_at_the_time_of_the_award(
    credly: CredlyStandIn, credential: UserCredential, template: str
) -> None:
    issue(credential.id)
    (badge,) = credly.badges
    assert badge.recipient_email == "ada@example.com"
    assert (badge.first_name, badge.last_name) == ("Ada Augusta", "Lovelace")
    assert badge.template_id == template
    assert badge.issued_at == AWARDED_AT
    assert badge.issuer_earner_id == str(credential.learner.uuid)
    stored = row(credential)
    assert (str(stored.external_uuid), stored.state, stored.issued_at) == (badge.id, "pending", AWARDED_AT)
    assert stored.url.startswith("https://")
    assert credly.counts == {"issue": 1}  # a first try does not look first


def test_what_is_issued_is_not_issued_again(credly: CredlyStandIn, credential: UserCredential) -> None:
    issue(credential.id)
    issue(credential.id)
    assert credly.counts == {"issue": 1}


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("محمد بن موسى الخوارزمي", "محمد بن موسى", "الخوارزمي"),
        ("王小明", "王小明", "--"),
        ("", "ada", "--"),  # no name at all: the username stands in
        ("\u2800 \u3164\u200b", "ada", "--"),  # nor is this one
    ],
)
def test_names_arrive_in_every_script(
    credly: CredlyStandIn,
    template: str,
    award: Callable[..., UserCredential],
    someone: Callable[..., Learner],
    settings: Any,
    name: str,
    first: str,
    last: str,
) -> None:
    settings.LMS_BADGES_CONFIG["credly"]["single_name_last"] = "--"
    get_user_model().objects.all().delete()
    whom = someone(name=name, lms_user_id=2)
    issue(award(whom, organization=credly.organization, external_template=template).id)
    (badge,) = credly.badges
    assert (badge.first_name, badge.last_name) == (first, last)


def test_a_badge_of_a_learner_without_account_waits_for_the_account(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    account = credential.learner.user
    Learner.objects.update(user=None)

    with pytest.raises(Waiting, match="no account here yet"):
        issue(credential.id)
    assert row(credential).state == "created"

    Learner.objects.update(user=account)
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


@pytest.mark.parametrize(("user", "words"), [("without e-mail", "no e-mail address"), ("retired", "no account here")])
def test_without_an_address_nobody_is_asked_and_the_remedy_is_named(
    credly: CredlyStandIn, credential: UserCredential, user: str, words: str
) -> None:
    account = credential.learner.user
    if user == "retired":
        account.delete()
        Learner.objects.update(lms_user_id=None)
    else:
        type(account).objects.update(email="  ")
    with pytest.raises(Permanent, match=words) as refused:
        issue(credential.id)
    assert str(credential.learner.uuid) in str(refused.value)
    assert "ada" not in str(refused.value).lower().replace(str(credential.learner.uuid), "")
    assert row(credential).state == "error"
    assert credly.counts == {}


def test_a_dead_letter_is_issued_once_its_cause_is_gone(credly: CredlyStandIn, credential: UserCredential) -> None:
    get_user_model().objects.update(email="")
    with pytest.raises(Permanent):
        issue(credential.id)
    get_user_model().objects.update(email="ada@example.org")
    issue(credential.id)
    (badge,) = credly.badges
    assert badge.recipient_email == "ada@example.org"
    assert bound_to(credential, badge)


def test_a_credential_that_was_revoked_before_it_was_issued_is_not_issued(
    credly: CredlyStandIn, credential: UserCredential, settings: Any
) -> None:
    UserCredential.objects.update(**REVOKED)
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {}  # nor does a token that is missing matter any more
    assert issue(credential.id) is HandlerResult.NOTHING_TO_DO
    assert CredlyIssuer().revoke(credential.id, "") is HandlerResult.NOTHING_TO_DO
    assert credly.counts == {}
    assert row(credential).state == "created"


def test_a_credential_that_is_gone_is_a_dead_letter(credly: CredlyStandIn, db: None) -> None:
    missing = uuid4()
    with pytest.raises(Permanent, match=str(missing)):
        issue(missing)


# Credly fails, certainly without effect


@pytest.mark.parametrize("failure", ["refused", "throttled"])
def test_after_a_failure_that_had_no_effect_it_is_simply_asked_again(
    credly: CredlyStandIn, credential: UserCredential, failure: str
) -> None:
    if failure == "refused":
        credly.refuse()
    else:
        credly.throttle(retry_after=9, times=1)
    with pytest.raises(Retryable) as failed:
        issue(credential.id)
    assert failed.value.circuit is (failure == "refused")
    assert failed.value.retry_after == (None if failure == "refused" else 9)
    assert row(credential).state == "created"
    credly.recover()
    issue(credential.id)
    assert bound_to(credential, *credly.badges)
    assert "find_badges" not in credly.counts


def test_retry_after_is_honoured_as_a_date_too(credly: CredlyStandIn, credential: UserCredential) -> None:
    credly.throttle(retry_after=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90))
    with pytest.raises(Retryable) as failed:
        issue(credential.id)
    assert failed.value.retry_after == pytest.approx(90, abs=5)


# Nobody knows whether Credly did it


@pytest.mark.parametrize("failure", ["dropped", "slow", "broken after", "no json"])
@pytest.mark.parametrize("allows_duplicates", [False, True])
def test_a_badge_whose_answer_was_lost_is_adopted(
    credly: CredlyStandIn, credential: UserCredential, template: str, failure: str, allows_duplicates: bool
) -> None:
    credly.change_template(template, allows_duplicates=allows_duplicates)
    {
        "dropped": lambda: credly.drop(),
        "slow": lambda: credly.slow_down(1.5, on="issue", times=1),
        "broken after": lambda: credly.break_down(on="issue", times=1, carried_out=True),
        "no json": lambda: credly.answer(on="issue", status=201, body="<html>", carried_out=True),
    }[failure]()
    with pytest.raises(NoAnswer) as failed:
        issue(credential.id)
    assert failed.value.circuit
    assert row(credential).state == "no_response"
    issue(credential.id)
    assert bound_to(credential, *credly.badges)
    assert row(credential).state == "pending"
    assert credly.counts == {"issue": 1, "find_badges": 1}


@pytest.mark.parametrize("body", ['{"data": {}}', "{}", "[]", "null", '{"data": {"id": "17"}}', ""])
def test_an_answer_without_a_badge_is_an_uncertain_one(
    credly: CredlyStandIn, credential: UserCredential, body: str
) -> None:
    credly.answer(on="issue", status=201, body=body, carried_out=True)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


def test_what_did_not_happen_after_all_is_asked_for_again(credly: CredlyStandIn, credential: UserCredential) -> None:
    credly.drop(carried_out=False)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    issue(credential.id)
    assert bound_to(credential, *credly.badges)
    assert credly.counts == {"issue": 2, "find_badges": 1}


def test_as_long_as_nobody_can_look_nothing_is_asked_for(credly: CredlyStandIn, credential: UserCredential) -> None:
    credly.drop()
    credly.break_down(on="find_badges", times=2)
    for _ in range(3):
        with pytest.raises(NoAnswer):
            issue(credential.id)
    assert row(credential).state == "no_response"
    issue(credential.id)
    assert credly.counts == {"issue": 1, "find_badges": 3}
    assert len(credly.badges) == 1


def test_a_badge_found_after_its_learner_left_is_still_adopted(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    credly.drop()
    with pytest.raises(NoAnswer):
        issue(credential.id)
    credential.learner.user.delete()
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


def test_a_badge_found_after_its_credential_was_revoked_is_known_and_none_is_made(
    credly: CredlyStandIn, award: Callable[..., UserCredential], template: str
) -> None:
    done, undone = (award(organization=credly.organization, external_template=template) for _ in "12")
    asked(credly)
    UserCredential.objects.update(**REVOKED)
    add_badge(credly, done.learner, template)
    issue(done.id)
    issue(undone.id)
    assert bound_to(done, *credly.badges)
    assert row(undone).external_uuid is None
    assert "issue" not in credly.counts


def test_a_badge_that_was_accepted_meanwhile_is_adopted_as_accepted(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    credly.drop()
    with pytest.raises(NoAnswer):
        issue(credential.id)
    credly.accept_badge(credly.badges[0].id)
    issue(credential.id)
    assert row(credential).state == "accepted"


# Badges that are at Credly already


def test_a_badge_that_nobody_here_knows_is_adopted_when_credly_refuses_a_second(
    credly: CredlyStandIn, credential: UserCredential, template: str
) -> None:
    there = add_badge(credly, credential.learner, template)
    issue(credential.id)
    assert bound_to(credential, there)
    assert credly.badges == [there]
    assert row(credential).issued_at == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("end", ["revoke_badge", "replace_badge"])
def test_a_badge_that_is_not_held_any_more_is_not_adopted(
    credly: CredlyStandIn, credential: UserCredential, template: str, end: str
) -> None:
    asked(credly)
    old = add_badge(credly, credential.learner, template)
    getattr(credly, end)(old.id)
    issue(credential.id)
    (_, new) = credly.badges
    assert bound_to(credential, new)


def test_a_badge_of_another_credential_of_ours_is_not_adopted(
    credly: CredlyStandIn, award: Callable[..., UserCredential], template: str
) -> None:
    first, second = (award(organization=credly.organization, external_template=template) for _ in "12")
    issue(first.id)
    with pytest.raises(Permanent, match=r"\(422\).*revoke it there or let the template allow duplicates.*retry"):
        issue(second.id)
    assert bound_to(first, *credly.badges)
    assert (row(second).external_uuid, row(second).state) == (None, "error")
    # The operator does what the message says.
    credly.change_template(template, allows_duplicates=True)
    issue(second.id)
    assert bound_to(second, credly.badges[1])


def test_a_badge_of_another_person_is_not_adopted_even_if_credly_ignores_the_filter(
    credly: CredlyStandIn, credential: UserCredential, template: str
) -> None:
    credly.drop(carried_out=False)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    another = {"id": str(uuid4()), "state": "pending", "issuer_earner_id": str(uuid4())}
    credly.answer(on="find_badges", status=200, body=json.dumps({"data": [another]}))
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


def test_a_badge_is_found_on_a_later_page(credly: CredlyStandIn, credential: UserCredential, template: str) -> None:
    credly.change_template(template, allows_duplicates=True)
    for _ in range(60):
        credly.revoke_badge(add_badge(credly, credential.learner, template).id)
    credly.drop()
    with pytest.raises(NoAnswer):
        issue(credential.id)
    issue(credential.id)
    assert bound_to(credential, credly.badges[-1])
    assert credly.counts == {"issue": 1, "find_badges": 2}


def test_looking_up_does_not_leave_for_another_host(credly: CredlyStandIn, credential: UserCredential) -> None:
    asked(credly)
    credly.link_elsewhere("http://127.0.0.2:9/v1/badges", on="find_badges")
    with pytest.raises(Permanent, match="another address"):
        issue(credential.id)
    assert credly.badges == []


def test_the_same_badge_is_not_bound_twice_when_credly_answers_oddly(
    credly: CredlyStandIn, award: Callable[..., UserCredential], template: str
) -> None:
    first, second = (award(organization=credly.organization, external_template=template) for _ in "12")
    issue(first.id)
    credly.answer(on="issue", status=201, body=json.dumps({"data": {"id": credly.badges[0].id}}))
    with pytest.raises(Permanent, match="belongs to another credential"):
        issue(second.id)
    assert row(second).external_uuid is None


# Two workers


def test_who_comes_second_does_not_ask_too(credly: CredlyStandIn, credential: UserCredential) -> None:
    read_before = CredlyBadge.objects.select_related("credential__learner__user").get(pk=credential.pk)
    credly.drop()
    with pytest.raises(NoAnswer):
        issue(credential.id)
    with pytest.raises(Retryable, match="another worker"):
        carry_out(issuer._issue(read_before))
    assert credly.counts == {"issue": 1}


@pytest.mark.django_db(transaction=True)
def test_workers_that_race_make_one_badge(credly: CredlyStandIn, credential: UserCredential) -> None:
    credly.slow_down(0.3, on="issue")
    start = threading.Barrier(4)

    def work(_: int) -> None:
        start.wait()
        try:
            issue(credential.id)
        except Retryable:
            pass  # comes back later
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


# Refusals


@pytest.mark.parametrize("shape", ["listed", "mapped", "sentences", "one_text", "bare"])
def test_a_refused_badge_tells_the_operator_what_credly_said_and_nothing_about_the_learner(
    settings: Any, award: Callable[..., UserCredential], shape: str
) -> None:
    with CredlyStandIn(error_shape=shape) as credly:
        settings.LMS_BADGES_CONFIG = {
            "credly": {
                "CREDLY_API_BASE_URL": credly.url,
                "ORGANIZATIONS": {credly.organization: credly.token},
            }
        }
        credential = award(organization=credly.organization, external_template=credly.add_template().id)
        get_user_model().objects.update(email="not an address")
        with pytest.raises(Permanent, match=r"\(422\)") as refused:
            issue(credential.id)
    assert "Validation failed" in str(refused.value) or "recipient_email" in str(refused.value)
    assert len(str(refused.value)) <= 500
    assert row(credential).state == "error"


def test_a_refusal_that_quotes_the_learner_is_stored_without(credly: CredlyStandIn, credential: UserCredential) -> None:
    answer_body = '{"message": "Ada Augusta LOVELACE (Ada@Example.com) is not old enough"}'
    credly.answer(on="issue", status=422, body=answer_body)
    with pytest.raises(Permanent, match="is not old enough") as refused:
        issue(credential.id)
    for private in ("Ada", "LOVELACE", "xample.com"):
        assert private not in str(refused.value)


def test_a_wrong_token_names_the_organization(credly: CredlyStandIn, credential: UserCredential, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: "stale-token"}
    with pytest.raises(Permanent, match=rf"{credly.organization}.*401.*token") as refused:
        issue(credential.id)
    assert "stale-token" not in str(refused.value)
    assert row(credential).state == "created"


def archived(credly: CredlyStandIn, template: str) -> str:
    return credly.archive_template(template).id


@pytest.mark.parametrize(
    ("template_at_credly", "words"),
    [(archived, "archived"), (lambda credly, template: str(uuid4()), "not there")],
)
@pytest.mark.parametrize("shape", ["listed", "sentences", "bare"])
def test_a_template_that_cannot_be_issued_is_one_problem_of_all_its_badges(
    settings: Any, award: Callable[..., UserCredential], template_at_credly: Any, words: str, shape: str
) -> None:
    with CredlyStandIn(error_shape=shape) as credly:
        settings.LMS_BADGES_CONFIG = {
            "credly": {"CREDLY_API_BASE_URL": credly.url, "ORGANIZATIONS": {credly.organization: credly.token}}
        }
        template = template_at_credly(credly, credly.add_template().id)
        credential = award(organization=credly.organization, external_template=template)
        with pytest.raises(SharedProblem, match=words) as refused:
            issue(credential.id)
    assert template in str(refused.value)
    assert refused.value.circuit == f"credly:{credly.organization}:{template}"
    assert (row(credential).state, row(credential).organization) == ("created", "")


def test_an_organization_that_credly_does_not_know_is_one_problem(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], settings: Any
) -> None:
    organization = str(uuid4())
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"][organization] = credly.token
    credential = award(organization=organization, external_template=template)
    with pytest.raises(SharedProblem, match=rf"{organization}.*404.*Correct the organization") as refused:
        issue(credential.id)
    assert refused.value.circuit is None
    assert row(credential).state == "created"


@pytest.mark.parametrize("external_template", ["", "algebra", "1|issuer_earner_id::2", "../../x"])
def test_a_template_that_is_no_uuid_does_not_become_part_of_a_request(
    credly: CredlyStandIn, award: Callable[..., UserCredential], external_template: str
) -> None:
    credential = award(organization=credly.organization, external_template=external_template)
    with pytest.raises(Permanent, match="no UUID"):
        issue(credential.id)
    assert credly.counts == {}


# Organizations


@pytest.mark.parametrize("organization", ["", "acme", "../users", "%2e%2e/x"])
def test_an_organization_that_is_no_uuid_does_not_become_part_of_an_address(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], organization: str
) -> None:
    credential = award(organization=organization, external_template=template)
    with pytest.raises(Permanent, match="no UUID"):
        issue(credential.id)
    assert credly.counts == {}


def test_an_organization_nobody_entered_is_named_with_the_remedy(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential]
) -> None:
    organization = credly.add_organization()
    credential = award(organization=organization.id, external_template=template)
    with pytest.raises(Permanent, match=rf"no token for the Credly organization {organization.id}\. Add"):
        issue(credential.id)


def test_an_organization_of_the_admin_is_issued_for(
    credly: CredlyStandIn, award: Callable[..., UserCredential]
) -> None:
    organization = credly.add_organization()
    template = credly.add_template(organization=organization.id).id
    entered = CredlyOrganization(uuid=organization.id)
    entered.token = organization.token
    entered.save()
    issue(award(organization=organization.id, external_template=template).id)
    assert [badge.organization_id for badge in credly.badges] == [organization.id]


def test_a_token_of_the_settings_wins_over_a_row_and_is_found_however_the_id_is_written(
    credly: CredlyStandIn, credential: UserCredential, settings: Any
) -> None:
    stale = CredlyOrganization(uuid=credly.organization)
    stale.token = "stale-token"
    stale.save()
    listed = {"not a uuid": "x", credly.organization.upper().replace("-", ""): credly.token}
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = listed
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


def test_an_oauth2_client_fetches_a_token_once_and_again_when_it_is_too_old(
    credly: CredlyStandIn,
    template: str,
    someone: Callable[..., Learner],
    award: Callable[..., UserCredential],
    settings: Any,
) -> None:
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {
        credly.organization: {"client_id": credly.client_id, "client_secret": credly.client_secret}
    }
    credly.change_template(template, allows_duplicates=True)
    credentials = [award(organization=credly.organization, external_template=template) for _ in range(3)]
    issue(credentials[0].id)
    issue(credentials[1].id)
    assert credly.counts == {"token": 1, "issue": 2}
    credly.expire_access_tokens()
    issue(credentials[2].id)
    assert credly.counts == {"token": 2, "issue": 4}
    assert len(credly.badges) == 3


def test_an_oauth2_client_that_gets_no_token_has_asked_for_nothing(
    credly: CredlyStandIn, credential: UserCredential, settings: Any
) -> None:
    client = {"client_id": "stranger", "client_secret": "very-secret"}
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: client}
    credly.drop(on="token")
    with pytest.raises(NoAnswer):
        issue(credential.id)
    assert row(credential).state == "created"
    with pytest.raises(Permanent, match="401") as refused:
        issue(credential.id)
    assert "very-secret" not in str(refused.value)
    assert "issue" not in credly.counts


def test_the_sandbox_is_another_address(credly: CredlyStandIn, credential: UserCredential, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG["credly"] |= {
        "CREDLY_API_BASE_URL": "http://127.0.0.1:9/",
        "CREDLY_SANDBOX_API_BASE_URL": credly.url,
        "USE_SANDBOX": True,
    }
    issue(credential.id)
    assert bound_to(credential, *credly.badges)


def test_each_organization_has_its_own_circuit(
    credly: CredlyStandIn, credential: UserCredential, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        organization, template = CredlyIssuer().circuits(credential.id)
    assert organization == f"credly:{credly.organization}"
    assert template.startswith(f"{organization}:")
    assert CredlyIssuer().circuits(uuid4()) == ("credly",)


def revoke(credential: UserCredential) -> None:
    CredlyIssuer().revoke(credential.id, "Awarded by mistake.")


def test_an_issued_badge_is_revoked_with_its_public_reason(credly: CredlyStandIn, credential: UserCredential) -> None:
    issue(credential.id)
    revoke(credential)
    revoke(credential)
    assert [(badge.state, badge.revoke_reason) for badge in credly.badges] == [("revoked", "Awarded by mistake.")]
    assert row(credential).state == "revoked"
    assert credly.counts == {"issue": 1, "revoke": 1}


def test_revoking_what_was_never_issued_asks_nobody(credly: CredlyStandIn, credential: UserCredential) -> None:
    revoke(credential)
    assert credly.counts == {}


def test_a_badge_that_was_revoked_or_replaced_at_credly_is_no_error(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    issue(credential.id)
    credly.revoke_badge(credly.badges[0].id)
    revoke(credential)
    assert row(credential).state == "revoked"


def test_a_badge_whose_issuing_had_no_answer_is_found_and_revoked(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    credly.drop(on="issue", times=1)
    with pytest.raises(Retryable):
        issue(credential.id)
    revoke(credential)
    assert [badge.state for badge in credly.badges] == ["revoked"]
    assert row(credential).state == "revoked"


def test_a_badge_that_was_deleted_at_credly_is_no_error(credly: CredlyStandIn, credential: UserCredential) -> None:
    issue(credential.id)
    credly.delete_badge(credly.badges[0].id)
    revoke(credential)
    assert row(credential).state == "revoked"


def test_a_badge_that_is_revoked_while_credly_is_asked_does_not_stay_valid(
    credly: CredlyStandIn, credential: UserCredential, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = CredlyClient.issue

    def revoked_meanwhile(client: CredlyClient, body: dict[str, str]) -> ExternalBadge:
        UserCredential.objects.update(**REVOKED)
        revoke(credential)  # another worker, which finds nothing at Credly yet
        return ask(client, body)

    monkeypatch.setattr(CredlyClient, "issue", revoked_meanwhile)
    issue(credential.id)
    assert [badge.state for badge in credly.badges] == ["revoked"]
    assert row(credential).state == "revoked"


def test_a_badge_found_after_its_revocation_does_not_stay_valid(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    credly.drop(carried_out=True)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    UserCredential.objects.update(**REVOKED)
    credly.break_down(on="revoke", times=1)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    issue(credential.id)
    assert [badge.state for badge in credly.badges] == ["revoked"]


# Badges that end


def test_credly_is_told_when_the_badge_ends(credly: CredlyStandIn, credential: UserCredential) -> None:
    UserCredential.objects.update(valid_until=dt.datetime(2999, 3, 1, 8, 30, tzinfo=dt.UTC))
    issue(credential.id)
    (badge,) = credly.badges
    assert badge.expires_at == "2999-03-01 08:30:00 +0000"


def test_a_badge_that_is_at_its_end_before_credly_was_asked_is_not_issued(
    credly: CredlyStandIn, credential: UserCredential
) -> None:
    UserCredential.objects.update(valid_until=dt.datetime(2025, 3, 1, tzinfo=dt.UTC))
    issue(credential.id)
    assert credly.badges == []


@pytest.mark.parametrize("status", ["expired", "replaced"])
def test_a_badge_that_was_earned_again_is_issued_although_an_ended_one_is_in_the_way(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], status: str
) -> None:
    old = award(organization=credly.organization, external_template=template)
    issue(old.id)
    UserCredential.objects.update(**{**EXPIRED, "status": status})
    new = award(organization=credly.organization, external_template=template)
    UserCredential.objects.update(learner_template_id=new.learner_template_id)
    with pytest.raises(Retryable):
        issue(new.id)
    issue(new.id)
    assert [badge.state for badge in credly.badges] == ["revoked", "pending"]
    assert bound_to(new, credly.badges[1])
    assert row(old).state == "revoked"


@pytest.mark.parametrize("shape", ["listed", "mapped", "sentences", "one_text"])
@pytest.mark.parametrize("cause", ["template", "address"])
def test_a_refusal_for_another_reason_costs_no_earlier_badge(
    settings: Any, award: Callable[..., UserCredential], shape: str, cause: str
) -> None:
    with CredlyStandIn(error_shape=shape) as credly:
        settings.LMS_BADGES_CONFIG = {
            "credly": {"CREDLY_API_BASE_URL": credly.url, "ORGANIZATIONS": {credly.organization: credly.token}}
        }
        template = credly.add_template().id
        old = award(organization=credly.organization, external_template=template)
        issue(old.id)
        UserCredential.objects.update(**{**EXPIRED, "status": "replaced"})
        new = award(organization=credly.organization, external_template=template)
        UserCredential.objects.update(learner_template_id=new.learner_template_id)
        if cause == "template":
            credly.archive_template(template)
        else:
            get_user_model().objects.update(email="not an address")
        with pytest.raises(SharedProblem if cause == "template" else Permanent):
            issue(new.id)
        assert [badge.state for badge in credly.badges] == ["pending"]
    assert row(old).state == "pending"
    assert row(new).organization == ""


def test_a_badge_of_another_template_or_learner_is_never_revoked_to_make_room(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential]
) -> None:
    ended = award(organization=credly.organization, external_template=credly.add_template(name="Other").id)
    issue(ended.id)
    UserCredential.objects.update(**EXPIRED)
    new = award(organization=credly.organization, external_template=template)
    add_badge(credly, new.learner, template, issuer_earner_id="somebody-else", recipient_email="ada@example.com")
    with pytest.raises(Permanent):
        issue(new.id)
    assert row(ended).state == "pending"
