"""Opting out of mails: the signed names of learners in links, and who has opted out."""

from __future__ import annotations

import datetime as dt
import uuid

from django.core.signing import BadSignature, Signer

from badges.inserts import insert, new_row
from badges.intake.models import Learner
from badges.mail.models import MailOptOut

_SALT = "lms_badges.mail.opting_out"


def token_of(learner: Learner) -> str:
    """Return the text that names a learner in a link. Only this host can make it, and it holds for ever."""
    return Signer(salt=_SALT).sign(str(learner.uuid))


def learner_named(token: str) -> Learner | None:
    """Return the learner whom a text of a link names; None if this host did not make it, or nobody is there."""
    try:
        return Learner.objects.filter(uuid=uuid.UUID(Signer(salt=_SALT).unsign(token))).first()
    except (BadSignature, ValueError):
        return None


def opt_out(learner: Learner, *, now: dt.datetime) -> None:
    """Remember that a learner wants no mail; a second time changes nothing. A retired person is not remembered."""
    if not learner.is_anonymous:
        insert([new_row(MailOptOut, learner_id=learner.pk, created_at=now)], unique="learner")


def has_opted_out(learner_id: int) -> bool:
    """Return whether a learner wants no mail."""
    return MailOptOut.objects.filter(learner=learner_id).exists()


def opt_in(learner: Learner) -> None:
    """Forget that a learner wants no mail."""
    MailOptOut.objects.filter(learner=learner.pk).delete()


def delete_of(learner_id: int) -> int:
    """Delete what a learner has chosen; return the number of rows."""
    return MailOptOut.objects.filter(learner=learner_id).delete()[0]
