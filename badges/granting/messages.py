"""The outbox messages of awards."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from badges.awarding.models import UserCredential
from badges.outbox.mailbox import NewMessage


def messages_of_award(credential: UserCredential, providers: Iterable[str]) -> Iterator[NewMessage]:
    """Yield the messages of an award: announce it, and issue the badge at every provider."""
    key, payload = str(credential.learner_id), {"credential": str(credential.pk)}
    yield NewMessage(channel="announce", key=key, type="badge.awarded", payload=payload)
    for provider in providers:
        yield NewMessage(channel="issue", key=key, type=provider, payload={**payload, "provider": provider})
