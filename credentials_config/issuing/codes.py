"""
Verification codes: short enough to type, too many to guess.

Sixteen of thirty-two signs are 80 bits. The signs are digits and capital letters without I, L, O and U, so nothing on
paper can be mistaken for something else; whoever types an O or an l is understood all the same.
"""

from __future__ import annotations

import secrets
import unicodedata

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
LENGTH = 16

_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})


def new_code() -> str:
    """Return a code that nobody has."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def normal(typed: str) -> str | None:
    """
    Return the code that was meant; None when it cannot be one, so that no table need be asked.

    Whatever stands between the signs, dashes and spaces of all kinds, does not count; wide letters (of a Japanese
    keyboard, say) do.
    """
    signs = (sign for sign in unicodedata.normalize("NFKC", typed).upper() if sign.isalnum())
    code = "".join(signs).translate(_READ_AS)
    return code if len(code) == LENGTH and all(sign in ALPHABET for sign in code) else None
