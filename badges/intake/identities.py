"""
Ids of learners at other systems: entered by staff, and noted when somebody signs in through an issuer.

An id belongs to one learner, because events that hold nothing else find their learner by it. Nothing here moves an id
from one learner to another: staff remove it from the first one before.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from badges.catalog.learner_paths import ISSUER_LENGTH, SUBJECT_LENGTH, ExternalIdentity
from badges.conf import user_lms_id_field
from badges.database import in_transaction
from badges.exceptions import IdentityTakenError, UnknownPersonError, UnusableIdentityError
from badges.inserts import insert
from badges.intake import retired
from badges.intake.models import Learner, LearnerIdentity

log = logging.getLogger(__name__)

GIVE_UP_SECONDS = 20
TWO_LEARNERS = (
    "Somebody signed in whose account has another learner than the id at the issuer: learner rows %s and %s. If they "
    "are one person, open the second one in the admin and give it the account; else correct the id."
)
OTHER_LMS_USER = (
    "Somebody signed in whose account has another LMS user id than learner row %s, who has the id at the issuer. "
    "Correct the id or the LMS user id."
)


def check(identity: ExternalIdentity) -> None:
    """Raise UnusableIdentityError when the issuer or the id cannot be stored."""
    for field, text, longest in (
        ("issuer", identity.issuer, ISSUER_LENGTH),
        ("subject", identity.subject, SUBJECT_LENGTH),
    ):
        if not text or text != text.strip() or not text.isprintable() or len(text) > longest:
            problem = f"Write 1 to {longest} printable characters, without spaces at the beginning and at the end."
            raise UnusableIdentityError(field, problem)


def link(learner: Learner, identity: ExternalIdentity) -> tuple[LearnerIdentity, bool]:
    """
    Give a learner an id at an issuer; return the row, and whether it is new.

    Runs in a transaction of its own; in the caller's, transient errors of the database are raised as they are. Raises
    IdentityTakenError, UnusableIdentityError, UnknownPersonError when the learner was retired, and Retryable when the
    database did not answer for 20 seconds.
    """
    check(identity)
    return in_transaction(lambda: _link(learner.pk, identity), give_up_seconds=GIVE_UP_SECONDS)


def _link(learner_id: int, identity: ExternalIdentity) -> tuple[LearnerIdentity, bool]:
    # A retirement locks the learner, too, before it deletes the ids. So none is added after it.
    learner = Learner.objects.select_for_update().filter(pk=learner_id).first()
    if learner is None or learner.is_anonymous:
        raise UnknownPersonError
    before = LearnerIdentity.objects.filter(learner=learner, **identity._asdict()).exists()
    new = LearnerIdentity(learner=learner, created_at=timezone.now(), **identity._asdict())
    insert([new], unique=("issuer", "subject"))
    row = LearnerIdentity.objects.get(**identity._asdict())
    if row.learner_id != learner_id:
        raise IdentityTakenError
    return row, not before


def bind_account(user: Any, identity: ExternalIdentity) -> bool:
    """
    Give an account to the learner who has this id and no account, after somebody signed in.

    Returns whether a learner has both now; False when nobody has the id yet. An account that has another learner keeps
    it, and both are noted, so that staff can join them (``learners.give_account``). Raises IdentityTakenError then, and
    when the learner with the id has another account, or is another user of the LMS than the account. Raises
    UnknownPersonError for the account of a person who was retired.
    """
    try:
        bound = in_transaction(lambda: _bind_account(user, identity), give_up_seconds=GIVE_UP_SECONDS)
    except IntegrityError:
        # Another process has just created the learner of this account. The second attempt finds it.
        bound = in_transaction(lambda: _bind_account(user, identity), give_up_seconds=GIVE_UP_SECONDS)
    if bound is _Bound.ELSEWHERE:
        raise IdentityTakenError
    return bound is _Bound.HERE


class _Bound(Enum):
    """Whose account the learner with an id has: of nobody who is known, this one, or another one."""

    NOWHERE, HERE, ELSEWHERE = range(3)


def _bind_account(user: Any, identity: ExternalIdentity) -> _Bound:
    _require_not_retired(user)
    rows = LearnerIdentity.objects.filter(**identity._asdict())
    found = rows.values_list("learner_id", flat=True).first()
    learner = Learner.objects.select_for_update().filter(pk=found).first() if found else None
    # Before the lock, staff may have removed the id, or retired the person.
    if learner is None or not rows.filter(learner=learner).exists():
        return _Bound.NOWHERE
    _require_not_retired(user)
    if learner.user_id is not None:
        return _Bound.HERE if learner.user_id == user.pk else _Bound.ELSEWHERE
    if learner.lms_user_id is not None and _stored_lms_user_id(user) not in ("", str(learner.lms_user_id)):
        log.warning(OTHER_LMS_USER, learner.pk)
        return _Bound.ELSEWHERE
    other = Learner.objects.filter(user=user.pk).first()
    if other is None:
        Learner.objects.filter(pk=learner.pk).update(user=user.pk, account_learner=None)
        return _Bound.HERE
    log.warning(TWO_LEARNERS, other.pk, learner.pk)
    if learner.lms_user_id is not None and other.lms_user_id is None:
        Learner.objects.filter(pk=learner.pk).update(account_learner=other)
    return _Bound.ELSEWHERE


def _require_not_retired(user: Any) -> None:
    if retired.among(retired.account_digests([user.pk])):
        raise UnknownPersonError


def _stored_lms_user_id(user: Any) -> str:
    """Return the LMS user id that the host stores with an account; empty without one."""
    field = user_lms_id_field()
    value = getattr(user, field) if field else None
    return "" if value is None else str(value)
