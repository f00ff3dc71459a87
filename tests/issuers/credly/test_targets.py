"""Where a badge is issued: where its template says when Credly is asked, and nowhere else while that is uncertain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from badges.awarding.models import UserCredential
from badges.catalog.models import TemplateIssuer
from badges.common.http import NoAnswer
from badges.exceptions import Permanent, RateLimited, SharedProblem, Waiting
from badges.issuers.credly.issuer import CredlyIssuer
from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.testing.credly import CredlyStandIn

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

issue = CredlyIssuer().issue


@pytest.fixture
def template(credly: CredlyStandIn) -> str:
    return credly.add_template(name="Analytical engine").id


@pytest.fixture
def another(credly: CredlyStandIn) -> TemplateIssuer:
    """A template of another organization, not saved anywhere yet."""
    organization = credly.add_organization()
    entered = CredlyOrganization(uuid=organization.id)
    entered.token = organization.token
    entered.save()
    template = credly.add_template(organization=organization.id)
    return TemplateIssuer(organization=organization.id, external_template=template.id)


def move(issuer: TemplateIssuer) -> None:
    """Let all templates be issued there."""
    TemplateIssuer.objects.update(organization=issuer.organization, external_template=issuer.external_template)


def circuits_of(credential: UserCredential) -> Sequence[str]:
    return CredlyIssuer().circuits(credential.id)


@pytest.mark.parametrize("mistyped", ["organization", "template", "both", "unknown template"])
def test_after_the_correction_of_a_wrong_id_a_retry_issues_the_badge(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], mistyped: str
) -> None:
    credential = award(
        organization="acme" if mistyped in ("organization", "both") else credly.organization,
        external_template={"organization": template, "unknown template": str(uuid4())}.get(mistyped, "algebra"),
    )
    with pytest.raises(SharedProblem):
        issue(credential.id)
    move(TemplateIssuer(organization=credly.organization, external_template=template))
    issue(credential.id)
    badge = CredlyBadge.objects.get()
    assert (badge.state, badge.organization, badge.external_template) == ("pending", credly.organization, template)


def test_while_the_outcome_is_unknown_a_badge_is_looked_up_where_it_was_asked_for(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer
) -> None:
    credential = award(organization=credly.organization, external_template=template)
    credly.drop(on="issue", carried_out=True)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    move(another)
    issue(credential.id)
    assert [badge.organization_id for badge in credly.badges] == [credly.organization]
    assert CredlyBadge.objects.get().external_template == template


def test_what_is_not_found_where_it_was_asked_for_goes_where_the_template_says_now(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer
) -> None:
    credential = award(organization=credly.organization, external_template=template)
    credly.drop(on="issue", carried_out=False)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    move(another)
    with pytest.raises(Waiting, match="asked for next"):
        issue(credential.id)
    assert credly.counts == {"issue": 1, "find_badges": 1}
    # Whatever goes wrong from now on is about the new place, and the row belongs to the circuits of that one.
    assert circuits_of(credential)[0] == f"credly:{another.organization}"
    issue(credential.id)
    assert [badge.organization_id for badge in credly.badges] == [another.organization]


def test_as_long_as_nobody_can_look_a_badge_is_not_asked_for_elsewhere(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer
) -> None:
    credential = award(organization=credly.organization, external_template=template)
    credly.drop(on="issue", carried_out=True)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    move(another)
    credly.answer(on="find_badges", status=400, body="{}")
    with pytest.raises(Permanent, match="400"):
        issue(credential.id)
    assert CredlyBadge.objects.get().state == "no_response"
    issue(credential.id)
    assert len(credly.badges) == 1


def test_a_badge_that_was_refused_goes_where_the_template_says_now(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer
) -> None:
    credential = award(organization=credly.organization, external_template=template)
    credly.answer(on="issue", status=422, body='{"message": "The recipient is on a list."}')
    with pytest.raises(Permanent, match="is on a list"):
        issue(credential.id)
    assert CredlyBadge.objects.get().state == "error"
    move(another)
    issue(credential.id)
    assert [badge.organization_id for badge in credly.badges] == [another.organization]


@pytest.mark.parametrize("status", [401, 429])
def test_a_badge_that_was_refused_when_asked_for_again_goes_where_the_template_says_now(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer, status: int
) -> None:
    credential = award(organization=credly.organization, external_template=template)
    credly.drop(on="issue", carried_out=False)
    credly.answer(on="issue", status=status)
    with pytest.raises(NoAnswer):
        issue(credential.id)
    with pytest.raises((SharedProblem, RateLimited)):
        issue(credential.id)
    assert circuits_of(credential)[0] == f"credly:{credly.organization}"
    move(another)
    assert circuits_of(credential)[0] == f"credly:{another.organization}"
    issue(credential.id)
    assert [badge.organization_id for badge in credly.badges] == [another.organization]


def test_circuits_are_those_of_where_the_badge_goes(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential], another: TemplateIssuer
) -> None:
    credential = award(organization=credly.organization.upper(), external_template=template)
    assert circuits_of(credential) == (f"credly:{credly.organization}", f"credly:{credly.organization}:{template}")
    move(another)
    assert circuits_of(credential)[0] == f"credly:{another.organization}"
    TemplateIssuer.objects.all().delete()
    assert circuits_of(credential) == ("credly", f"credly:template-{credential.template_id}")


def test_the_database_refuses_an_uncertain_badge_without_a_place(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential]
) -> None:
    award(organization=credly.organization, external_template=template)
    with pytest.raises(IntegrityError), transaction.atomic():
        CredlyBadge.objects.update(state="no_response")


def test_a_badge_that_was_refused_and_then_issued_by_hand_is_adopted(
    credly: CredlyStandIn, template: str, award: Callable[..., UserCredential]
) -> None:
    credly.change_template(template, allows_duplicates=True)
    credential = award(organization=credly.organization, external_template=template)
    credly.answer(on="issue", status=422, body='{"message": "The recipient is on a list."}')
    with pytest.raises(Permanent, match="is on a list"):
        issue(credential.id)
    body = {
        "recipient_email": "another@example.com",
        "issued_to_first_name": "Ada",
        "issued_to_last_name": "Lovelace",
        "badge_template_id": template,
        "issued_at": "2020-01-01 00:00:00 +0000",
        "issuer_earner_id": str(credential.learner.uuid),
    }
    by_hand = credly.issue(credly.organizations[0], body)
    issue(credential.id)
    assert credly.badges == [by_hand]
    badge = CredlyBadge.objects.get()
    assert (str(badge.external_uuid), badge.organization, badge.external_template) == (
        by_hand.id,
        credly.organization,
        template,
    )
