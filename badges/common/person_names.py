"""Names of people as others can read them."""

from __future__ import annotations

import unicodedata
from typing import Any

# What Unicode counts among letters and signs, and every font draws as nothing (Default_Ignorable_Code_Point of UAX #44
# outside of the categories C and M, and the empty Braille pattern).
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_UNSEEN_CATEGORIES = ("Cc", "Cf", "Cn", "Cs", "Mc", "Me", "Mn", "Zl", "Zp", "Zs")


def readable_name(name: str | None) -> str:
    """
    Return the words of a name that somebody can read, with one space between them; empty when there is none.

    A word of invisible signs alone, of spaces of any kind or of combining marks without a letter is no word of a name.
    """
    return " ".join(word for word in (name or "").split() if any(map(_is_seen, word)))


def full_name_of(user: Any) -> str:
    """Return the full name of an account of the host; empty when there is none, or nobody could read it."""
    return readable_name(str(user.get_full_name()))


def name_of(user: Any) -> str:
    """Return the full name of an account of the host, or its username when it has no name."""
    return full_name_of(user) or str(user.get_username())


def _is_seen(sign: str) -> bool:
    return sign not in _BLANK and unicodedata.category(sign) not in _UNSEEN_CATEGORIES
