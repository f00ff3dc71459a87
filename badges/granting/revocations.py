"""Revoking: mark credentials as revoked, and write what has to happen outside."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from badges.awarding import awards
from badges.awarding.models import UserCredential
from badges.catalog.causes import Cause
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.messages import messages_of_revocation
from badges.issuers import registry
from badges.outbox import mailbox

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewRevocation:
    """
    A badge that a learner is to lose, with the cause and the revision of the template at this time.

    ``public_reason`` may be shown to the learner and is sent to providers. ``block``: the learner does not get the
    badge again until staff lift the block. With ``credential_id`` only this credential is revoked, and not one that the
    learner has got since.
    """

    learner_id: int
    template_id: int
    revision_id: int
    cause: Cause
    public_reason: str = ""
    internal_reason: str = ""
    block: bool = False
    credential_id: uuid.UUID | None = None


def revoke(new: Sequence[NewRevocation], *, now: dt.datetime) -> list[UserCredential]:
    """
    Revoke the active credentials of learners and write the outbox messages; return the credentials.

    Who does not hold the badge, or not by the given credential, is left out. Must run in a transaction that has locked
    the rows of the learners. Three statements and one for each provider, however many revocations there are.
    """
    if not new:
        return []
    wanted = {learner_template_id(each.learner_id, each.template_id): each for each in new}
    active = awards.load_active(wanted).values()
    credentials = [each for each in active if wanted[each.learner_template_id].credential_id in (None, each.pk)]
    if not credentials:
        return []
    for credential in credentials:
        each = wanted[credential.learner_template_id]
        awards.mark_revoked(
            credential,
            cause=each.cause,
            revision_id=each.revision_id,
            public_reason=each.public_reason,
            internal_reason=each.internal_reason,
            block=each.block,
            now=now,
        )
    awards.store_revoked(credentials)
    providers_of = registry.revocable([credential.pk for credential in credentials])
    messages = [
        message
        for credential in credentials
        for message in messages_of_revocation(credential, providers_of.get(credential.pk, ()))
    ]
    mailbox.post(messages, now=now)
    transaction.on_commit(lambda: _log(credentials))
    return credentials


def _log(credentials: Sequence[UserCredential]) -> None:
    for credential in credentials:
        log.info(
            "Revoked credential %s of learner %s by %s",
            credential.pk,
            credential.learner_id,
            credential.revocation_kind,
        )
