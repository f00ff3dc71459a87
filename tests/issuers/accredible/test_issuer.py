"""What is particular about issuing at Accredible; ``tests/issuers/test_all_providers.py`` has what holds everywhere."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction

from badges import api, delivery
from badges.awarding.models import UserCredential
from badges.common.http import NoAnswer
from badges.exceptions import Permanent, Retryable, SharedProblem
from badges.intake.models import Learner
from badges.issuers.accredible.issuer import AccredibleIssuer
from badges.issuers.accredible.models import AccredibleBadge, AccredibleOrganization
from badges.outbox.channels import HandlerResult
from badges.outbox.models import OutboxMessage
from badges.testing.accredible import AccredibleStandIn, Credential
from badges.testing.accredible.provider import is_over
from tests.factories import EXPIRED, REVOKED
from tests.issuers.accredible.conftest import ORGANIZATION

# What is the same at every provider is tested on every database in test_all_providers.
pytestmark = pytest.mark.django_db

issue = AccredibleIssuer().issue
revoke = AccredibleIssuer().revoke


@pytest.fixture
def award_in(award: Callable[..., UserCredential], group: str) -> Callable[..., UserCredential]:
    """Award a badge that is issued in the group; all badges of a test are of one template."""

    def to(organization: str = ORGANIZATION, **given: Any) -> UserCredential:
        given = {"external_template": group, **given}
        credential = award(provider="accredible", organization=organization, **given)
        first = UserCredential.objects.order_by("pk").first()
        assert first
        UserCredential.objects.filter(pk=credential.pk).update(learner_template_id=first.learner_template_id)
        return credential

    return to


@pytest.fixture
def credential(award_in: Callable[..., UserCredential]) -> UserCredential:
    return award_in()


def row(credential: UserCredential) -> AccredibleBadge:
    return AccredibleBadge.objects.get(pk=credential.pk)


def bound_to(credential: UserCredential, external: Credential) -> bool:
    return row(credential).external_id == str(external.id)


def add_credential(accredible: AccredibleStandIn, group: str, **changes: Any) -> Credential:
    """A credential that somebody issued at Accredible by hand."""
    recipient = {"name": "Ada", "email": "Ada@Example.com", **changes.pop("recipient", {})}
    described = {
        "recipient": recipient,
        "group_id": int(group),
        "name": "By hand",
        "issued_on": "2020-01-01",
        **changes,
    }
    return accredible.issue(accredible.organizations[0], {"credential": described})


# What Accredible is told


def test_accredible_is_told_who_earned_what_and_when(
    accredible: AccredibleStandIn, credential: UserCredential, group: str
) -> None:
    issue(credential.id)
    (there,) = accredible.credentials
    assert (there.recipient_name, there.recipient_email) == ("Ada Augusta Lovelace", "ada@example.com")
    assert there.recipient_id == str(credential.learner.uuid)
    assert (there.name, there.issued_on, there.expired_on) == ("Analytical engine", "2024-02-29", None)
    assert (there.complete, str(there.group_id)) == (True, group)
    assert row(credential).state == "accepted"
    assert [call.endpoint for call in accredible.calls] == ["search", "issue"]


def test_a_name_in_any_script_arrives_whole(accredible: AccredibleStandIn, credential: UserCredential) -> None:
    get_user_model().objects.update(first_name="محمد بن موسى", last_name="الخوارزمي\x01\n")
    issue(credential.id)
    assert accredible.credentials[0].recipient_name == "محمد بن موسى الخوارزمي"


def test_without_credits_the_badge_is_there_and_not_published(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    accredible.set_credits(0)
    issue(credential.id)
    assert row(credential).state == "pending"


def test_a_badge_is_revoked_by_ending_it_on_that_day(accredible: AccredibleStandIn, credential: UserCredential) -> None:
    issue(credential.id)
    revoke(credential.id, "")
    assert accredible.credentials[0].expired_on == dt.datetime.now(dt.UTC).date().isoformat()
    assert [call.method for call in accredible.calls if call.endpoint == "update"] == ["PATCH"]


def test_header_and_method_follow_the_settings(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"] |= {"authorization": "Bearer {key}", "update_method": "put"}
    issue(credential.id)
    revoke(credential.id, "")
    assert [call.method for call in accredible.calls if call.endpoint == "update"] == ["PUT"]


def test_with_a_wrong_api_address_nothing_counts_as_deleted(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    issue(credential.id)
    settings.LMS_BADGES_CONFIG["accredible"]["ACCREDIBLE_API_BASE_URL"] += "/mistyped"
    with pytest.raises(SharedProblem, match="the API address in"):
        AccredibleIssuer().forget(credential.id)
    assert bound_to(credential, *accredible.credentials)


def test_the_sandbox_is_another_address(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"] |= {
        "ACCREDIBLE_API_BASE_URL": "http://127.0.0.1:9/",
        "ACCREDIBLE_SANDBOX_API_BASE_URL": accredible.url,
        "USE_SANDBOX": True,
    }
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


def test_settings_of_the_hosts_own_app_are_defaults(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    del settings.LMS_BADGES_CONFIG["accredible"]["ACCREDIBLE_API_BASE_URL"]
    settings.BADGES_CONFIG = {"accredible": {"ACCREDIBLE_API_BASE_URL": accredible.url, "USE_SANDBOX": False}}
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


# Issuing is not idempotent: what is there is looked up before


def test_a_badge_that_is_there_already_is_adopted_although_a_second_would_be_issued(
    accredible: AccredibleStandIn, credential: UserCredential, group: str
) -> None:
    accredible.change_group(int(group), allows_duplicates=True)
    there = add_credential(accredible, group)
    issue(credential.id)
    assert bound_to(credential, there)
    assert accredible.credentials == [there]
    stored = row(credential)
    assert (stored.organization, stored.external_template) == (ORGANIZATION, group)
    assert stored.issued_at == dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    assert stored.url.startswith("https://")


def test_a_badge_that_the_search_finds_late_is_waited_for(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    accredible.drop(on="issue", carried_out=True)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    accredible.answer(on="search", status=200, body='{"credentials": []}', times=4)
    with pytest.raises(Retryable, match="does not find it yet"):
        issue(credential.id)
    assert row(credential).state == "no_response"
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


def test_a_badge_is_found_on_a_later_page(
    accredible: AccredibleStandIn, credential: UserCredential, group: str
) -> None:
    accredible.change_group(int(group), allows_duplicates=True)
    for _ in range(60):
        add_credential(accredible, group, expired_on="2020-02-01")
    there = add_credential(accredible, group)
    issue(credential.id)
    assert bound_to(credential, there)
    assert accredible.counts["search"] == 2


@pytest.mark.parametrize(
    ("recipient", "changes"),
    [
        ({"email": "byron@example.com"}, {}),
        ({"id": "somebody-else", "email": "byron@example.com"}, {}),
        ({}, {"expired_on": "2020-02-01"}),
        ({}, {"meta_data": {"lms_badges_credential": "0e0e0e0e-0000-4000-8000-00000000000a"}}),
    ],
)
def test_what_is_anothers_or_has_ended_is_not_adopted_even_if_the_filter_is_ignored(
    accredible: AccredibleStandIn,
    credential: UserCredential,
    group: str,
    recipient: dict[str, str],
    changes: dict[str, Any],
) -> None:
    accredible.change_group(int(group), allows_duplicates=True)
    listed = {"id": 7, "recipient": {"name": "Ada", "email": "ada@example.com", **recipient}, **changes}
    accredible.answer(on="search", status=200, body=json.dumps({"credentials": [listed, {"id": "../x"}, 3]}))
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


def test_a_badge_of_another_credential_of_ours_is_not_adopted(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential], group: str
) -> None:
    first, second = award_in(), award_in()
    issue(first.id)
    with pytest.raises(Permanent, match=r"\(422\).*let the group allow duplicates"):
        issue(second.id)
    assert bound_to(first, *accredible.credentials)
    assert (row(second).external_id, row(second).state) == (None, "error")
    # The operator does what the message says.
    accredible.change_group(int(group), allows_duplicates=True)
    issue(second.id)
    assert bound_to(second, accredible.credentials[1])


def test_a_second_answer_with_the_same_badge_is_not_bound_twice(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential]
) -> None:
    first, second = award_in(), award_in()
    issue(first.id)
    accredible.answer(on="issue", status=200, body=json.dumps({"credential": {"id": accredible.credentials[0].id}}))
    with pytest.raises(Permanent, match="belongs to another credential"):
        issue(second.id)
    assert row(second).external_id is None


def test_after_a_look_that_took_half_the_lease_another_worker_may_be_asking(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG["delivery"] = {"lease_seconds": 0.4}
    accredible.slow_down(0.3, on="search", times=1)
    with pytest.raises(Retryable, match="so long"):
        issue(credential.id)
    assert "issue" not in accredible.counts


# Badges that end


@pytest.mark.parametrize("end", [{**EXPIRED}, {**EXPIRED, "status": "replaced"}, {**REVOKED}])
@pytest.mark.parametrize("answer", ["at once", "lost"])
def test_a_badge_that_is_earned_again_is_renewed_where_the_group_allows_one_only(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential], end: dict[str, Any], answer: str
) -> None:
    old = award_in()
    issue(old.id)
    accredible.expire_credential(accredible.credentials[0].id)
    UserCredential.objects.update(**end)
    new = award_in()
    if answer == "lost":
        accredible.drop(on="update", carried_out=True)
        with pytest.raises(NoAnswer):
            issue(new.id)
    issue(new.id)
    (there,) = accredible.credentials
    assert not is_over(there)
    assert bound_to(new, there)
    assert (row(old).external_id, row(old).state) == (None, "expired")
    # What comes late for the old credential does not touch the badge of the new one.
    issue(old.id)
    revoke(old.id, "")
    assert not is_over(accredible.credentials[0])


def test_a_badge_that_is_still_held_is_not_renewed_for_another_credential(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential]
) -> None:
    first, second = award_in(), award_in()
    issue(first.id)
    with pytest.raises(Permanent):
        issue(second.id)
    assert "update" not in accredible.counts


@pytest.mark.parametrize("end", ["deleted", "expired", "refused"])
def test_revoking_what_has_ended_at_accredible_is_no_error(
    accredible: AccredibleStandIn, credential: UserCredential, end: str
) -> None:
    issue(credential.id)
    there = accredible.credentials[0].id
    if end == "deleted":
        accredible.delete_credential(there)
    else:
        accredible.expire_credential(there, on="2024-03-01")
    if end == "refused":
        accredible.answer(on="update", status=422, body='{"errors": "is over"}')
    revoke(credential.id, "")
    assert row(credential).state == "revoked"


def test_a_refused_revocation_of_a_valid_badge_is_an_error(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    issue(credential.id)
    accredible.answer(on="update", status=422, body='{"errors": "no"}')
    with pytest.raises(Permanent, match="422"):
        revoke(credential.id, "")
    assert row(credential).state == "accepted"


# Organizations


def test_an_organization_of_the_admin_is_issued_for_and_one_of_the_settings_wins(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential]
) -> None:
    other = accredible.add_organization()
    group = str(accredible.add_group(organization=other.id).id)
    for slug, key in (("Other", other.key), (ORGANIZATION, "stale-key")):
        entered = AccredibleOrganization(slug=slug)
        entered.api_key = key
        entered.save()
    issue(award_in().id)
    issue(award_in("Other", external_template=group).id)
    assert [there.organization_id for there in accredible.credentials] == [accredible.organization, other.id]


def test_the_group_of_another_organization_is_a_problem_of_its_badges(
    accredible: AccredibleStandIn, award_in: Callable[..., UserCredential]
) -> None:
    group = str(accredible.add_group(organization=accredible.add_organization().id).id)
    with pytest.raises(SharedProblem, match=f"{group} of the organization academy is not at Accredible"):
        issue(award_in(external_template=group).id)


@pytest.mark.parametrize(
    ("organization", "key", "words"),
    [
        ("../users", "k", "is no slug"),
        ("", "k", "is no slug"),
        ("unknown", "", "no key for the Accredible organization unknown. Add"),
        ("bad", "a\r\nb", "characters that no key has"),
        ("bad", "ключ", "characters that no key has"),
    ],
)
def test_an_organization_that_cannot_be_used_is_named_with_the_remedy(
    accredible: AccredibleStandIn,
    award_in: Callable[..., UserCredential],
    settings: Any,
    organization: str,
    key: str,
    words: str,
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"][organization] = key
    with pytest.raises(SharedProblem, match=words) as refused:
        issue(award_in(organization).id)
    assert not key or key not in str(refused.value) or key == "k"
    assert accredible.counts == {}


def test_a_badge_whose_row_was_not_written_with_its_award_is_issued(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    AccredibleBadge.objects.all().delete()
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


def test_the_database_refuses_an_uncertain_badge_without_a_place(credential: UserCredential) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        AccredibleBadge.objects.update(state="no_response")


def test_a_learner_who_left_after_the_question_keeps_no_valid_badge_that_nobody_knows(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    accredible.drop()
    with pytest.raises(NoAnswer):
        issue(credential.id)
    get_user_model().objects.all().delete()
    Learner.objects.update(lms_user_id=None)
    issue(credential.id)
    assert bound_to(credential, *accredible.credentials)


# People who are retired


def retire(credential: UserCredential) -> None:
    api.retire(credential.learner.lms_user_id)
    delivery.drain()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("answer", ["known", "lost", "deleted there"])
def test_the_badge_of_a_retired_person_is_deleted_at_accredible(
    accredible: AccredibleStandIn, credential: UserCredential, answer: str
) -> None:
    if answer == "lost":
        accredible.drop()
        with pytest.raises(NoAnswer):
            issue(credential.id)
    else:
        issue(credential.id)
    if answer == "deleted there":
        accredible.delete_credential(accredible.credentials[0].id)
    retire(credential)
    assert accredible.credentials == []
    assert (row(credential).state, row(credential).external_id) == ("deleted", None)
    assert not OutboxMessage.objects.exclude(state="delivered").exists()
    # What comes late issues nothing and revokes nothing.
    issue(credential.id)
    revoke(credential.id, "")
    assert accredible.credentials == []


@pytest.mark.django_db(transaction=True)
def test_a_retirement_leaves_badges_at_accredible_where_the_settings_say_so_and_in_a_plan(
    accredible: AccredibleStandIn, credential: UserCredential, settings: Any
) -> None:
    issue(credential.id)
    planned = api.retire(credential.learner.lms_user_id, plan=True)
    assert planned.counts["lms_badges"]["badges at providers"] == 1
    assert not OutboxMessage.objects.exists()
    settings.LMS_BADGES_CONFIG["accredible"]["delete_retired"] = False
    retire(credential)
    assert len(accredible.credentials) == 1


def test_a_badge_that_nobody_asked_for_needs_no_deletion(
    accredible: AccredibleStandIn, credential: UserCredential
) -> None:
    assert AccredibleIssuer().forget(credential.id) is HandlerResult.NOTHING_TO_DO
    assert accredible.counts == {}
