"""
Who was retired: keyed hashes of LMS user ids, so that a late event does not bring a person back.

The keys are ``LMS_BADGES_CONFIG["retirement"]["keys"]``; after them come Django's ``SECRET_KEY`` and its fallbacks. New
hashes are made with the first key, and found with all of them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Iterable

from django.conf import settings

from badges.conf import config
from badges.inserts import insert
from badges.intake.models import RetiredPerson

_SALT = b"badges.intake.retired"


def remember(lms_user_id: int, *, now: dt.datetime) -> None:
    """Store the hash of an LMS user id, unless it is there; one statement."""
    digest = _digest(_keys()[0], lms_user_id)
    insert([RetiredPerson(digest=digest, retired_at=now)], unique="digest")


def digests_of(lms_user_ids: Iterable[int]) -> dict[str, int]:
    """Return the hashes of LMS user ids, made with every key, with the ids that they belong to."""
    keys = _keys()
    return {_digest(key, lms_user_id): lms_user_id for lms_user_id in lms_user_ids for key in keys}


def _digest(key: bytes, lms_user_id: int) -> str:
    return hmac.digest(key, str(lms_user_id).encode(), "sha256").hex()


def _keys() -> list[bytes]:
    texts = [*config.retirement["keys"], settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hashlib.sha256(_SALT + str(text).encode()).digest() for text in dict.fromkeys(texts)]
