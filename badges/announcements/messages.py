"""What an outbox message about a credential is about: the credential, and when it was awarded or revoked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from badges.awarding.models import UserCredential
from badges.exceptions import Permanent
from badges.outbox.models import OutboxMessage


def credential_of(message: OutboxMessage) -> UserCredential:
    """Return the credential of a message, with its template, learner and account. Raises Permanent when it is gone."""
    (found,) = credentials_of([message])
    if isinstance(found, Permanent):
        raise found
    return found


def credentials_of(messages: Sequence[OutboxMessage]) -> list[UserCredential | Permanent]:
    """Return the credential of each message, as ``credential_of``, or the error; one statement."""
    ids = [message.read().get("credential") for message in messages]
    known = UserCredential.objects.select_related("template", "learner__user").in_bulk([each for each in ids if each])
    credentials = {str(pk): credential for pk, credential in known.items()}
    gone = Permanent("The credential of this row is gone, so there is nothing to announce. Remove the row.")
    return [credentials.get(str(each), gone) for each in ids]


def time_of(message: OutboxMessage, credential: UserCredential, *, awarded: bool) -> dt.datetime:
    """Return when it happened: the award's time, and for everything after it the time of the decision."""
    if awarded:
        return credential.awarded_at
    return credential.revoked_at or credential.ended_at or message.created_at
