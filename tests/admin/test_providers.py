"""Organizations at providers in the admin: webhook addresses, checks, syncs; and what providers say of templates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from badges.issuers import webhooks
from badges.issuers.credly.models import CredlyOrganization
from badges.models import BadgeTemplate, OutboxMessage, ProviderOrganization, ProviderTemplate, Run
from badges.runs import worker
from badges.testing.credly import CredlyStandIn
from tests.factories import OutboxMessageFactory, credly_issuer, make_template

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]
LIST = "/admin/lms_badges/providerorganization/"


@pytest.fixture
def credly(settings: Any) -> Iterator[CredlyStandIn]:
    with CredlyStandIn() as stand_in:
        settings.LMS_BADGES_CONFIG = {
            "credly": {
                "CREDLY_API_BASE_URL": stand_in.url,
                "ORGANIZATIONS": {stand_in.organization: stand_in.token},
                "timeout": 1,
            }
        }
        yield stand_in


@pytest.fixture
def row(credly: CredlyStandIn) -> ProviderOrganization:
    webhooks.note_organizations([("credly", credly.organization)])
    return ProviderOrganization.objects.get()


def page_of(row: ProviderOrganization) -> str:
    return f"{LIST}{row.pk}/change/"


def button(row: ProviderOrganization, verb: str) -> str:
    return f"{LIST}{row.pk}/do/{verb}/"


@pytest.fixture
def operator(staff: Any, client: Any) -> Any:
    client.force_login(
        staff(
            "view_providerorganization", "change_providerorganization", "add_run", "view_run", "view_providertemplate"
        )
    )
    return client


def test_a_button_makes_the_webhook_address_and_shows_it_once(operator, row, credly):
    answer = operator.post(button(row, "webhook"))
    address = re.search(r'webhook-address">http://testserver([^<]+)<', answer.content.decode()).group(1)
    assert "no-store" in answer.headers["Cache-Control"]
    body = {"id": credly.organization, "organization_id": credly.organization}
    assert Client().post(address, body, content_type="application/json").status_code == 200
    secret = address.split("/")[-2]
    for where in (LIST, page_of(row), f"{LIST}{row.pk}/history/"):
        assert secret not in operator.get(where).content.decode()
    operator.post(button(row, "webhook"))
    assert Client().post(address, body, content_type="application/json").status_code == 404


def test_the_address_begins_with_the_public_address_of_the_host(operator, row, settings):
    settings.LMS_BADGES_CONFIG["public_url"] = "https://credentials.example.org/"
    page = operator.post(button(row, "webhook")).content.decode()
    assert ">https://credentials.example.org/api/badges/v1/webhooks/credly/" in page


@pytest.mark.parametrize("verb", ["webhook", "check", "sync", "sweep"])
def test_nothing_is_done_by_opening_a_page_or_without_the_permission(operator, row, staff, verb):
    assert operator.get(button(row, verb)).status_code == 405
    other = Client()
    other.force_login(staff("view_providerorganization", username="guest"))
    assert other.post(button(row, verb)).status_code == 403
    assert other.get(page_of(row)).status_code == 200
    assert "do/" not in other.get(page_of(row)).content.decode()
    row.refresh_from_db()
    assert (row.webhook_digest, Run.objects.count()) == ("", 0)


def test_the_credentials_of_the_settings_can_be_checked(operator, row, credly, settings):
    answer = operator.post(button(row, "check"), follow=True).content.decode()
    assert "accepts the credentials of Stand-in Academy" in answer
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: "wrong"}
    answer = operator.post(button(row, "check"), follow=True).content.decode()
    assert "our key was not accepted" in answer


def test_a_sync_is_started_and_shows_its_progress_on_the_page_of_runs(operator, row, credly):
    credly.add_template(name="From Credly")
    answer = operator.post(button(row, "sync"))
    run = Run.objects.get()
    assert answer.url.endswith(f"/run/{run.pk}/change/")
    worker.work()
    assert BadgeTemplate.objects.get().name == "From Credly"
    assert "taken over: 1" in operator.get(answer.url).content.decode()
    operator.post(LIST, {"action": "plan_sync", "_selected_action": [row.pk]})
    assert Run.objects.filter(mode="plan").count() == 1


def test_two_syncs_at_once_are_refused_with_a_message(operator, row):
    operator.post(button(row, "sync"))
    assert "is open" in operator.post(button(row, "sync"), follow=True).content.decode()


def test_a_wrong_verb_or_row_is_not_found(operator, row):
    assert operator.post(button(row, "delete")).status_code == 404
    assert operator.post(f"{LIST}999/do/sync/").status_code == 404
    assert operator.post(f"{LIST}x/do/sync/").status_code == 404


def test_the_page_of_a_template_shows_its_image_and_where_it_is_managed(admin_client, row, credly):
    template = credly.add_template(name="Shown")
    ours = make_template(slug="ours", issuers=[credly_issuer(credly.organization, template.id)])
    admin_client.post(button(row, "sync"))
    worker.work()
    copy = ProviderTemplate.objects.get()
    copies = f"/admin/lms_badges/providertemplate/{copy.pk}/change/"
    for where in (f"/admin/lms_badges/badgetemplate/{ours.pk}/change/", copies):
        page = admin_client.get(where).content.decode()
        assert f'src="https://images.example.com/{template.id}.png"' in page
        assert (
            f'href="https://credly.com/mgmt/organizations/{credly.organization}/badges/templates/{template.id}' in page
        )
    assert "/badgetemplate/" in admin_client.get(copies).content.decode()
    assert "Shown" in admin_client.get("/admin/lms_badges/providertemplate/?q=show").content.decode()


def test_an_organization_is_checked_with_the_credentials_that_are_used(admin_client, credly, settings):
    """Those of the settings win, so a token that is entered for the same organization is not what is asked with."""
    form = {"uuid": credly.organization, "name": "", "new_token": "wrong"}
    assert admin_client.post("/admin/lms_badges/credlyorganization/add/", form).status_code == 302
    assert CredlyOrganization.objects.get().name == "Stand-in Academy"
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {credly.organization: "not right"}
    CredlyOrganization.objects.all().delete()
    page = admin_client.post("/admin/lms_badges/credlyorganization/add/", {**form, "new_token": credly.token})
    assert "new_token" in page.context["adminform"].form.errors


def test_an_organization_that_is_asked_about_webhooks_is_not_deleted(admin_client, credly, settings):
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {}
    organization = CredlyOrganization(uuid=credly.organization)
    organization.token = credly.token
    organization.save()
    payload = f'{{"about":{{}},"organization":"{credly.organization}"}}'
    OutboxMessageFactory(channel="credly", type="fetch", payload=payload)
    address = f"/admin/lms_badges/credlyorganization/{organization.pk}/delete/"
    assert "1 outbox message waits for it" in admin_client.get(address).content.decode()
    admin_client.post(address, {"post": "yes"})
    assert CredlyOrganization.objects.exists()
    OutboxMessage.objects.all().delete()
    admin_client.post(address, {"post": "yes"})
    assert not CredlyOrganization.objects.exists()
