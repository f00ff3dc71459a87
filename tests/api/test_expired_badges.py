"""What readers rely on: a badge is over from its end on, wherever it is shown, whether or not its row is marked."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from badges import api
from badges.granting import expire_due
from badges.models import UserCredential
from tests.factories import LearnerFactory, UserCredentialFactory, make_template
from tests.support.learner_factories import signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

DAY = dt.timedelta(days=1)
REST, ADMIN = "/api/badges/v1/credentials/", "/admin/lms_badges/usercredential/"


@pytest.fixture(params=["marked", "not marked yet"])
def over(request: Any) -> UserCredential:
    """A credential that was at its end yesterday, and whose row a sweep has marked or not."""
    credential = UserCredentialFactory(
        template=make_template(slug="first-aid", expiry={"days": 30}),
        awarded_at=timezone.now() - 31 * DAY,
        valid_until=timezone.now() - DAY,
        is_public=True,
    )
    if request.param == "marked":
        assert expire_due(now=timezone.now()) == 1
    return UserCredential.objects.get(pk=credential.pk)


@pytest.fixture
def held(over: UserCredential) -> UserCredential:
    """Another learner's credential of the same template, which ends tomorrow."""
    return UserCredentialFactory(template=over.template, learner=LearnerFactory(), valid_until=timezone.now() + DAY)


@pytest.fixture
def owner(over: UserCredential) -> Client:
    return signed_in(over.learner.user)


def test_python(over: UserCredential, held: UserCredential) -> None:
    assert list(api.holders_of("first-aid")) == [held]
    (found,) = api.credentials_of(over.learner)
    assert found.status_at(timezone.now()) == "expired"
    explained = api.explain(over.learner, "first-aid")
    assert (explained.held, explained.expiry, len(explained.credentials)) == (None, {"days": 30}, 1)
    assert api.explain(held.learner, "first-aid").held == held


def test_rest(over: UserCredential, held: UserCredential, owner: Client, admin_client: Client) -> None:
    (found,) = owner.get(REST).json()["results"]
    assert found["status"] == "expired"
    assert found["valid_until"] is not None
    for status, expected in (("expired", over), ("awarded", held)):
        listed = admin_client.get(REST, {"status": status}).json()["results"]
        assert [each["id"] for each in listed] == [str(expected.pk)]


def test_stickers(over: UserCredential, owner: Client, admin_client: Client) -> None:
    address = f"/api/award/v1/users/{over.learner.uuid}/stickers"
    assert owner.get(address).json()["stickers"] == []
    assert owner.get(f"/api/users/v1/users/{over.learner.uuid}").json()["stickers"]["held"] == 0
    removed = admin_client.delete(f"{address}/first-aid")
    assert removed.status_code == 404
    again = admin_client.post(address, {"stickerId": "first-aid"}, content_type="application/json")
    assert again.status_code == 201
    assert len(owner.get(address).json()["stickers"]) == 1


def test_the_list_of_all_that_a_learner_holds(over: UserCredential, owner: Client) -> None:
    address = "/api/credentials/v1/credentials/"
    assert owner.get(address).json()["results"] == []


def test_the_admin(over: UserCredential, held: UserCredential, admin_client: Client) -> None:
    for status, expected in (("expired", over), ("awarded", held)):
        page = admin_client.get(ADMIN, {"status": status}).content.decode()
        assert f"{ADMIN}{expected.pk}/change/" in page
        assert page.count("field-state") == 1
    page = admin_client.get(f"{ADMIN}{over.pk}/change/").content.decode()
    assert "expired" in page
    assert "revoke/" not in page


def test_the_pages(over: UserCredential, owner: Client) -> None:
    held, _heading, earnable = owner.get("/badges/").content.decode().partition('<section id="others"')
    assert over.template.name not in held
    assert over.template.name in earnable  # it can be earned again
    assert over.template.name in owner.get("/badges/?ended=yes").content.decode()
    assert "This badge has expired." in Client().get(f"/badges/credentials/{over.pk}/").content.decode()
