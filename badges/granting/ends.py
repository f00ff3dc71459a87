"""Ends of credentials with an expiry: whether they are over, which facts count for them, and marking the rows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import F

from badges.awarding.models import CredentialStatus, UserCredential
from badges.catalog.expiry import renewal_begins
from badges.conf import DEFAULTS, config, number_of_days


@dataclass(frozen=True, slots=True)
class ActiveCredential:
    """What a decision has to know about the credential by which a learner holds a badge."""

    id: uuid.UUID
    learner_id: int
    awarded_at: dt.datetime
    valid_until: dt.datetime | None
    is_public: bool = False

    def is_over(self, now: dt.datetime) -> bool:
        """Return whether it is at its end, so that the learner does not hold the badge, marked or not."""
        return self.valid_until is not None and self.valid_until <= now


def facts_count_until(awarded_at: dt.datetime, valid_until: dt.datetime) -> dt.datetime:
    """Return the moment up to which facts count for a credential with an end; later ones earn the next."""
    days = number_of_days(config.expiry["renewal_days"], DEFAULTS["expiry"]["renewal_days"])
    return renewal_begins(awarded_at, valid_until, days=days)


def mark_ended(credentials: Iterable[ActiveCredential], *, now: dt.datetime) -> None:
    """
    Mark credentials as expired if they are at their end, and the others as replaced; at most one statement for each.

    The caller has locked the learners.
    """
    expired: list[uuid.UUID] = []
    replaced: list[uuid.UUID] = []
    for credential in credentials:
        (expired if credential.is_over(now) else replaced).append(credential.id)
    if expired:
        rows = UserCredential.objects.filter(pk__in=expired)
        rows.update(status=CredentialStatus.EXPIRED, active_key=None, ended_at=F("valid_until"))
    if replaced:
        rows = UserCredential.objects.filter(pk__in=replaced)
        rows.update(status=CredentialStatus.REPLACED, active_key=None, ended_at=now)
