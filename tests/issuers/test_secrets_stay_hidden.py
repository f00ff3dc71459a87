"""No secret of a provider comes out again: rows, logs, REST answers, admin pages, error pages, arguments of tasks."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import pytest
import requests
from django.apps import apps
from django.contrib import admin
from django.db import connection
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.log import AdminEmailHandler
from kombu import Connection

from badges import delivery
from badges.fields import EncryptedField
from badges.issuers.accredible.models import AccredibleOrganization
from badges.issuers.credly.conf import config
from badges.issuers.credly.models import CredlyOrganization
from badges.testing.accredible import AccredibleStandIn
from badges.testing.credly import CredlyStandIn
from tests.acceptance.delivery_helpers import pass_course
from tests.factories import credly_issuer, make_template
from tests.support.celery_notifications import BROKER, use_memory_broker

IN_DATABASE, CLIENT_SECRET, TYPED = "canary-of-the-database", "canary-of-a-client", "canary-of-a-form"
OTHER = "0b0b0b0b-0000-4000-8000-00000000000a"
THIRD = "0c0c0c0c-0000-4000-8000-00000000000a"
LABELS = ("lms_badges", "lms_credentials_config")

pytestmark = pytest.mark.django_db


@pytest.fixture
def credly(settings: Any) -> Iterator[CredlyStandIn]:
    """Three organizations: one with a token of the settings, one with a token of the admin, one with OAuth2."""
    with CredlyStandIn() as stand_in:
        listed: dict[str, Any] = {
            stand_in.organization: stand_in.token,
            THIRD: {"client_id": "third", "client_secret": CLIENT_SECRET},
        }
        credly = {"CREDLY_API_BASE_URL": stand_in.url, "ORGANIZATIONS": listed, "timeout": 1}
        settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "credly": credly}
        organization = CredlyOrganization(uuid=OTHER, name="Other")
        organization.token = IN_DATABASE
        organization.save()
        academy = AccredibleOrganization(slug="other", name="Other")
        academy.api_key = IN_DATABASE
        academy.webhook_secret = IN_DATABASE
        academy.save()
        with AccredibleStandIn() as accredible:
            settings.LMS_BADGES_CONFIG["accredible"] = {"ACCREDIBLE_API_BASE_URL": accredible.url}
            yield stand_in


def canaries(credly: CredlyStandIn) -> list[str]:
    """Return the secrets, also as the header of a request has them."""
    plain = [credly.token, IN_DATABASE, CLIENT_SECRET, TYPED]
    return plain + [b64encode(f"{secret}:".encode()).decode().rstrip("=")[:-2] for secret in plain]


def issue_everywhere(credly: CredlyStandIn) -> None:
    """Let badges of all organizations be issued: the first one works, the others are refused or have no answer."""
    make_template(issuers=[credly_issuer(credly.organization, credly.add_template().id)])
    make_template(issuers=[credly_issuer(OTHER)])
    make_template(issuers=[credly_issuer(THIRD)])
    make_template(issuers=[{"provider": "accredible", "organization": "other", "template": "7"}])
    pass_course(1)
    delivery.drain(now=timezone.now())
    assert len(credly.badges) == 1
    credly.drop()
    pass_course(2)
    delivery.drain(now=timezone.now())


def stored_values() -> Iterable[str]:
    models = chain.from_iterable(apps.get_app_config(label).get_models() for label in LABELS)
    for model in models:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(model._meta.db_table)}")
            for row in cursor.fetchall():
                yield str(row)


def messages_of_the_broker() -> Iterable[str]:
    with Connection(BROKER) as broker, broker.channel() as channel:
        channel.queue_declare("celery", durable=True)
        while message := channel.basic_get("celery", no_ack=True):
            yield f"{message.headers} {message.body}"


def admin_pages() -> Iterable[str]:
    for model in admin.site._registry:
        if model._meta.app_label in LABELS:
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
            yield reverse(f"{name}_changelist")
            yield reverse(f"{name}_add")
            for row in model._default_manager.all()[:2]:
                yield reverse(f"{name}_change", args=[row.pk])
                yield reverse(f"{name}_history", args=[row.pk])


def rest_addresses(client: Any) -> Iterable[str]:
    document = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    return [address for address, what in document["paths"].items() if "get" in what and "{" not in address]


def test_rows_logs_tasks_answers_and_pages_hold_no_secret(
    credly: CredlyStandIn, admin_client: Any, caplog: Any, settings: Any, django_capture_on_commit_callbacks: Any
) -> None:
    use_memory_broker(settings)
    caplog.set_level(logging.DEBUG)
    with django_capture_on_commit_callbacks(execute=True):
        issue_everywhere(credly)
    texts = {"rows": " ".join(stored_values()), "logs": caplog.text, "tasks": " ".join(messages_of_the_broker())}
    texts |= {address: admin_client.get(address).content.decode() for address in rest_addresses(admin_client)}
    texts |= {address: admin_client.get(address).content.decode() for address in admin_pages()}
    assert {"/api/badges/v1/credentials/", reverse("admin:lms_badges_credlyorganization_changelist")} <= texts.keys()
    assert "Other" in texts[reverse("admin:lms_badges_credlyorganization_changelist")]
    assert texts["tasks"]
    assert [(where, secret) for where, text in texts.items() for secret in canaries(credly) if secret in text] == []


@pytest.fixture
def error_mails(mailoutbox: Any, settings: Any) -> Iterator[list[Any]]:
    """The mails that a host sends to its administrators when something fails, with all details."""
    settings.ADMINS = [("Fantasio", "fantasio@example.org")]
    handler, logger = AdminEmailHandler(include_html=True), logging.getLogger("django.request")
    logger.addHandler(handler)
    yield mailoutbox
    logger.removeHandler(handler)


@pytest.mark.parametrize("provider", ["credly", "accredible"])
@pytest.mark.parametrize("debug", [True, False])
def test_error_pages_and_the_mails_about_errors_hold_no_secret(
    credly: CredlyStandIn,
    admin_client: Any,
    settings: Any,
    monkeypatch: Any,
    error_mails: list[Any],
    debug: bool,
    provider: str,
) -> None:
    settings.DEBUG = debug
    settings.EVENT_BUS_REDIS_CONNECTION_URL = f"redis://:{IN_DATABASE}@127.0.0.1:6379/0"
    admin_client.raise_request_exception = False

    def failing(self: Any, request: Any, **_options: Any) -> Any:
        listed = dict(config.ORGANIZATIONS)
        raise ZeroDivisionError(len(listed))

    monkeypatch.setattr(requests.Session, "send", failing)
    if provider == "credly":
        form = {"uuid": THIRD, "name": "Third", "new_token": TYPED}
    else:
        form = {"slug": "third", "name": "Third", "new_api_key": TYPED}
    answer = admin_client.post(reverse(f"admin:lms_badges_{provider}organization_add"), form)
    assert answer.status_code == 500
    page, (mail,) = answer.content.decode(), _html_parts(error_mails)
    assert ("check_organization" in page) is debug
    assert "check_organization" in mail
    texts = [page, mail, *(str(each.message()) for each in error_mails)]
    shown = [text[max(0, place - 200) : place + 60] for text in texts for place in _places(text, canaries(credly))]
    assert shown == []


def _html_parts(mails: list[Any]) -> list[str]:
    return [content for mail in mails for content, _kind in mail.alternatives]


def _places(text: str, secrets: list[str]) -> list[int]:
    return [place for place in map(text.find, secrets) if place >= 0]


def encrypted_columns() -> list[tuple[type[Model], str]]:
    models = chain.from_iterable(apps.get_app_config(label).get_models() for label in LABELS)
    return [
        (model, field.name)
        for model in models
        for field in model._meta.get_fields()
        if isinstance(field, EncryptedField)
    ]


@pytest.mark.parametrize("lookup", ["", "__startswith", "__gt", "__regex"])
def test_no_address_asks_an_encrypted_column(credly: CredlyStandIn, admin_client: Any, lookup: str) -> None:
    assert (CredlyOrganization, "encrypted_token") in encrypted_columns()
    for model, column in encrypted_columns():
        address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
        assert admin_client.get(address, {f"{column}{lookup}": "g"}).status_code == 400
        assert admin_client.get(address).status_code == 200
