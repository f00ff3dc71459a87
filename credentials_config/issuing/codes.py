"""
Verification codes: short enough to type, too many to guess.

A code has sixteen characters out of thirty-two, which are 80 bits. The characters are digits and capital letters
without I, L, O and U, so that none is mistaken for another on paper. A typed O, I or L is read as 0 or 1.
"""

from __future__ import annotations

import secrets
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16

_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """Return a new random code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normalized(typed: str) -> str | None:
    """
    Return the code that somebody meant by what they typed; None when it cannot be a code.

    Dashes, spaces and other punctuation are ignored. Full-width characters, such as of a Japanese keyboard, are read.
    """
    characters = (char for char in unicodedata.normalize("NFKC", typed).upper() if char.isalnum())
    code = "".join(characters).translate(_READ_AS)
    return code if len(code) == LENGTH and all(char in ALPHABET for char in code) else None
