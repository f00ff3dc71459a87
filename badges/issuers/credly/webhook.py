"""
Credly's webhooks: ``{id, organization_id, event_type, occurred_at}``, documented without a signature.

Only the id of the event is used, and only if it is a UUID: it becomes part of an address. What has happened is read
from Credly's own description of that event.
"""

from __future__ import annotations

import uuid
from typing import Any

from badges.issuers.base import Notification, Webhook, WebhookRefused, WebhookRequest
from badges.issuers.credly.conf import config


class CredlyWebhook(Webhook):
    """Reads Credly's webhooks."""

    def read(self, request: WebhookRequest) -> Notification:
        """Return the event that a request names."""
        body = request.json_object()
        event = _uuid(body.get("id"))
        if event is None:
            raise WebhookRefused("id: this is not the UUID of an event")
        named = body.get("organization_id")
        if named is not None and str(_uuid(named)) != request.organization:
            raise WebhookRefused("organization_id: this is not the organization of this address")
        return Notification(str(event), {"event": str(event)})

    def organization_in(self, request: WebhookRequest) -> str | None:
        """Return the organization that the body names; None unless ``webhook_without_secret`` is switched on."""
        if config.webhook_without_secret is not True:
            return None
        organization = _uuid(request.json_object().get("organization_id"))
        if organization is None:
            raise WebhookRefused("organization_id: this is not the UUID of an organization")
        return str(organization)


def _uuid(value: Any) -> uuid.UUID | None:
    """Read a UUID in its usual spelling, and no other text that Python takes for one."""
    try:
        found = uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is not None and str(found) == value.lower() else None
