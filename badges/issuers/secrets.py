"""
Providers' secrets at rest: encrypted with keys of this installation, newest key first.

The keys are ``LMS_BADGES_CONFIG["secret_keys"]``; after them come keys derived from Django's ``SECRET_KEY`` and its
fallbacks, so that secrets stored before any key was set can still be read. To rotate, put a new key first, run
``badges_reencrypt``, then drop the old ones.
"""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from badges.conf import config
from badges.exceptions import Permanent


def encrypt(secret: str) -> str:
    """Return the secret encrypted with the newest key."""
    return _box().encrypt(secret.encode()).decode("ascii")


def decrypt(stored: str) -> str:
    """Return the secret, whichever of the keys it was encrypted with; Permanent when it was none of them."""
    try:
        return _box().decrypt(stored.encode()).decode()
    except (InvalidToken, UnicodeError):
        raise Permanent(_UNREADABLE) from None


def reencrypted(stored: str) -> str:
    """Return the same secret encrypted with the newest key."""
    return encrypt(decrypt(stored))


_UNREADABLE = (
    "A stored secret cannot be read with any key of this installation. "
    "Put the old key back into LMS_BADGES_CONFIG['secret_keys'] (or SECRET_KEY_FALLBACKS), or enter the secret again."
)


def _box() -> MultiFernet:
    texts = [*config.secret_keys, settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key(text)) for text in texts])


def _key(text: str) -> bytes:
    """Any text is a key: what Fernet needs is derived from it, with a label so that no other use shares it."""
    kdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"lms-badges provider secrets")
    return base64.urlsafe_b64encode(kdf.derive(text.encode()))
