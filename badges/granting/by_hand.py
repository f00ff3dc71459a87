"""
Awarding and revoking one credential, by a person or by other code.

Each function is one transaction, or a part of the caller's. It locks the learner first, so of several calls at the same
time the others see what the first has done.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from typing import TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError
from django.db.models import Q

from badges.awarding.models import INTERNAL_REASON_LENGTH, PUBLIC_REASON_LENGTH, UserCredential, held
from badges.catalog.causes import REASON_LENGTH, Cause, CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.catalog.models import BadgeTemplate
from badges.database import in_transaction
from badges.engagement.activities import stats_of
from badges.exceptions import (
    AlreadyHeldError,
    BlockedError,
    NotBlockedError,
    NotHeldError,
    TemplateNotActiveError,
    UnknownPersonError,
)
from badges.granting.awards import NewAward, award
from badges.granting.ends import facts_count_until
from badges.granting.reasons import check_reason
from badges.granting.revocations import NewRevocation, lift_blocks, revoke
from badges.granting.templates import awardable_templates, granted
from badges.intake.models import Learner
from badges.progress import states
from badges.rules import completion, meets_badge_condition

T = TypeVar("T")


def award_one(
    learner: Learner | Callable[[], Learner],
    template: BadgeTemplate,
    *,
    by: AbstractBaseUser | None,
    reason: str,
    lift_block: bool = False,
    now: dt.datetime,
) -> UserCredential:
    """
    Award a badge and return the credential.

    ``learner`` may be a function that creates the learner. It is called in the transaction of the award, so a refused
    award leaves no learner. It is called again if another process creates the same learner meanwhile. With
    ``lift_block``, a block is lifted in the same transaction, with the same person and reason.

    Raises UnusableReasonError, TemplateNotActiveError, AlreadyHeldError or BlockedError.
    """
    check_reason("reason", reason, longest=REASON_LENGTH)

    def work() -> UserCredential:
        found = learner if isinstance(learner, Learner) else learner()
        _lock(found)
        if not _is_known(found):
            raise UnknownPersonError
        if not _may_be_awarded(template):
            raise TemplateNotActiveError(template.slug)
        if lift_block:
            lift_blocks(
                learner_template_id(found.pk, template.pk),
                credential_id=None,
                person_id=by.pk if by else None,
                reason=reason,
                now=now,
            )
        _require_awardable(found, template, now)
        return award([NewAward(found.pk, granted({template.pk})[template.pk], _cause(by, reason))], now=now)[0]

    return _in_transaction(work)


def revoke_one(
    learner: Learner,
    template: BadgeTemplate,
    *,
    by: AbstractBaseUser | None,
    public_reason: str,
    internal_reason: str,
    block: bool,
    credential_id: uuid.UUID | None,
    now: dt.datetime,
) -> UserCredential:
    """
    Revoke the badge that a learner holds and return the credential.

    With ``credential_id`` only this credential is revoked. Raises UnusableReasonError or NotHeldError.
    """
    check_reason("reason", public_reason, longest=PUBLIC_REASON_LENGTH)
    check_reason("internal_reason", internal_reason, longest=INTERNAL_REASON_LENGTH)

    def work() -> UserCredential:
        _lock(learner)
        revocation = NewRevocation(
            learner_id=learner.pk,
            template_id=template.pk,
            revision_id=_revision_id(template),
            cause=_cause(by, ""),
            public_reason=public_reason,
            internal_reason=internal_reason,
            block=block,
            credential_id=credential_id,
        )
        revoked = revoke([revocation], now=now)
        if not revoked:
            raise NotHeldError(template.slug)
        return revoked[0]

    return _in_transaction(work)


def with_locked_learner(learner: Learner | Callable[[], Learner], work: Callable[[Learner], T]) -> T:
    """
    Call ``work`` with a locked learner, in a transaction of its own or in the caller's, and return what it returns.

    ``learner`` may be a function that creates the learner, as for ``award_one``. Both may be called again after a
    transient error, or when another process was first. Raises UnknownPersonError when the person was retired.
    """

    def locked() -> T:
        found = learner if isinstance(learner, Learner) else learner()
        _lock(found)
        if not _is_known(found):
            raise UnknownPersonError
        return work(found)

    return _in_transaction(locked)


def lift_block(
    learner: Learner,
    template: BadgeTemplate,
    *,
    by: AbstractBaseUser | None,
    reason: str,
    credential_id: uuid.UUID | None,
    now: dt.datetime,
) -> UserCredential | None:
    """
    Lift the block of a learner on a template, and evaluate the progress anew.

    With ``credential_id`` only the block of this credential is lifted. Returns the new credential if the requirements
    of today are fulfilled, else None. It ends when the blocked one would have ended. If that is over, the requirements
    have to be fulfilled anew, by facts that did not count for the blocked one.

    Raises UnusableReasonError or NotBlockedError.
    """
    check_reason("reason", reason, longest=REASON_LENGTH)

    def work() -> UserCredential | None:
        _lock(learner)
        key = learner_template_id(learner.pk, template.pk)
        blocked = UserCredential.objects.filter(learner_template_id=key, blocked=True)
        if credential_id is not None:
            blocked = blocked.filter(pk=credential_id)
        ends = list(blocked.order_by("-awarded_at", "-id").values_list("awarded_at", "valid_until")[:1])
        lifted = lift_blocks(
            key,
            credential_id=credential_id,
            person_id=by.pk if by else None,
            reason=reason,
            now=now,
        )
        if not lifted:
            raise NotBlockedError(template.slug)
        awarded_at, valid_until = ends[0]
        void_until = None
        if is_over := valid_until is not None and valid_until <= now:
            void_until, valid_until = facts_count_until(awarded_at, valid_until), None
        if not (_is_known(learner) and _may_be_awarded(template) and _is_complete(learner, template, void_until, now)):
            return None
        new = NewAward(
            learner.pk,
            granted({template.pk})[template.pk],
            _cause(by, reason),
            given_back=not is_over,
            valid_until=valid_until,
        )
        awarded = award([new], now=now)
        return awarded[0] if awarded else None

    return _in_transaction(work)


def _in_transaction(work: Callable[[], T]) -> T:
    """Call ``work`` in a transaction, of its own or the caller's, and again when another process was first."""
    try:
        return in_transaction(work)
    except IntegrityError:
        # Somebody wrote the credential without the lock. The second attempt finds it and says so.
        return in_transaction(work)


def _lock(learner: Learner) -> None:
    # An update locks the row on every database. SQLite does not know SELECT ... FOR UPDATE.
    if not Learner.objects.filter(pk=learner.pk).update(created_at=learner.created_at):
        raise UnknownPersonError


def _is_known(learner: Learner) -> bool:
    """Return whether the learner is still somebody: a retirement may have come before the lock."""
    return Learner.objects.filter(pk=learner.pk).exclude(lms_user_id=None, user=None).exists()


def _may_be_awarded(template: BadgeTemplate) -> bool:
    return awardable_templates().filter(pk=template.pk).exists()


def _require_awardable(learner: Learner, template: BadgeTemplate, now: dt.datetime) -> None:
    rows = UserCredential.objects.filter(learner_template_id=learner_template_id(learner.pk, template.pk))
    for credential in rows.filter(held(now) | Q(blocked=True)):
        if credential.active_key is not None:
            raise AlreadyHeldError(template.slug, credential.pk)
        raise BlockedError(template.slug, credential.pk)


def _is_complete(learner: Learner, template: BadgeTemplate, void_until: dt.datetime | None, now: dt.datetime) -> bool:
    """Return whether a learner has earned a badge, by facts that are all newer than ``void_until`` if it is given."""
    key = learner_template_id(learner.pk, template.pk)
    requirements = list(template.requirements.filter(archived_at=None).values_list("id", "group"))
    if not requirements:
        if void_until is not None:
            return False  # nothing tells since when a badge condition holds
        stats = stats_of([learner.pk], now=now)[learner.pk]
        return template.is_active and meets_badge_condition(template.slug, stats)
    state = states.load([key])[key]
    if void_until is not None:
        since = state.complete_since(requirements)
        return since is not None and since > void_until
    return completion(requirements, state.fulfilled).complete


def _revision_id(template: BadgeTemplate) -> int:
    return template.revisions.order_by("-number").values_list("id", flat=True)[0]


def _cause(by: AbstractBaseUser | None, reason: str) -> Cause:
    if by is None:
        return Cause(CauseKind.PROGRAM, reason=reason)
    return Cause(CauseKind.PERSON, person_id=by.pk, reason=reason)
