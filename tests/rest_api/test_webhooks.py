"""Webhooks of providers: only who knows the secret is heard, nothing is believed, and a repeated one counts once."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.log import AdminEmailHandler

from badges import pipeline
from badges.intake.models import InboxMessage, InboxState
from badges.issuers import webhooks
from badges.issuers.credly.models import CredlyOrganization
from badges.issuers.credly.webhook import CredlyWebhook
from badges.issuers.models import ProviderOrganization
from badges.outbox.models import OutboxMessage
from badges.testing.credly import ORGANIZATION, TOKEN
from tests.rest_api.schema import assert_as_promised
from tests.support.statement_counts import counted_statements

pytestmark = pytest.mark.django_db(transaction=True)
EVENT = "0b5e1d2c-3a4f-4b6d-8c7e-9f0a1b2c3d4e"
OTHER = "7c9d8e0f-1a2b-4c3d-9e4f-5a6b7c8d9e0f"
DOCUMENTED = "/api/badges/v1/webhooks/{provider}/{organization}/{secret}/"
OLD_ADDRESS = "/badges/credly/webhook/"


@pytest.fixture(autouse=True)
def organization(settings: Any) -> str:
    """An organization of the settings."""
    cache.clear()
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": {"ORGANIZATIONS": {ORGANIZATION: TOKEN}}}
    return ORGANIZATION


@pytest.fixture
def secret() -> str:
    return webhooks.new_secret("credly", ORGANIZATION)


def address(secret: str, *, provider: str = "credly", organization: str = ORGANIZATION) -> str:
    return f"/api/badges/v1/webhooks/{provider}/{organization}/{secret}/"


def body(**given: Any) -> dict[str, Any]:
    """Return what Credly sends."""
    return {
        "id": EVENT,
        "organization_id": ORGANIZATION,
        "event_type": "badge_template.deleted",
        "occurred_at": "2026-03-14T12:00:00.000Z",
        **given,
    }


def post(to: str, what: Any, content_type: str = "application/json", **headers: Any) -> Any:
    text = what if isinstance(what, (str, bytes)) else json.dumps(what)
    return Client().post(to, text, content_type=content_type, **headers)


def test_a_webhook_is_one_row_and_its_worker_asks_the_provider(secret):
    response = post(address(secret), body())
    assert assert_as_promised(response, DOCUMENTED, "post") == {"status": "accepted"}
    row = InboxMessage.objects.get()
    assert (row.kind, row.source, row.event_id) == ("webhook:credly", f"webhook/credly/{ORGANIZATION}", EVENT)
    assert "deleted" not in row.payload  # what the request says of the event is not even stored
    pipeline.process_pending()
    row.refresh_from_db()
    message = OutboxMessage.objects.get()
    assert (row.state, message.channel, message.type) == (InboxState.PROCESSED, "credly", "fetch")
    assert message.read() == {"organization": ORGANIZATION, "about": {"event": EVENT}}


def test_a_repeated_webhook_counts_once(secret):
    assert [post(address(secret), body()).json()["status"] for _ in range(3)] == ["accepted", "duplicate", "duplicate"]
    pipeline.process_pending()
    assert post(address(secret), body()).json()["status"] == "duplicate"
    pipeline.process_pending()
    assert OutboxMessage.objects.count() == 1


def test_many_webhooks_are_handled_with_few_statements(secret):
    for _ in range(20):
        post(address(secret), body(id=str(uuid.uuid4())))
    with counted_statements() as counted:
        pipeline.process_pending()
    assert OutboxMessage.objects.count() == 20
    assert len(counted) < 15


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret": "wrong"},
        {"secret": ""},
        {"provider": "nobody"},
        {"organization": OTHER},
        {"organization": "not-a-uuid"},
        {"organization": "%2e%2e"},
        {"organization": "\ud800".encode("utf-8", "surrogatepass").decode("latin-1")},
    ],
)
def test_a_wrong_address_is_not_found_whatever_is_wrong(secret, wrong):
    given = {"secret": secret, **wrong}
    response = post(address(given.pop("secret"), **given), body())
    assert response.status_code == 404
    assert not InboxMessage.objects.exists()


def test_a_new_address_ends_the_old_one(secret):
    newer = webhooks.new_secret("credly", ORGANIZATION)
    assert [post(address(each), body()).status_code for each in (secret, newer)] == [404, 200]


def test_an_organization_without_credentials_has_no_address(secret, settings):
    settings.LMS_BADGES_CONFIG["credly"]["ORGANIZATIONS"] = {}
    assert post(address(secret), body()).status_code == 404
    row = CredlyOrganization(uuid=ORGANIZATION)
    row.token = "entered in the admin"
    row.save()
    assert post(address(secret), body()).status_code == 200


def test_the_secret_is_stored_nowhere(secret):
    post(address(secret), body())
    rows = [*ProviderOrganization.objects.values_list(), *InboxMessage.objects.values_list()]
    assert secret not in str(rows)


def test_an_error_that_nobody_foresaw_does_not_show_the_secret(secret, monkeypatch, caplog, mailoutbox, settings):
    settings.ADMINS = [("Admin", "admin@example.com")]
    handler = AdminEmailHandler(include_html=True)
    monkeypatch.setattr(CredlyWebhook, "read", lambda webhook, request: 1 // 0)
    loggers = [logging.getLogger(name) for name in ("badges", "django.request")]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        response = post(address(secret), body())
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
    assert (response.status_code, response.headers["Content-Type"]) == (500, "application/problem+json")
    assert "ZeroDivisionError" in caplog.text
    (mail,) = mailoutbox
    assert secret not in caplog.text + str(mail.message())


def test_the_organization_may_be_spelled_in_capitals(secret):
    response = post(address(secret, organization=ORGANIZATION.upper()), body(organization_id=ORGANIZATION.upper()))
    assert response.status_code == 200
    assert InboxMessage.objects.get().source == f"webhook/credly/{ORGANIZATION}"


@pytest.mark.parametrize(
    ("given", "status"),
    [
        (body(id=f"../badges/{EVENT}"), 400),
        (body(id=f"%2e%2e/badges/{EVENT}"), 400),
        (body(id=f"{{{EVENT}}}"), 400),
        (body(id=None), 400),
        (body(id=7), 400),
        (body(id=[EVENT]), 400),
        (body(id="\u0000"), 400),
        (body(organization_id=OTHER), 400),
        (body(organization_id="../users"), 400),
        ({}, 400),
        ([], 400),
        ("null", 400),
        (" ", 400),
        ("{", 400),
        (b"\xff\xfe", 400),
        ("[" * 60_000, 400),
        (json.dumps(body(padding="x" * 70_000)), 413),
        (b"x" * (10 * 1024 * 1024), 413),
    ],
)
def test_a_body_that_is_no_webhook_is_refused_and_stores_nothing(secret, given, status):
    response = post(address(secret), given)
    assert response.status_code == status, response.content
    assert response.headers["Content-Type"] == "application/problem+json"
    assert not InboxMessage.objects.exists()


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x" * 300])
def test_only_json_is_read(secret, kind):
    assert post(address(secret), body(), content_type=kind).status_code == 415
    assert not InboxMessage.objects.exists()


def test_a_content_type_may_name_its_character_set(secret):
    assert post(address(secret), body(), content_type="application/json; charset=utf-8").status_code == 200


def test_an_address_is_only_posted_to(secret):
    assert {getattr(Client(), verb)(address(secret)).status_code for verb in ("get", "put", "delete")} == {405}


def test_the_body_may_leave_out_the_organization(secret):
    assert post(address(secret), {"id": EVENT}).status_code == 200


# --- the address without a secret ------------------------------------------------------------------------------------


@pytest.fixture
def switched_on(settings: Any) -> Callable[..., None]:
    def switch(**rest_api: Any) -> None:
        settings.LMS_BADGES_CONFIG["credly"]["webhook_without_secret"] = True
        settings.LMS_BADGES_CONFIG["rest_api"] = rest_api

    return switch


def test_the_address_without_a_secret_is_switched_off_by_default():
    assert post(OLD_ADDRESS, body()).status_code == 404
    assert not InboxMessage.objects.exists()


def test_the_address_without_a_secret_takes_known_organizations_only(switched_on):
    switched_on()
    assert post(OLD_ADDRESS, body()).status_code == 200
    assert InboxMessage.objects.get().source == f"webhook/credly/{ORGANIZATION}"
    for wrong in (OTHER, "x", None, 5):
        assert post(OLD_ADDRESS, body(id=str(uuid.uuid4()), organization_id=wrong)).status_code == 400
    assert post(OLD_ADDRESS, body(id=f"../badges/{EVENT}")).status_code == 400
    assert InboxMessage.objects.count() == 1


def test_an_event_counts_once_whichever_address_it_comes_to(switched_on, secret):
    switched_on()
    assert [post(to, body()).json()["status"] for to in (OLD_ADDRESS, address(secret))] == ["accepted", "duplicate"]


def test_requests_without_a_secret_are_limited(switched_on):
    switched_on(webhooks_per_minute=3)
    statuses = [post(OLD_ADDRESS, body(id=str(uuid.uuid4()))).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]


def test_all_clients_together_are_limited(switched_on):
    switched_on(webhooks_per_minute=1)
    clients = [f"10.0.0.{number}" for number in range(12)]
    statuses = [post(OLD_ADDRESS, body(id=str(uuid.uuid4())), REMOTE_ADDR=each).status_code for each in clients]
    assert statuses == [200] * 10 + [429] * 2
