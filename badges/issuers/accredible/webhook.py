"""
Accredible's webhooks.

Accredible's public reference does not describe them. So an id of a credential or a group is looked for in the places
where it may be, and everything else is asked for. Where a secret is configured, a request has to be signed with it
(HMAC-SHA256 of the body, in the header ``X-Accredible-Signature``).
"""

from __future__ import annotations

import base64
import hmac
import re
import uuid
from collections.abc import Iterator
from typing import Any

from badges.issuers.accredible.conf import config
from badges.issuers.accredible.models import AccredibleOrganization
from badges.issuers.base import Notification, Webhook, WebhookRefused, WebhookRequest

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NUMBER = re.compile(r"[0-9]{1,18}")
# Names under which an event has an id of its own.
_EVENT_IDS = ("event_id", "webhook_id", "delivery_id")


class AccredibleWebhook(Webhook):
    """Reads Accredible's webhooks."""

    def verify(self, request: WebhookRequest) -> None:
        """Raise WebhookRefused unless the request is signed, if its organization has a secret; one statement."""
        secret = webhook_secret(request.organization)
        if not secret:
            return
        header = str(config.webhook_signature_header)
        signature = request.headers.get(header.lower(), "").strip()
        if not is_signed(request.body, signature, secret=secret):
            raise WebhookRefused(f"{header}: the signature is missing or wrong")

    def read(self, request: WebhookRequest) -> Notification:
        """Return the credential or the group that a request names."""
        body = request.json_object()
        found = dict(_ids(body))
        if not found:
            raise WebhookRefused("the body names no credential and no group")
        name = "credential" if "credential" in found else "group"
        event = next((str(body[key]) for key in _EVENT_IDS if _is_id(body.get(key))), None)
        # Without an id of its own, a later webhook may have the same text. To ask once too often does no harm.
        return Notification(event or str(uuid.uuid4()), {name: found[name]})


def webhook_secret(organization: str) -> str:
    """
    Return the secret that signs the webhooks of an organization, of the settings or the admin; "" without one.

    Raises WebhookRefused when the settings cannot be read: nobody knows then whether there is one.
    """
    listed = config.WEBHOOK_SECRETS or {}
    if not isinstance(listed, dict):
        raise WebhookRefused("WEBHOOK_SECRETS of the settings here is wrong; the checks of the site name it")
    in_settings = listed.get(organization)
    if in_settings:
        return str(in_settings)
    row = AccredibleOrganization.objects.filter(slug=organization).first()
    return row.webhook_secret if row else ""


def is_signed(body: bytes, signature: str, *, secret: str) -> bool:
    """Return whether a signature is the HMAC-SHA256 of a body: in hexadecimal, maybe after ``sha256=``, or base64."""
    digest = hmac.digest(secret.encode(), body, "sha256")
    given = signature.removeprefix("sha256=").encode(errors="replace")
    is_hexadecimal = hmac.compare_digest(given.lower(), digest.hex().encode())
    return hmac.compare_digest(given, base64.b64encode(digest)) or is_hexadecimal


def _ids(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a body names, with its id: at the top, or inside of ``data``, ``payload`` or ``object``."""
    inside = [body.get(name) for name in ("data", "payload", "object")]
    for level in reversed([body, *(each for each in inside if isinstance(each, dict))]):
        for name, pattern in (("credential", _ID), ("group", _NUMBER)):
            described = level.get(name)
            found = described.get("id") if isinstance(described, dict) else level.get(f"{name}_id")
            if _is_id(found) and pattern.fullmatch(str(found)):
                yield name, str(found)


def _is_id(value: Any) -> bool:
    return type(value) in (int, str) and bool(_ID.fullmatch(str(value)))
