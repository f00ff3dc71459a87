"""
Awarding: who may have a credential, the new rows, and what has to happen outside.

One statement reads the credentials of a whole batch, and one writes them. A badge with an expiry can be earned anew
shortly before its end: then the new credential replaces the present one.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.db import transaction
from django.utils import timezone
from uuid6 import uuid7

from badges.awarding.models import ACTIVE, CredentialStatus, UserCredential
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.expiry import Expiry
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.ends import ActiveCredential, facts_count_until, mark_ended
from badges.granting.messages import messages_of_award, messages_of_end
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
    def expiry(self) -> Expiry | None: ...
    @property
    def issuers(self) -> Sequence[tuple[str, str, str]]: ...


@dataclass(frozen=True, slots=True)
class NewAward:
    """
    A badge that a learner is to get, and the cause.

    ``earned_at`` is the moment since which the learner has met all that the template demands by newer facts again. It
    is for templates with an expiry. None: the badge is earned now, by the cause.

    ``given_back``: the learner had the badge before, so no mail tells of it, and it ends at ``valid_until`` as it did
    then; None is without an end. All other badges end as the template says. Only ``award`` leaves the mail out.

    ``awarded_at`` is when the badge counts as awarded, a moment in the past; None: when it is written. A badge that
    would be at its end by now is not awarded.
    """

    learner_id: int
    template: GrantedTemplate
    cause: Cause
    earned_at: dt.datetime | None = None
    given_back: bool = False
    valid_until: dt.datetime | None = None
    awarded_at: dt.datetime | None = None


def award(new: Sequence[NewAward], *, now: dt.datetime) -> list[UserCredential]:
    """
    Write a credential for every learner who may have one, and its outbox messages; return the credentials.

    Who holds the badge already is left out, and who is blocked. A template that is awarded once is not awarded to
    those who lost it to an event, or whose badge has expired, unless a person or other code decides it.

    A badge that ends soon and was earned anew is replaced: the old credential is marked so, and the new one is
    announced and issued as every other. No message says that the old one was revoked.

    Must run in a transaction that has locked the rows of the learners. Three statements and one for each provider,
    however many awards there are; two more when credentials end by it. ``now`` becomes the time of an award that says
    no other. Raises IntegrityError when a learner got the badge meanwhile without that lock.
    """
    if not new:
        return []
    template_of = {learner_template_id(each.learner_id, each.template.id): each.template for each in new}
    given_back = {learner_template_id(each.learner_id, each.template.id) for each in new if each.given_back}
    holdings = holdings_of(template_of, now=now)
    ended: list[ActiveCredential] = []
    decided = (
        award_to(holdings[learner_template_id(each.learner_id, each.template.id)], each, ended, now=now) for each in new
    )
    credentials = [credential for credential in decided if credential is not None]
    if not credentials:
        return []
    issuers_of = [(credential, template_of[credential.learner_template_id].issuers) for credential in credentials]
    # Before the new rows, which need the place of the active one.
    mark_ended(ended, now=now)
    insert(sorted(credentials, key=lambda credential: credential.learner_template_id))
    registry.prepare((credential, issuer) for credential, issuers in issuers_of for issuer in issuers)
    mailbox.post(
        [
            *(message for each in ended if each.is_over(now) for message in messages_of_end(each.learner_id, each.id)),
            *(
                message
                for credential, issuers in issuers_of
                for message in messages_of_award(
                    credential,
                    [provider for provider, *_ in issuers],
                    is_new=credential.learner_template_id not in given_back,
                )
            ),
        ],
        now=now,
    )
    transaction.on_commit(
        lambda: log_awards([(each, template_of[each.learner_template_id].slug) for each in credentials])
    )
    return credentials


def would_award(new: Sequence[NewAward], *, now: dt.datetime) -> list[NewAward]:
    """Return those awards for which ``award`` would write a credential; one statement, or none."""
    if not new:
        return []
    holdings = holdings_of({learner_template_id(each.learner_id, each.template.id) for each in new}, now=now)
    ended: list[ActiveCredential] = []
    return [
        each
        for each in new
        if award_to(holdings[learner_template_id(each.learner_id, each.template.id)], each, ended, now=now) is not None
    ]


@dataclass
class Holding:
    """
    What a learner has of one template.

    ``active`` is the credential by which the badge is held, which may be at its end. ``blocked``: a person revoked it,
    and the block is not lifted. ``lost``: an event revoked it, or it expired, now or before. ``void_until`` is the time
    up to which facts counted for badges that have expired or were replaced, or whose end has passed since a revocation.
    """

    active: ActiveCredential | None = None
    blocked: bool = False
    lost: bool = False
    void_until: dt.datetime | None = None


def holdings_of(learner_template_ids: Iterable[uuid.UUID], *, now: dt.datetime) -> dict[uuid.UUID, Holding]:
    """Return what learners have, for every learner_template_id, also for one without credentials; one statement."""
    keys = list(learner_template_ids)
    rows = UserCredential.objects.filter(learner_template_id__in=keys).order_by()
    return holdings_from(keys, rows.values_list(*HOLDING_COLUMNS), now=now)


# What a holding is made of.
HOLDING_COLUMNS = (
    *("learner_template_id", "id", "learner_id", "status", "blocked", "revocation_kind"),
    *("awarded_at", "valid_until", "is_public", "revoked_at", "revocation_event_time"),
)


def holdings_from(
    learner_template_ids: Iterable[uuid.UUID], rows: Iterable[Any], *, now: dt.datetime
) -> dict[uuid.UUID, Holding]:
    """Return the same from the ``HOLDING_COLUMNS`` of the credentials; no statement."""
    found = {key: Holding() for key in learner_template_ids}
    for key, id, learner_id, status, blocked, revocation_kind, awarded_at, valid_until, is_public, *revoked in rows:
        holding = found[key]
        if status == CredentialStatus.AWARDED:
            holding.active = ActiveCredential(id, learner_id, awarded_at, valid_until, is_public)
        holding.blocked |= blocked
        holding.lost |= revocation_kind == CauseKind.EVENT or status == CredentialStatus.EXPIRED
        if status in (CredentialStatus.EXPIRED, CredentialStatus.REPLACED):
            void = facts_count_until(awarded_at, valid_until)
            holding.void_until = max(void, holding.void_until or void)
        elif status == CredentialStatus.REVOKED and valid_until is not None and valid_until <= now:
            # What was done after the revocation did not count for this badge.
            revoked_at, event_time = revoked
            void = min(facts_count_until(awarded_at, valid_until), event_time or revoked_at)
            holding.void_until = max(void, holding.void_until or void)
    return found


def award_to(
    holding: Holding, new: NewAward, ended: list[ActiveCredential], *, now: dt.datetime
) -> UserCredential | None:
    """
    Return the unsaved credential of an award, or None if the learner may not get the badge.

    The holding is then that of a learner who has the badge. The credential that the new one replaces, or that is at its
    end, is added to ``ended``.
    """
    expiry, valid_until = new.template.expiry, new.valid_until
    if not new.given_back:
        begins = new.awarded_at or now
        valid_until = expiry.valid_until(begins, timezone.get_default_timezone()) if expiry is not None else None
    if new.awarded_at is not None and valid_until is not None and valid_until <= now:
        return None
    if not _may_award(holding, new, valid_until, now):
        return None
    credential = _credential_of(new, valid_until, now)
    if holding.active is not None:
        credential.replaces_id, credential.is_public = holding.active.id, holding.active.is_public
        ended.append(holding.active)
    holding.active = ActiveCredential(credential.pk, new.learner_id, credential.awarded_at, credential.valid_until)
    return credential


def _may_award(holding: Holding, new: NewAward, valid_until: dt.datetime | None, now: dt.datetime) -> bool:
    """
    Return whether a learner may get a badge, which would hold until this moment; None for ever.

    Nobody holds a badge twice, or gets one again while a block stands. A badge that ends soon may be replaced by one
    that ends later, if newer facts have earned it. With ``award_once``, a learner who lost the badge to an event or
    whose badge has expired does not get it again.
    """
    is_decided = new.cause.kind not in _WITHOUT_A_DECISION
    active, void_until = holding.active, holding.void_until
    if holding.blocked:
        return False
    if active is not None and not active.is_over(now):
        if is_decided or new.template.award_once or active.valid_until is None or valid_until is None:
            return False
        # An event whose sender's clock is ahead does not renew a badge before its time.
        earned_at = min(new.earned_at or new.cause.event_time or now, now)
        counts_from = facts_count_until(active.awarded_at, active.valid_until)
        return valid_until > active.valid_until and earned_at > counts_from
    if is_decided:
        return True
    if active is not None and active.valid_until is not None:  # at its end, and not marked yet
        void_until = facts_count_until(active.awarded_at, active.valid_until)
    if new.template.award_once and (holding.lost or active is not None):
        return False
    return new.earned_at is None or void_until is None or new.earned_at > void_until


def _credential_of(new: NewAward, valid_until: dt.datetime | None, now: dt.datetime) -> UserCredential:
    return new_row(
        UserCredential,
        id=uuid7(),
        learner_template_id=learner_template_id(new.learner_id, new.template.id),
        learner_id=new.learner_id,
        template_id=new.template.id,
        revision_id=new.template.revision_id,
        status=CredentialStatus.AWARDED,
        active_key=ACTIVE,
        awarded_at=new.awarded_at or now,
        valid_until=valid_until,
        **new.cause.fields(),
    )


def log_awards(awarded: Sequence[tuple[UserCredential, str]]) -> None:
    """Log awards that are committed, each given with the slug of its template."""
    for credential, slug in awarded:
        # The id of an activity is what a client has sent, so it is not logged.
        is_event = credential.cause_kind == CauseKind.EVENT
        cause = f"event {credential.cause_event_id}" if is_event else credential.cause_kind
        log.info("Awarded %s to learner %s by %s", slug, credential.learner_id, cause)
