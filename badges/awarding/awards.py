"""
Awarding: which credentials learners have, whether they may get another one, and the new rows.

One statement reads for a whole batch, and one writes. Issuing and announcing are done later, by outbox messages that
the pipeline writes.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

from uuid6 import uuid7

from badges.awarding.models import ACTIVE, CredentialStatus, UserCredential
from badges.catalog.causes import Cause
from badges.inserts import insert


def credential_statuses(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, set[str]]:
    """Return the statuses of the credentials for each learner_template_id that has any; one statement."""
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
    """
    Return whether a learner may get a badge.

    ``statuses`` are those of the learner's credentials of this template. Nobody holds a badge twice. With
    ``award_once``, a learner whose credential was revoked does not get it again.
    """
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
    """Write credentials; one statement. Raises IntegrityError for a second active one of a learner and a template."""
    insert(sorted(credentials, key=lambda credential: credential.learner_template_id))
