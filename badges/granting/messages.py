"""
The outbox messages of awards and revocations.

The channel is the destination: the slug of a provider, or ``announce``. The key of a provider's messages is learner and
template. So issuing, revoking and issuing again stay in order, and a badge that waits delays no other badge.
Announcements are in order for each learner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from badges.awarding.models import UserCredential
from badges.outbox.mailbox import NewMessage


def messages_of_award(credential: UserCredential, providers: Iterable[str]) -> Iterator[NewMessage]:
    """Yield the messages of an award: announce it, and issue the badge at every provider."""
    return _messages(credential, "badge.awarded", providers, "issue")


def messages_of_revocation(credential: UserCredential, providers: Iterable[str]) -> Iterator[NewMessage]:
    """Yield the messages of a revocation: announce it, and revoke the badge at every provider."""
    return _messages(credential, "badge.revoked", providers, "revoke")


def _messages(
    credential: UserCredential, announcement: str, providers: Iterable[str], what: str
) -> Iterator[NewMessage]:
    payload = {"credential": str(credential.pk)}
    yield NewMessage(channel="announce", key=str(credential.learner_id), type=announcement, payload=payload)
    for provider in providers:
        yield NewMessage(channel=provider, key=str(credential.learner_template_id), type=what, payload=payload)
