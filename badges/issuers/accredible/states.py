"""
The states of badges as Accredible tells them.

Accredible describes a badge as it is at the moment it is asked, and names no time of its last change. So a fact has the
time at which we asked, and what was asked for earlier than the state of a row changes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction

from badges.issuers.accredible.models import AccredibleBadge, AccredibleState
from badges.issuers.base import BadgeFact

# What is told of a badge besides the states of the model: a list does not say whether a badge is published.
VALID = "valid"


def state_after(state: str, told: str) -> str:
    """Return the state of a row for its state before and what Accredible tells; the same for what is unknown here."""
    if state == AccredibleState.DELETED or told == AccredibleState.DELETED:
        return AccredibleState.DELETED
    if told == AccredibleState.EXPIRED:
        return state if state == AccredibleState.REVOKED else told
    if told == VALID:
        return AccredibleState.ACCEPTED if state in (AccredibleState.EXPIRED, AccredibleState.REVOKED) else state
    return told if told in (AccredibleState.PENDING, AccredibleState.ACCEPTED) else state


def is_news(state_at: dt.datetime | None, asked_at: dt.datetime) -> bool:
    """Return whether what was asked for at a time is newer than the state of a row."""
    return state_at is None or asked_at > state_at


def write(organization: str, facts: Sequence[BadgeFact]) -> int:
    """
    Write the states of badges of an organization to the rows, and return how many have changed; two statements.

    The time is written also where the state is the same, so that an older answer that comes later changes nothing.
    """
    latest = {fact.id: fact for fact in sorted(facts, key=lambda fact: fact.at)}
    newer, changed = [], 0
    with transaction.atomic():
        ours = AccredibleBadge.objects.filter(organization=organization, external_id__in=latest)
        for row in ours.select_for_update().order_by("pk"):
            fact = latest[str(row.external_id)]
            if is_news(row.state_at, fact.at):
                before, row.state, row.state_at = row.state, state_after(row.state, fact.state), fact.at
                changed += row.state != before
                newer.append(row)
        AccredibleBadge.objects.bulk_update(newer, ["state", "state_at"])
    return changed
