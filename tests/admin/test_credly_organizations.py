"""Entering a Credly token: it is checked at once, stored encrypted, and never shown again."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.urls import reverse

from badges.issuers.credly.models import CredlyBadge, CredlyOrganization
from badges.testing.credly import CredlyStandIn
from tests.admin.pages import errors
from tests.factories import OutboxMessageFactory, UserCredentialFactory, credly_issuer, make_template

pytestmark = [pytest.mark.django_db, pytest.mark.tables]
LIST = "/admin/lms_badges/credlyorganization/"
ADD = f"{LIST}add/"


@pytest.fixture
def credly(settings: Any) -> Iterator[CredlyStandIn]:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {"credly": {"CREDLY_API_BASE_URL": stand_in.url, "timeout": 1}}
        yield stand_in


@pytest.fixture
def operator(staff: Any, client: Any) -> Any:
    client.force_login(staff(*(f"{verb}_credlyorganization" for verb in ("add", "change", "view", "delete"))))
    return client


def entered(credly: CredlyStandIn, **changed: Any) -> dict[str, Any]:
    return {"uuid": credly.organization, "name": "", "new_token": credly.token} | changed


def test_a_right_token_is_kept_encrypted_and_brings_credlys_name(operator: Any, credly: CredlyStandIn) -> None:
    page = operator.post(ADD, entered(credly))
    assert page.status_code == 302, errors(page)
    organization = CredlyOrganization.objects.get()
    assert (organization.name, organization.token) == ("Stand-in Academy", credly.token)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {CredlyOrganization._meta.db_table}")
        assert credly.token not in str(cursor.fetchall())


def test_the_token_is_never_shown_again(operator: Any, credly: CredlyStandIn) -> None:
    operator.post(ADD, entered(credly))
    row = CredlyOrganization.objects.get()
    for where in (LIST, f"{LIST}{row.pk}/change/", f"{LIST}{row.pk}/history/", f"{LIST}{row.pk}/delete/"):
        page = operator.get(where).content.decode()
        assert credly.token not in page
        assert row.encrypted_token not in page
    refused = operator.post(ADD, entered(credly, uuid="x")).content.decode()
    assert credly.token not in refused


def test_a_wrong_token_is_an_error_of_that_field(operator: Any, credly: CredlyStandIn) -> None:
    page = operator.post(ADD, entered(credly, new_token="wrong", name="Given by hand"))
    assert "new_token" in page.context["adminform"].form.errors
    assert not CredlyOrganization.objects.exists()


def test_an_unknown_organization_is_an_error_of_that_field(operator: Any, credly: CredlyStandIn) -> None:
    page = operator.post(ADD, entered(credly, uuid=str(uuid.UUID(int=9))))
    assert "uuid" in page.context["adminform"].form.errors
    assert not CredlyOrganization.objects.exists()


@pytest.mark.parametrize("given", ["no uuid", "\0", "", "9" * 5000])
def test_an_id_that_is_no_uuid_is_refused(operator: Any, credly: CredlyStandIn, given: str) -> None:
    assert errors(operator.post(ADD, entered(credly, uuid=given)))


@pytest.mark.parametrize("token", ["", "пароль", "a\0b", "x\r\ny", "x" * 10_000])
def test_a_token_that_can_be_none_is_refused(operator: Any, credly: CredlyStandIn, token: str) -> None:
    assert errors(operator.post(ADD, entered(credly, new_token=token)))
    assert not CredlyOrganization.objects.exists()


@pytest.mark.parametrize("failure", ["refuse", "break_down", "throttle"])
def test_when_credly_cannot_be_asked_the_page_says_so_and_offers_to_save_all_the_same(
    operator: Any, credly: CredlyStandIn, failure: str
) -> None:
    getattr(credly, failure)()
    page = operator.post(ADD, entered(credly))
    assert any("Credly" in message for message in errors(page))
    assert not CredlyOrganization.objects.exists()
    page = operator.post(ADD, entered(credly, unchecked="on", name="Later"))
    assert page.status_code == 302, errors(page)
    assert CredlyOrganization.objects.get().token == credly.token


def test_renaming_keeps_the_token_and_asks_nobody(operator: Any, credly: CredlyStandIn) -> None:
    operator.post(ADD, entered(credly))
    row = CredlyOrganization.objects.get()
    credly.refuse()
    page = operator.post(f"{LIST}{row.pk}/change/", entered(credly, name="Renamed", new_token=""))
    assert page.status_code == 302, errors(page)
    row.refresh_from_db()
    assert (row.name, row.token) == ("Renamed", credly.token)


def test_a_token_that_no_key_reads_any_more_is_asked_for_again(
    operator: Any, credly: CredlyStandIn, settings: Any
) -> None:
    operator.post(ADD, entered(credly))
    row = CredlyOrganization.objects.get()
    settings.SECRET_KEY = "another one"
    operator.force_login(get_user_model().objects.get(is_staff=True))  # sessions are signed with the key, too
    other = str(uuid.UUID(int=11))
    page = operator.post(f"{LIST}{row.pk}/change/", entered(credly, uuid=other, new_token="", name="n"))
    assert any("cannot be read with any key" in message for message in errors(page))
    page = operator.post(f"{LIST}{row.pk}/change/", entered(credly))
    assert page.status_code == 302, errors(page)


def test_who_may_only_view_sees_that_there_is_a_token_and_no_field_for_one(
    staff: Any, client: Any, credly: CredlyStandIn
) -> None:
    row = CredlyOrganization(uuid=credly.organization, name="Seen")
    row.token = credly.token
    row.save()
    client.force_login(staff("view_credlyorganization"))
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "Seen" in page
    assert "new_token" not in page
    assert credly.token not in page
    assert client.post(f"{LIST}{row.pk}/change/", entered(credly)).status_code == 403
    assert client.post(ADD, entered(credly)).status_code == 403


def test_an_organization_that_is_needed_is_not_deleted_and_what_needs_it_is_named(admin_client: Any) -> None:
    organization = CredlyOrganization.objects.create(uuid=uuid4(), name="Needed")
    unneeded = CredlyOrganization.objects.create(uuid=uuid4(), name="Not needed")
    template = make_template(slug="star", issuers=[credly_issuer(str(organization.uuid), str(uuid4()))])
    CredlyBadge.objects.create(credential=UserCredentialFactory(template=template))
    OutboxMessageFactory(channel="credly", postponed_for=f"credly:{organization.uuid}")
    address = reverse("admin:lms_badges_credlyorganization_delete", args=[organization.pk])
    page = admin_client.post(address, {"post": "yes"}).content.decode()
    for words in (
        "Needed: The template star is issued by it.",
        "1 badge is to be issued by it.",
        "1 outbox message waits for it.",
    ):
        assert words in page
    chosen = [organization.pk, unneeded.pk]
    all_of_them = {"action": "delete_selected", "_selected_action": chosen, "post": "yes"}
    admin_client.post(reverse("admin:lms_badges_credlyorganization_changelist"), all_of_them)
    assert CredlyOrganization.objects.count() == 2

    admin_client.post(reverse("admin:lms_badges_credlyorganization_delete", args=[unneeded.pk]), {"post": "yes"})
    assert CredlyOrganization.objects.get() == organization
