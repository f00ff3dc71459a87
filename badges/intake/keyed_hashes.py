"""
Keyed hashes of what identifies a person: a row can be found by them, and they tell nothing without the keys.

The keys are ``LMS_BADGES_CONFIG["retirement"]["keys"]``; after them come Django's ``SECRET_KEY`` and its fallbacks. New
hashes are made with the first key, and found with all of them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from typing import TypeVar

from django.conf import settings

from badges.conf import config

T = TypeVar("T")

_SALT = b"badges.intake.retired"  # hashes that are stored were made with it


def keyed_hash(text: str) -> str:
    """Return the hash (64 hexadecimal digits) of a text that is to be stored."""
    return _hash(_keys()[0], text)


def keyed_hashes(values: Iterable[T], text_of: Callable[[T], str] = str) -> dict[str, T]:
    """Return the hashes by which values are found, one for each key, with the values that they belong to."""
    keys = _keys()
    return {_hash(key, text_of(value)): value for value in values for key in keys}


def _hash(key: bytes, text: str) -> str:
    return hmac.digest(key, text.encode(), "sha256").hex()


def _keys() -> list[bytes]:
    texts = [*config.retirement["keys"], settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return [hashlib.sha256(_SALT + str(text).encode()).digest() for text in dict.fromkeys(texts)]
