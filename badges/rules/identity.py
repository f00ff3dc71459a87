"""What makes an event this event and no other: its source and its id together."""

from __future__ import annotations

import hashlib
import uuid

# The bits that say "version 8 of RFC 9562", a UUID whose content is up to its maker, and the bits to be cleared first.
_CLEARED = ~((0xF000 << 64) | (0xC000 << 48))
_VERSION_8 = (0x8000 << 64) | (0x8000 << 48)


def event_digest(source: str, id: str) -> uuid.UUID:
    """
    Return a digest of an event's source and id: equal for the same event, different for any other.

    Both together identify an event (CloudEvents 1.0, "source" and "id"). The digest is 122 bits of SHA-256, in the form
    of a UUID, so that it is short and every database has a type for it. The length of the source is part of what is
    hashed: ``("a", "bc")`` and ``("ab", "c")`` differ.
    """
    hashed = hashlib.sha256(f"{len(source)}:{source}{id}".encode(errors="surrogatepass")).digest()
    return uuid.UUID(int=int.from_bytes(hashed[:16], "big") & _CLEARED | _VERSION_8)
