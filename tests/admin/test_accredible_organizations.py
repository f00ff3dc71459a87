"""Entering an Accredible key: it is checked at once, stored encrypted, and never shown again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.urls import reverse

from badges.issuers import registry
from badges.issuers.accredible.models import AccredibleBadge, AccredibleOrganization
from badges.issuers.models import ProviderOrganization
from badges.testing.accredible import AccredibleStandIn
from tests.admin.pages import errors
from tests.factories import OutboxMessageFactory, UserCredentialFactory, make_template

pytestmark = [pytest.mark.django_db, pytest.mark.tables]
LIST = "/admin/lms_badges/accredibleorganization/"
ADD = f"{LIST}add/"


@pytest.fixture
def accredible(settings: Any) -> Iterator[AccredibleStandIn]:
    with AccredibleStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {"accredible": {"ACCREDIBLE_API_BASE_URL": stand_in.url, "timeout": 1}}
        yield stand_in


@pytest.fixture
def operator(staff: Any, client: Any) -> Any:
    client.force_login(staff(*(f"{verb}_accredibleorganization" for verb in ("add", "change", "view", "delete"))))
    return client


def entered(accredible: AccredibleStandIn, **changed: Any) -> dict[str, Any]:
    return {"slug": "academy", "name": "", "new_api_key": accredible.key} | changed


def test_a_right_key_is_kept_encrypted_and_brings_the_accounts_name(
    operator: Any, accredible: AccredibleStandIn
) -> None:
    page = operator.post(ADD, entered(accredible, new_api_key=f" {accredible.key}\t"))
    assert page.status_code == 302, errors(page)
    organization = AccredibleOrganization.objects.get()
    assert (organization.name, organization.api_key) == ("Stand-in Academy", accredible.key)
    assert ProviderOrganization.objects.get().organization == "academy"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {AccredibleOrganization._meta.db_table}")
        assert accredible.key not in str(cursor.fetchall())
    for where in (LIST, f"{LIST}{organization.pk}/change/", f"{LIST}{organization.pk}/history/"):
        shown = operator.get(where).content.decode()
        assert accredible.key not in shown
        assert organization.encrypted_key not in shown


@pytest.mark.parametrize("key", ["", "wrong", "пароль", "a\0b", "x\r\ny", "x" * 10_000])
def test_a_key_that_can_be_none_is_an_error_of_that_field(
    operator: Any, accredible: AccredibleStandIn, key: str
) -> None:
    page = operator.post(ADD, entered(accredible, new_api_key=key))
    assert "new_api_key" in page.context["adminform"].form.errors
    assert not AccredibleOrganization.objects.exists()


def test_no_key_is_asked_for_if_the_settings_have_it(
    operator: Any, accredible: AccredibleStandIn, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG["accredible"]["ORGANIZATIONS"] = {"academy": accredible.key}
    page = operator.post(ADD, entered(accredible, name="Academy", new_api_key=""))
    assert page.status_code == 302, errors(page)
    assert AccredibleOrganization.objects.get().encrypted_key == ""


@pytest.mark.parametrize("slug", ["", "../x", "a b", "academy\0", "é", "x" * 101])
def test_a_slug_that_can_be_none_is_refused(operator: Any, accredible: AccredibleStandIn, slug: str) -> None:
    assert errors(operator.post(ADD, entered(accredible, slug=slug)))
    assert accredible.counts == {}


@pytest.mark.parametrize("failure", ["refuse", "break_down", "throttle"])
def test_when_accredible_cannot_be_asked_the_page_says_so_and_offers_to_save_all_the_same(
    operator: Any, accredible: AccredibleStandIn, failure: str
) -> None:
    getattr(accredible, failure)()
    page = operator.post(ADD, entered(accredible))
    assert any("Accredible could not be asked" in message for message in errors(page))
    page = operator.post(ADD, entered(accredible, unchecked="on", name="Later"))
    assert page.status_code == 302, errors(page)
    assert AccredibleOrganization.objects.get().api_key == accredible.key


def test_renaming_keeps_slug_and_key_and_asks_nobody(operator: Any, accredible: AccredibleStandIn) -> None:
    operator.post(ADD, entered(accredible))
    row = AccredibleOrganization.objects.get()
    accredible.refuse()
    page = operator.post(f"{LIST}{row.pk}/change/", {"name": "Renamed", "new_api_key": "", "slug": "another"})
    assert page.status_code == 302, errors(page)
    row.refresh_from_db()
    assert (row.slug, row.name, row.api_key) == ("academy", "Renamed", accredible.key)


def test_a_new_key_is_checked_and_replaces_the_old_one(operator: Any, accredible: AccredibleStandIn) -> None:
    row = AccredibleOrganization(slug="academy", name="Known")
    row.api_key = "old-key"
    row.save()
    address = f"{LIST}{row.pk}/change/"
    assert errors(operator.post(address, {"name": "Known", "new_api_key": "wrong"}))
    page = operator.post(address, {"name": "Known", "new_api_key": accredible.key})
    assert page.status_code == 302, errors(page)
    assert AccredibleOrganization.objects.get().api_key == accredible.key


def test_who_may_only_view_sees_that_there_is_a_key_and_no_field_for_one(
    staff: Any, client: Any, accredible: AccredibleStandIn
) -> None:
    row = AccredibleOrganization(slug="academy", name="Seen")
    row.api_key = accredible.key
    row.save()
    client.force_login(staff("view_accredibleorganization"))
    page = client.get(f"{LIST}{row.pk}/change/").content.decode()
    assert "Seen" in page
    assert "new_api_key" not in page
    assert client.post(f"{LIST}{row.pk}/change/", entered(accredible)).status_code == 403
    assert client.post(ADD, entered(accredible)).status_code == 403


def test_an_organization_that_is_needed_is_not_deleted_and_what_needs_it_is_named(admin_client: Any) -> None:
    organization = AccredibleOrganization.objects.create(slug="needed", name="Needed")
    unneeded = AccredibleOrganization.objects.create(slug="needed-not", name="Not needed")
    issuer = {"provider": "accredible", "organization": "needed", "template": "7"}
    template = make_template(slug="star", issuers=[issuer])
    AccredibleBadge.objects.create(credential=UserCredentialFactory(template=template))
    issued = {"state": "accepted", "organization": "needed", "external_id": "9"}
    AccredibleBadge.objects.create(credential=UserCredentialFactory(), **issued)
    for number, state in enumerate(("deleted", "expired", "revoked")):
        ended = {"state": state, "organization": "needed", "external_id": f"1{number}"}
        AccredibleBadge.objects.create(credential=UserCredentialFactory(), **ended)
    OutboxMessageFactory(channel="accredible", postponed_for="accredible:needed:7")
    OutboxMessageFactory(channel="accredible", type="fetch", payload='{"about":{},"organization":"needed"}')
    address = reverse("admin:lms_badges_accredibleorganization_delete", args=[organization.pk])
    page = admin_client.post(address, {"post": "yes"}).content.decode()
    for words in (
        "Needed: The template star is issued by it.",
        "1 badge is to be issued by it.",
        "1 badge is issued by it.",
        "2 outbox messages wait for it.",
    ):
        assert words in page
    admin_client.post(reverse("admin:lms_badges_accredibleorganization_delete", args=[unneeded.pk]), {"post": "yes"})
    assert AccredibleOrganization.objects.get() == organization


def test_keys_are_encrypted_anew(settings: Any) -> None:
    row = AccredibleOrganization(slug="academy")
    row.api_key = "secret"
    row.save()
    settings.LMS_BADGES_CONFIG = {"secret_keys": ["a new key"]}
    assert registry.get("accredible").reencrypt() == 1
    after = AccredibleOrganization.objects.get()
    assert (after.api_key, after.encrypted_key != row.encrypted_key) == ("secret", True)


def test_support_finds_the_badge_of_a_learner(admin_client: Any) -> None:
    credential = UserCredentialFactory()
    badge = AccredibleBadge.objects.create(
        credential=credential, state="accepted", organization="academy", external_id="9", url="https://example.com/9"
    )
    page = admin_client.get(f"/admin/lms_badges/accrediblebadge/?q={credential.learner.lms_user_id}").content.decode()
    assert str(badge) in page
    page = admin_client.get(f"/admin/lms_badges/accrediblebadge/{badge.pk}/change/").content.decode()
    assert "https://example.com/9" in page


def test_a_webhook_secret_is_kept_encrypted_and_can_be_removed(operator: Any, accredible: AccredibleStandIn) -> None:
    operator.post(ADD, entered(accredible, new_webhook_secret="signing-secret"))
    row = AccredibleOrganization.objects.get()
    assert row.webhook_secret == "signing-secret"
    address = f"{LIST}{row.pk}/change/"
    assert "signing-secret" not in operator.get(address).content.decode()
    operator.post(address, {"name": "Kept", "new_api_key": "", "new_webhook_secret": ""})
    assert AccredibleOrganization.objects.get().webhook_secret == "signing-secret"
    operator.post(address, {"name": "Kept", "no_webhook_secret": "on"})
    assert AccredibleOrganization.objects.get().webhook_secret == ""
