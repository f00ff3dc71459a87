"""
Awarding: who may have a credential, the new rows, and what has to happen outside.

One statement reads the credentials of a whole batch, and one writes them.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from django.db import transaction
from uuid6 import uuid7

from badges.awarding.models import ACTIVE, CredentialStatus, UserCredential
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.messages import messages_of_award
from badges.inserts import insert, new_row
from badges.issuers import registry
from badges.outbox import mailbox

log = logging.getLogger(__name__)

# The causes of awards that no person and no other code has decided.
_WITHOUT_A_DECISION = (CauseKind.EVENT, CauseKind.TIME, CauseKind.CONDITION)


class GrantedTemplate(Protocol):
    """
    What granting has to know about a template. The compiled templates of the catalog have it.

    ``revision_id`` is the revision that the credential cites. ``issuers`` are (provider, organization, its template).
    """

    @property
    def id(self) -> int: ...
    @property
    def slug(self) -> str: ...
    @property
    def revision_id(self) -> int: ...
    @property
    def award_once(self) -> bool: ...
    @property
    def issuers(self) -> Sequence[tuple[str, str, str]]: ...


@dataclass(frozen=True, slots=True)
class NewAward:
    """A badge that a learner is to get, and the cause."""

    learner_id: int
    template: GrantedTemplate
    cause: Cause


def award(new: Sequence[NewAward], *, now: dt.datetime) -> list[UserCredential]:
    """
    Write a credential for every learner who may have one, and its outbox messages; return the credentials.

    Who holds the badge already is left out, and who is blocked. A template that is awarded once is not awarded to
    those who lost it to an event, unless a person or other code decides it.

    Must run in a transaction that has locked the rows of the learners. Three statements and one for each provider,
    however many awards there are. ``now`` becomes the time of the award. Raises IntegrityError when a learner got the
    badge meanwhile without that lock.
    """
    if not new:
        return []
    template_of = {learner_template_id(each.learner_id, each.template.id): each.template for each in new}
    holdings = _holdings(template_of)
    credentials = [
        credential_of(each, now)
        for each in new
        if may_award(holdings[learner_template_id(each.learner_id, each.template.id)], each)
    ]
    if not credentials:
        return []
    issuers_of = [(credential, template_of[credential.learner_template_id].issuers) for credential in credentials]
    insert(sorted(credentials, key=lambda credential: credential.learner_template_id))
    registry.prepare((credential, issuer) for credential, issuers in issuers_of for issuer in issuers)
    mailbox.post(
        [
            message
            for credential, issuers in issuers_of
            for message in messages_of_award(credential, [provider for provider, *_ in issuers])
        ],
        now=now,
    )
    transaction.on_commit(
        lambda: log_awards([(each, template_of[each.learner_template_id].slug) for each in credentials])
    )
    return credentials


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

    def note(self, status: str, *, blocked: bool, revocation_kind: str | None) -> None:
        """Take a credential into account."""
        self.active |= status == CredentialStatus.AWARDED
        self.blocked |= blocked
        self.lost |= revocation_kind == CauseKind.EVENT


def _holdings(learner_template_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Holding]:
    """Return what learners have, for every learner_template_id, also for one without credentials; one statement."""
    found = {key: Holding() for key in learner_template_ids}
    rows = (
        UserCredential.objects.filter(learner_template_id__in=list(found))
        .order_by()
        .values_list("learner_template_id", "status", "blocked", "revocation_kind")
    )
    for key, status, blocked, revocation_kind in rows:
        found[key].note(status, blocked=blocked, revocation_kind=revocation_kind)
    return found


def may_award(holding: Holding, new: NewAward) -> bool:
    """
    Return whether a learner may get a badge.

    Nobody holds a badge twice, or gets one again while a block stands. A template that is awarded once is not awarded
    again to who lost the badge to an event, unless a person or other code decides it.
    """
    award_once = new.template.award_once and new.cause.kind in _WITHOUT_A_DECISION
    return not (holding.active or holding.blocked or (award_once and holding.lost))


def credential_of(new: NewAward, now: dt.datetime) -> UserCredential:
    """Return the unsaved credential of an award."""
    return new_row(
        UserCredential,
        id=uuid7(),
        learner_template_id=learner_template_id(new.learner_id, new.template.id),
        learner_id=new.learner_id,
        template_id=new.template.id,
        revision_id=new.template.revision_id,
        status=CredentialStatus.AWARDED,
        active_key=ACTIVE,
        awarded_at=now,
        **new.cause.fields(),
    )


def log_awards(awarded: Sequence[tuple[UserCredential, str]]) -> None:
    """Log awards that are committed, each given with the slug of its template."""
    for credential, slug in awarded:
        # The id of an activity is what a client has sent, so it is not logged.
        is_event = credential.cause_kind == CauseKind.EVENT
        cause = f"event {credential.cause_event_id}" if is_event else credential.cause_kind
        log.info("Awarded %s to learner %s by %s", slug, credential.learner_id, cause)
