"""What makes an event this event and no other: its source and its id together."""

from __future__ import annotations

import hashlib
import uuid

# The topmost bits of the version and of the variant of a UUID. The uuid type of MariaDB refuses some values in which
# the first of them is 1. Where both are 0, it takes any digits.
_CLEARED = ~((1 << 79) | (1 << 63))


def event_digest(source: str, id: str) -> uuid.UUID:
    """
    Return a digest of an event's source and id: equal for the same event, different for any other.

    Both together identify an event (CloudEvents 1.0, "source" and "id"). The digest is 126 bits of SHA-256, in the form
    of a UUID, so that it is short and every database has a type for it. The length of the source is part of what is
    hashed: ``("a", "bc")`` and ``("ab", "c")`` differ.
    """
    hashed = hashlib.sha256(f"{len(source)}:{source}{id}".encode(errors="surrogatepass")).digest()
    return uuid.UUID(int=int.from_bytes(hashed[:16], "big") & _CLEARED)
