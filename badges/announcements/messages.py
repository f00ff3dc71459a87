"""What an outbox message about a credential is about: the credential, and when it was awarded or revoked."""

from __future__ import annotations

import datetime as dt

from badges.awarding.models import UserCredential
from badges.exceptions import Permanent
from badges.outbox.models import OutboxMessage


def credential_of(message: OutboxMessage) -> UserCredential:
    """Return the credential of a message, with its template, learner and account. Raises Permanent when it is gone."""
    credential_id = message.read().get("credential")
    known = UserCredential.objects.select_related("template", "learner__user")
    credential = known.filter(pk=credential_id).first() if credential_id else None
    if credential is None:
        raise Permanent("The credential of this row is gone, so there is nothing to announce. Remove the row.")
    return credential


def time_of(message: OutboxMessage, credential: UserCredential, *, awarded: bool) -> dt.datetime:
    """Return when it happened: the award's time, and for everything after it the time of the decision."""
    if awarded:
        return credential.awarded_at
    return credential.revoked_at or credential.ended_at or message.created_at
