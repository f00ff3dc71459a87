"""
Who was retired: keyed hashes of LMS user ids and of accounts, so that a late event does not bring a person back.

The hash of an account is for events that hold only a username, while the host keeps the account of a retired person.
``keyed_hashes`` tells which keys they are made with.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from badges.inserts import insert
from badges.intake.keyed_hashes import keyed_hash, keyed_hashes
from badges.intake.models import RetiredPerson


def remember(lms_user_id: int, *, now: dt.datetime) -> None:
    """Store the hash of an LMS user id, unless it is there; one statement."""
    _remember(str(lms_user_id), now)


def remember_account(user_id: Any, *, now: dt.datetime) -> None:
    """Store the hash of an account of the host, unless it is there; one statement. ``user_id``: its primary key."""
    _remember(_account_text(user_id), now)


def digests_of(lms_user_ids: Iterable[int]) -> dict[str, int]:
    """Return the hashes of LMS user ids, made with every key, with the ids that they belong to."""
    return keyed_hashes(lms_user_ids)


def account_digests(user_ids: Iterable[Any]) -> dict[str, Any]:
    """Return the hashes of accounts, made with every key, with the primary keys that they belong to."""
    return keyed_hashes(user_ids, _account_text)


def among(digests: Mapping[str, Any]) -> set[Any]:
    """Return which of these were retired, given by hash; one statement."""
    found = RetiredPerson.objects.filter(digest__in=digests).values_list("digest", flat=True)
    return {digests[digest] for digest in found} if digests else set()


def _remember(text: str, now: dt.datetime) -> None:
    insert([RetiredPerson(digest=keyed_hash(text), retired_at=now)], unique="digest")


def _account_text(user_id: Any) -> str:
    return f"account {user_id}"
