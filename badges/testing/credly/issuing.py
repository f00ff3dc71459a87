"""
Reading the body of an issue call: which fields there must be, and what each may hold.

Stricter than Credly where Credly's documentation is silent and our client has no reason to be lax: times carry an
offset, unknown locales are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from badges.testing.standin import Refused

REQUIRED = ("recipient_email", "issued_to_first_name", "issued_to_last_name", "badge_template_id", "issued_at")
LOCALES = ("en", "fr", "de", "ko", "ja", "zh-CN", "pt", "es-ES", "es-US", "fr-CA", "pt-BR")
_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def checked(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields with ``issued_at`` read as a time, or refuse with every error found."""
    errors = [(name, "can't be blank") for name in REQUIRED if body.get(name) in (None, "")]
    blank = {name for name, _ in errors}
    errors += [(name, "must be text") for name in REQUIRED if name not in blank and not isinstance(body[name], str)]
    if not errors:
        errors = [(name, "can't be blank") for name in REQUIRED if not body[name].strip()] or _details(body)
    if errors:
        raise Refused(422, "Validation failed", errors)
    return {**body, "issued_at": _time(body["issued_at"])}


def _details(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    errors = []
    if not _ADDRESS.fullmatch(body["recipient_email"]):
        errors.append(("recipient_email", "is invalid"))
    if _time(body["issued_at"]) is None:
        errors.append(("issued_at", "must be a time with an offset"))
    if body.get("issuer_earner_id") is not None and not isinstance(body["issuer_earner_id"], str):
        errors.append(("issuer_earner_id", "must be text"))
    if body.get("locale") is not None and body["locale"] not in LOCALES:
        errors.append(("locale", "is not included in the list"))
    if body.get("suppress_badge_notification_email") not in (None, True, False):
        errors.append(("suppress_badge_notification_email", "must be true or false"))
    expires = body.get("expires_at")
    if expires not in (None, False) and (not isinstance(expires, str) or _time(expires) is None):
        errors.append(("expires_at", "must be a time with an offset, false or null"))
    if body.get("evidence") is not None and not isinstance(body["evidence"], list):
        errors.append(("evidence", "must be a list"))
    return errors


def _time(text: str) -> datetime | None:
    """Read RFC 3339, or the form of Credly's examples: ``2014-04-01 09:41:00 -0500``."""
    for read in (datetime.fromisoformat, lambda given: datetime.strptime(given, "%Y-%m-%d %H:%M:%S %z")):
        try:
            time = read(text)
        except ValueError:
            continue
        if time.tzinfo is not None:
            return time
    return None
