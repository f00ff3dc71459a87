"""
The outbox messages of awards, revocations and ends.

The channel is the destination: the slug of a provider, ``announce``, ``cloud-events`` where the host publishes those,
or ``mail`` where it tells learners of their badges. The key of a provider's messages is learner and template. So
issuing, revoking and issuing again stay in order, and a badge that waits delays no other badge. Announcements,
published events and mails are in order for each learner.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from uuid import UUID

from badges import mail
from badges.announcements import cloud_events
from badges.awarding.models import UserCredential
from badges.outbox.mailbox import NewMessage


def messages_of_award(
    credential: UserCredential, providers: Iterable[str], *, is_new: bool = True
) -> Iterator[NewMessage]:
    """
    Yield the messages of an award: announce it, publish it, issue the badge at every provider, tell the learner.

    The learner is not told of a badge that is not new, but given back.
    """
    yield from _messages(credential, "badge.awarded", cloud_events.ASSIGNED, providers, "issue")
    if is_new and mail.tells_of_awards():
        yield mail.message_about(mail.AWARD, learner_id=credential.learner_id, credential_id=credential.pk)


def messages_of_revocation(credential: UserCredential, providers: Iterable[str]) -> Iterator[NewMessage]:
    """Yield the messages of a revocation: announce it, publish it, and revoke the badge at every provider."""
    return _messages(credential, "badge.revoked", cloud_events.REMOVED, providers, "revoke")


def messages_of_end(learner_id: int, credential_id: UUID) -> Iterator[NewMessage]:
    """
    Yield the messages of a credential that has expired: publish that the learner does not hold the badge any more.

    It is not announced as revoked, because nobody revoked it, and the providers know its end. A credential that was
    replaced has no message: the learner goes on holding the badge.
    """
    if cloud_events.is_published(cloud_events.REMOVED):
        payload = {"credential": str(credential_id)}
        yield NewMessage(cloud_events.CHANNEL, str(learner_id), cloud_events.REMOVED, payload)


def _messages(
    credential: UserCredential, announcement: str, event_type: str, providers: Iterable[str], what: str
) -> Iterator[NewMessage]:
    payload = {"credential": str(credential.pk)}
    yield NewMessage(channel="announce", key=str(credential.learner_id), type=announcement, payload=payload)
    if cloud_events.is_published(event_type):
        yield NewMessage(cloud_events.CHANNEL, key=str(credential.learner_id), type=event_type, payload=payload)
    for provider in providers:
        yield NewMessage(channel=provider, key=str(credential.learner_template_id), type=what, payload=payload)
