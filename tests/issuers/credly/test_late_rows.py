"""A badge whose row was not written with its award, because Credly's issuer could not be loaded then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from badges.awarding.models import UserCredential
from badges.catalog.models import TemplateIssuer
from badges.exceptions import Permanent
from badges.issuers.credly.issuer import CredlyIssuer
from badges.issuers.credly.models import CredlyBadge
from badges.testing.credly import CredlyStandIn

pytestmark = [pytest.mark.django_db, pytest.mark.tables]

issue = CredlyIssuer().issue


def test_it_is_issued_where_its_own_template_says(credly: CredlyStandIn, award: Callable[..., UserCredential]) -> None:
    credentials = [award(organization=credly.organization, external_template="") for _ in range(3)]
    CredlyBadge.objects.all().delete()
    templates = [credly.add_template(name=f"Engine {number}").id for number in range(3)]
    for credential, template in zip(credentials, templates, strict=True):
        TemplateIssuer.objects.filter(template=credential.template).update(external_template=template)
    issue(credentials[1].id)
    assert [badge.template_id for badge in credly.badges] == [templates[1]]


def test_without_a_place_to_issue_it_the_operator_is_told(
    credly: CredlyStandIn, award: Callable[..., UserCredential]
) -> None:
    credential = award(organization=credly.organization, external_template="")
    CredlyBadge.objects.all().delete()
    TemplateIssuer.objects.all().delete()
    with pytest.raises(Permanent, match="Add Credly to the issuers"):
        issue(credential.id)
    assert credly.badges == []
