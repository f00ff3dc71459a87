"""
Reading the body of an issue or an update call: which fields there must be, and what each may hold.

Stricter than Accredible where its documentation is silent and our client has no reason to be lax: days are written with
the year first, an address has to look like one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

from badges.testing.standin import Refused

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]+")


def described(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the body says of a credential, or refuse."""
    credential = body.get("credential")
    if not isinstance(credential, dict):
        raise Refused(400, "param is missing or the value is empty: credential")
    return credential


def checked(credential: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields to issue a credential with, or refuse with every error found."""
    recipient = credential.get("recipient")
    if not isinstance(recipient, dict):
        raise Refused(422, "Can not create credential without recipient data")
    errors = [(f"recipient.{name}", "can't be blank") for name in ("name", "email") if _is_blank(recipient.get(name))]
    if errors:
        raise Refused(422, "The credential is not valid", errors)
    return {"complete": True, "approve": True, **changes(credential)}


def changes(credential: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields that a body changes, by the names of the record, or refuse with every error found."""
    recipient = credential.get("recipient") if isinstance(credential.get("recipient"), dict) else {}
    assert isinstance(recipient, dict)
    errors = []
    if "email" in recipient and not _ADDRESS.fullmatch(str(recipient["email"])):
        errors.append(("recipient.email", "is invalid"))
    for name in ("issued_on", "expired_on"):
        value = credential.get(name)
        if value is not None and not _is_day(value):
            errors.append((name, "is not a day"))
    flags = [name for name in ("complete", "approve") if credential.get(name) not in (None, True, False)]
    errors += [(name, "must be true or false") for name in flags]
    meta_data = credential.get("meta_data")
    if meta_data is not None and not _is_plain(meta_data):
        errors.append(("meta_data", "must hold texts by name"))
    if errors:
        raise Refused(422, "The credential is not valid", errors)
    given = {f"recipient_{name}": recipient[name] for name in ("name", "email", "id") if name in recipient}
    names = ("name", "issued_on", "expired_on", "complete", "approve", "meta_data")
    return {**given, **{name: credential[name] for name in names if name in credential}}


def _is_blank(value: Any) -> bool:
    return not isinstance(value, str) or not value.strip()


def _is_day(value: Any) -> bool:
    try:
        return bool(date.fromisoformat(value)) and len(value) == 10
    except (TypeError, ValueError):
        return False


def _is_plain(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())
