"""
Awarding: who holds a badge already, who may get it, and the rows that say so.

One statement reads what a batch needs to know, one writes what it decided. Issuing and announcing follow from the
outbox; nothing here talks to anybody.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

from uuid6 import uuid7

from badges.awarding.models import ACTIVE, CredentialStatus, UserCredential
from badges.catalog.causes import Cause
from badges.inserts import insert


def holdings(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, set[str]]:
    """Return, for each learner_template_id that has any credential, the statuses of its credentials; one statement."""
    found: dict[uuid.UUID, set[str]] = {}
    rows = (
        UserCredential.objects.filter(learner_template_id__in=list(learner_template_ids))
        .order_by()
        .values_list("learner_template_id", "status")
    )
    for learner_template_id, status in rows:
        found.setdefault(learner_template_id, set()).add(status)
    return found


def may_award(statuses: set[str], *, award_once: bool) -> bool:
    """Whether a learner with credentials of these statuses may get the badge: nobody holds it twice."""
    if CredentialStatus.AWARDED in statuses:
        return False
    return not (award_once and statuses)


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
    """Write credentials; one statement. The database refuses a second active one per learner and template."""
    insert(sorted(credentials, key=lambda credential: credential.learner_template_id))
