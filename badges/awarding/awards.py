"""
Awarding: which credentials learners have, whether they may get another one, new rows, and revoked rows.

One statement reads for a whole batch, and one writes. Issuing and announcing are done later, by outbox messages that
``badges.granting`` writes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from uuid6 import uuid7

from badges.awarding.models import ACTIVE, CredentialStatus, UserCredential
from badges.catalog.causes import Cause, CauseKind
from badges.inserts import insert


@dataclass
class Holding:
    """
    What a learner has of one template.

    ``active``: the badge is held. ``blocked``: a person revoked it, and the block is not lifted. ``lost``: an event
    revoked it, now or before.
    """

    active: bool = False
    blocked: bool = False
    lost: bool = False


def holdings(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Holding]:
    """Return the holding for every learner_template_id, also for one without credentials; one statement."""
    found = {learner_template_id: Holding() for learner_template_id in learner_template_ids}
    rows = (
        UserCredential.objects.filter(learner_template_id__in=list(found))
        .order_by()
        .values_list("learner_template_id", "status", "blocked", "revocation_kind")
    )
    for learner_template_id, status, blocked, revocation_kind in rows:
        holding = found[learner_template_id]
        holding.active |= status == CredentialStatus.AWARDED
        holding.blocked |= blocked
        holding.lost |= revocation_kind == CauseKind.EVENT
    return found


def may_award(holding: Holding, *, award_once: bool) -> bool:
    """
    Return whether a learner may get a badge.

    Nobody holds a badge twice, or gets one again while a block stands. With ``award_once``, a learner who lost the
    badge to an event does not get it again.
    """
    return not (holding.active or holding.blocked or (award_once and holding.lost))


def credential_of(
    *,
    learner_template_id: uuid.UUID,
    learner_id: int,
    template_id: int,
    revision_id: int,
    cause: Cause,
    now: dt.datetime,
) -> UserCredential:
    """Return the unsaved credential of an award."""
    return UserCredential(
        id=uuid7(),
        learner_template_id=learner_template_id,
        learner_id=learner_id,
        template_id=template_id,
        revision_id=revision_id,
        status=CredentialStatus.AWARDED,
        active_key=ACTIVE,
        awarded_at=now,
        **cause.fields(),
    )


def store(credentials: Sequence[UserCredential]) -> None:
    """Write credentials; one statement. Raises IntegrityError for a second active one of a learner and a template."""
    insert(sorted(credentials, key=lambda credential: credential.learner_template_id))


def load_active(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, UserCredential]:
    """Return the active credential for each learner_template_id that has one; one statement."""
    rows = UserCredential.objects.filter(learner_template_id__in=list(learner_template_ids), active_key=ACTIVE)
    return {credential.learner_template_id: credential for credential in rows.order_by()}


def mark_revoked(
    credential: UserCredential,
    *,
    cause: Cause,
    revision_id: int,
    public_reason: str,
    internal_reason: str,
    block: bool,
    now: dt.datetime,
) -> None:
    """Change a credential to a revoked one, in memory. ``store_revoked`` writes it."""
    credential.status = CredentialStatus.REVOKED
    credential.active_key = None
    credential.revoked_at = now
    credential.public_reason = public_reason
    credential.internal_reason = internal_reason
    credential.blocked = block
    credential.revocation_revision_id = revision_id
    for name, value in cause.fields("revocation").items():
        if name != "revocation_reason":  # a revocation has two reasons, with columns of their own
            setattr(credential, name, value)


def store_revoked(credentials: Sequence[UserCredential]) -> None:
    """Write what ``mark_revoked`` changed; one statement."""
    ordered = sorted(credentials, key=lambda credential: credential.learner_template_id)
    insert(ordered, unique="id", update=_REVOCATION)


_REVOCATION = (
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
