"""
Who was retired: keyed hashes of LMS user ids and of accounts, so that a late event does not bring a person back.

The hash of an account is for events that hold only a username, while the host keeps the account of a retired person.

The keys are ``LMS_BADGES_CONFIG["retirement"]["keys"]``; after them come Django's ``SECRET_KEY`` and its fallbacks. New
hashes are made with the first key, and found with all of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings

from badges.conf import config
from badges.inserts import insert
from badges.intake.models import RetiredPerson

_SALT = b"badges.intake.retired"


def remember(lms_user_id: int, *, now: dt.datetime) -> None:
    """Store the hash of an LMS user id, unless it is there; one statement."""
    _remember(str(lms_user_id), now)


def remember_account(user_id: Any, *, now: dt.datetime) -> None:
    """Store the hash of an account of the host, unless it is there; one statement. ``user_id``: its primary key."""
    _remember(_account_text(user_id), now)


def digests_of(lms_user_ids: Iterable[int]) -> dict[str, int]:
    """Return the hashes of LMS user ids, made with every key, with the ids that they belong to."""
    keys = _keys()
    return {_digest(key, str(lms_user_id)): lms_user_id for lms_user_id in lms_user_ids for key in keys}


def account_digests(user_ids: Iterable[Any]) -> dict[str, Any]:
    """Return the hashes of accounts, made with every key, with the primary keys that they belong to."""
    keys = _keys()
    return {_digest(key, _account_text(user_id)): user_id for user_id in user_ids for key in keys}


def among(digests: Mapping[str, Any]) -> set[Any]:
    """Return which of these were retired, given by hash; one statement."""
    found = RetiredPerson.objects.filter(digest__in=digests).values_list("digest", flat=True)
    return {digests[digest] for digest in found} if digests else set()


def _remember(text: str, now: dt.datetime) -> None:
    insert([RetiredPerson(digest=_digest(_keys()[0], text), retired_at=now)], unique="digest")


def _account_text(user_id: Any) -> str:
    return f"account {user_id}"


def _digest(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _keys() -> list[bytes]:
    texts = [*config.retirement["keys"], settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hashlib.sha256(_SALT + str(text).encode()).digest() for text in dict.fromkeys(texts)]
