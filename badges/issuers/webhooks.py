"""
Webhooks of providers: who may call, and what is written down.

A request is believed in nothing. Its address has a secret, its provider's ``webhook`` says what it is about, and that
much becomes an inbox row with the provider's own id, so a repeated one is a duplicate. The answer leaves then. The
handler of the row writes an outbox row, and its delivery asks the provider, with our own credentials.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from badges.conf import config
from badges.exceptions import BadgesError, EventError, Permanent
from badges.inserts import insert
from badges.intake import kinds
from badges.intake.kinds import Handled
from badges.intake.models import InboxMessage
from badges.issuers import registry
from badges.issuers.base import Issuer, Webhook, WebhookRefused, WebhookRequest
from badges.issuers.models import ProviderOrganization
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage

KIND = "webhook"

UNREADABLE = "The row does not say what the webhook is about. Nothing is lost: the daily sweep reads the events, too."


class UnknownWebhook(BadgesError):
    """There is no such address: the provider, the organization or the secret is wrong."""

    def __init__(self) -> None:
        super().__init__("There is no such webhook address. Make a new one in the admin.")


# --- organizations ---------------------------------------------------------------------------------------------------


def known_organization(provider: str, organization: str) -> tuple[Issuer, str]:
    """
    Return the issuer, and the id of an organization in its usual spelling.

    Raises Permanent, which names the remedy, when the provider or the organization is not known here.
    """
    issuer = registry.get(provider)
    identifier = issuer.organization_id(organization)
    if identifier is None or identifier not in issuer.organizations():
        raise Permanent(
            f"There is no organization {organization[:60]!r} of {provider} with credentials here. Add it in the admin "
            "or in the settings."
        )
    return issuer, identifier


def note_organizations(organizations: Iterable[tuple[str, str]], *, now: dt.datetime | None = None) -> None:
    """
    Write the rows of organizations (provider, id) that have none yet; one statement.

    What happened at the provider before that is not read: ``swept_until`` begins now.
    """
    now = now or timezone.now()
    rows = [
        ProviderOrganization(
            provider=provider, organization=organization, swept_until=now, swept_at=now, created_at=now
        )
        for provider, organization in sorted(set(organizations))
    ]
    insert(rows, unique=("provider", "organization"))


def new_secret(provider: str, organization: str, *, now: dt.datetime | None = None) -> str:
    """
    Make a new secret for the webhook address of an organization, and return it; the old one is refused from now on.

    It is not stored, only its digest. Raises Permanent when the provider or the organization is not known here, or the
    provider sends no webhooks.
    """
    now = now or timezone.now()
    issuer, identifier = known_organization(provider, organization)
    if issuer.webhook is None:
        raise Permanent(f"{provider} sends no webhooks that are understood here.")
    secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        note_organizations([(provider, identifier)], now=now)
        row = ProviderOrganization.objects.filter(provider=provider, organization=identifier)
        row.update(webhook_digest=_digest(secret), webhook_since=now)
    return secret


def new_address(provider: str, organization: str, *, host: str = "", now: dt.datetime | None = None) -> str:
    """
    Make a new secret, and return the address with it. Raises as ``new_secret`` does.

    ``host`` is what the address begins with, such as ``https://credentials.example.org``; by default it is the setting
    ``public_url``. Without both the address is a path.
    """
    secret = new_secret(provider, organization, now=now)
    _issuer_of, identifier = known_organization(provider, organization)
    path = reverse("lms_badges:webhook", args=[provider, identifier, secret])
    return f"{(host or str(config.public_url or '')).rstrip('/')}{path}"


# --- requests --------------------------------------------------------------------------------------------------------


def addressed(provider: str, organization: str, secret: str) -> tuple[Webhook, str]:
    """
    Return what reads the webhooks of an address, and its organization; at most two statements.

    Raises UnknownWebhook when anything of the address is wrong, always the same.
    """
    issuer = _issuer(provider)
    # Not every database takes NUL and half characters, and no id has them.
    identifier = issuer.organization_id(organization) if organization.isprintable() else None
    row = None
    if identifier is not None:
        row = ProviderOrganization.objects.filter(provider=provider, organization=identifier).first()
    stored = row.webhook_digest if row else ""
    if not hmac.compare_digest(_digest(secret), stored) or identifier is None or issuer.webhook is None:
        raise UnknownWebhook
    if identifier not in issuer.organizations():  # its credentials were removed
        raise UnknownWebhook
    return issuer.webhook, identifier


def organization_without_secret(provider: str, request: WebhookRequest) -> tuple[Webhook, str]:
    """
    Return what reads a webhook of the address without a secret, and the organization that its body names.

    Raises UnknownWebhook when the settings do not switch that on, and WebhookRefused for an unknown organization.
    """
    issuer = _issuer(provider)
    named = issuer.webhook.organization_in(request) if issuer.webhook else None
    if named is None or issuer.webhook is None:
        raise UnknownWebhook
    identifier = issuer.organization_id(named)
    if identifier is None or identifier not in issuer.organizations():
        raise WebhookRefused("organization_id: there is no such organization here")
    return issuer.webhook, identifier


def receive(provider: str, webhook: Webhook, request: WebhookRequest, *, now: dt.datetime | None = None) -> bool:
    """
    Write down what a request is about, once; return whether that is new. One transaction.

    ``request`` names the organization. Raises WebhookRefused when it cannot be used.
    """
    now = now or timezone.now()
    webhook.verify(request)
    notification = webhook.read(request)
    payload = {"organization": request.organization, "about": dict(notification.about)}
    try:
        return kinds.receive(
            f"{KIND}:{provider}",
            json.dumps(payload, sort_keys=True, ensure_ascii=False),
            source=f"{KIND}/{provider}/{request.organization}",
            id=notification.id,
            received_from=f"{KIND} of {provider}",
            now=now,
        )
    except EventError as error:
        raise WebhookRefused(str(error)) from error


def handle(rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled:
    """
    Write an outbox row for each webhook: its delivery asks the provider. One statement.

    The handler of the kind ``webhook`` of inbox rows.
    """
    handled, messages = Handled(), []
    for row in rows:
        provider = row.kind.partition(":")[2]
        payload = _payload(row)
        if payload is None:
            handled.dead.append((row, UNREADABLE))
            continue
        messages.append(NewMessage(channel=provider, key=f"{KIND}:{row.id}", type=registry.FETCH, payload=payload))
    mailbox.post(messages, now=now)
    return handled


def _issuer(provider: str) -> Issuer:
    try:
        return registry.get(provider)
    except Permanent:
        raise UnknownWebhook from None


def _payload(row: InboxMessage) -> Mapping[str, object] | None:
    try:
        read = json.loads(row.payload or "")
        return {"organization": str(read["organization"]), "about": dict(read["about"])}
    except (ValueError, TypeError, KeyError):
        return None


def _digest(secret: str) -> str:
    """Return the digest of a secret. It has 256 random bits, so a fast digest gives nothing away."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
