"""Revoking: mark credentials as revoked, and write what has to happen outside. Blocks are lifted here too."""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction

from badges.awarding.models import CredentialStatus, UserCredential, held
from badges.catalog.causes import Cause
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.messages import messages_of_revocation
from badges.inserts import insert
from badges.issuers import registry
from badges.outbox import mailbox

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NewRevocation:
    """
    A badge that a learner is to lose, with the cause and the revision of the template at this time.

    ``public_reason`` is shown to the learner and on the public page, and is sent to providers. ``block``: the learner
    does not get the badge again until staff lift the block. With ``credential_id`` only this credential is revoked, and
    not one that the learner has got since.
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

    Who does not hold the badge, or not by the given credential, is left out; so is a badge that is at its end. Must run
    in a transaction that has locked the rows of the learners. Three statements and one for each provider, however many
    revocations there are.
    """
    if not new:
        return []
    wanted = {learner_template_id(each.learner_id, each.template_id): each for each in new}
    active = UserCredential.objects.filter(held(now), learner_template_id__in=list(wanted)).order_by()
    credentials = [each for each in active if wanted[each.learner_template_id].credential_id in (None, each.pk)]
    if not credentials:
        return []
    for credential in credentials:
        mark_revoked(credential, wanted[credential.learner_template_id], now)
    credentials.sort(key=lambda credential: credential.learner_template_id)
    insert(credentials, unique="id", update=REVOCATION_COLUMNS)
    providers_of = registry.revocable([credential.pk for credential in credentials])
    messages = [
        message
        for credential in credentials
        for message in messages_of_revocation(credential, providers_of.get(credential.pk, ()))
    ]
    mailbox.post(messages, now=now)
    transaction.on_commit(lambda: log_revocations(credentials))
    return credentials


def lift_blocks(
    learner_template_id: uuid.UUID,
    *,
    credential_id: uuid.UUID | None,
    person_id: object,
    reason: str,
    now: dt.datetime,
) -> int:
    """
    Lift the blocks of a learner on a template, or only that of one credential; return how many there were.

    One statement. ``person_id`` is the account of who lifts them, or None.
    """
    blocked = UserCredential.objects.filter(learner_template_id=learner_template_id, blocked=True)
    if credential_id is not None:
        blocked = blocked.filter(pk=credential_id)
    return blocked.update(blocked=False, block_lifted_at=now, block_lifted_person=person_id, block_lifted_reason=reason)


def lift_blocks_of(credential_ids: Collection[uuid.UUID], *, person_id: object, reason: str, now: dt.datetime) -> int:
    """Lift the blocks of these credentials; return how many there were. One statement, as ``lift_blocks``."""
    blocked = UserCredential.objects.filter(pk__in=credential_ids, blocked=True)
    return blocked.update(blocked=False, block_lifted_at=now, block_lifted_person=person_id, block_lifted_reason=reason)


def mark_revoked(credential: UserCredential, revocation: NewRevocation, now: dt.datetime) -> None:
    """Change a credential to a revoked one, in memory."""
    credential.status = CredentialStatus.REVOKED
    credential.active_key = None
    credential.revoked_at = now
    credential.public_reason = revocation.public_reason
    credential.internal_reason = revocation.internal_reason
    credential.blocked = revocation.block
    credential.revocation_revision_id = revocation.revision_id
    for name, value in revocation.cause.fields("revocation").items():
        if name != "revocation_reason":  # a revocation has two reasons, with columns of their own
            setattr(credential, name, value)


REVOCATION_COLUMNS = (
    "status",
    "active_key",
    "revoked_at",
    "public_reason",
    "internal_reason",
    "blocked",
    "revocation_kind",
    "revocation_event_source",
    "revocation_event_id",
    "revocation_event_type",
    "revocation_event_time",
    "revocation_person",
    "revocation_revision",
)


def log_revocations(credentials: Sequence[UserCredential]) -> None:
    """Log revocations that are committed."""
    for credential in credentials:
        log.info(
            "Revoked credential %s of learner %s by %s",
            credential.pk,
            credential.learner_id,
            credential.revocation_kind,
        )
