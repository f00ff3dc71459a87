"""Reminders: badges that end soon are found, and their learners are told once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db.models import Exists, OuterRef

from badges.awarding.models import ACTIVE, UserCredential
from badges.database import in_transaction
from badges.inserts import insert, new_row
from badges.intake.learners import lock
from badges.mail import REMINDER, message_about, reminder_days
from badges.mail.models import CredentialMail
from badges.outbox import mailbox

# So many reminders are written in one transaction.
BATCH = 200

# Nobody is reminded of the end of a badge on the day of its award.
_AFTER_AWARD = dt.timedelta(days=1)


def remind_due(*, now: dt.datetime, limit: int = BATCH) -> int:
    """
    Write the outbox messages of up to ``limit`` reminders, for the badges that end first; return how many.

    Only where the setting ``mail.reminder_days`` asks for reminders. One transaction with a constant number of
    statements. Each credential gets one reminder, however many workers call this. Raises Retryable when the database
    did not answer.
    """
    days = reminder_days()
    if not days:
        return 0
    reminded = CredentialMail.objects.filter(credential=OuterRef("pk"), kind=REMINDER)
    soon = UserCredential.objects.filter(
        ~Exists(reminded),
        active_key=ACTIVE,
        valid_until__gt=now,
        valid_until__lte=now + dt.timedelta(days=days),
        awarded_at__lte=now - _AFTER_AWARD,
    )
    found = list(soon.order_by("valid_until", "id").values_list("id", "learner_id")[:limit])
    return in_transaction(lambda: _remind(found, now)) if found else 0


def _remind(found: Sequence[tuple[uuid.UUID, int]], now: dt.datetime) -> int:
    lock(learner_id for _, learner_id in found)
    # Another worker may have come first.
    rows = CredentialMail.objects.filter(credential__in=[pk for pk, _ in found], kind=REMINDER)
    reminded = set(rows.values_list("credential_id", flat=True))
    new = sorted(each for each in found if each[0] not in reminded)
    insert(new_row(CredentialMail, credential_id=pk, kind=REMINDER, created_at=now) for pk, _ in new)
    mailbox.post([message_about(REMINDER, learner_id=learner, credential_id=pk) for pk, learner in new], now=now)
    return len(new)
