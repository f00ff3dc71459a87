"""
The states of badges as Credly tells them, in whatever order that arrives.

Credly's times decide: what is older than the state of a row changes nothing. A badge that is revoked, replaced or
deleted at Credly does not come back.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from django.db import transaction

from badges.issuers.base import BadgeFact
from badges.issuers.credly import targets
from badges.issuers.credly.models import ENDED_STATES, CredlyBadge, CredlyState

# The states that Credly may tell. The others are our own.
TOLD = frozenset(CredlyState.values) - {CredlyState.CREATED, CredlyState.NO_RESPONSE, CredlyState.ERROR}


def state_of(told: str) -> CredlyState | None:
    """Return the state of a row for a state of Credly's; None for one that is unknown here."""
    return CredlyState(told) if told in TOLD else None


def is_news(state: str, state_at: dt.datetime | None, told: str, at: dt.datetime) -> bool:
    """Return whether what Credly tells of a time is newer than the state of a row."""
    if state_of(told) is None or state == CredlyState.DELETED:
        return False
    if told == CredlyState.DELETED:
        return True
    return state not in ENDED_STATES and (state_at is None or at > state_at)


def write(organization: str, facts: Sequence[BadgeFact]) -> int:
    """
    Write the states of badges of an organization to the rows, and return how many were written; five statements.

    A badge that Credly was asked for and whose answer is not here yet is recognised by the learner and the template.
    """
    latest: dict[uuid.UUID, BadgeFact] = {}
    for fact in sorted(facts, key=lambda fact: fact.at):
        badge = uuid.UUID(fact.id)
        before = latest.get(badge)
        if before is None or before.state != CredlyState.DELETED:
            latest[badge] = fact
    if not latest:
        return 0
    ours = CredlyBadge.objects.filter(organization__in=targets.spellings(organization)).order_by("pk")
    with transaction.atomic():
        known = set(ours.filter(external_uuid__in=latest).values_list("external_uuid", flat=True))
        awaited = _awaited(ours, [fact for badge, fact in latest.items() if badge not in known])
        changed = []
        rows = ours.filter(external_uuid__in=known) | ours.filter(pk__in=awaited)
        locked = CredlyBadge.objects.select_for_update().filter(pk__in=list(rows.values_list("pk", flat=True)))
        for row in locked.order_by("pk"):
            found = awaited.get(row.pk) if row.external_uuid is None else latest.get(row.external_uuid)
            if found is not None and _apply(row, found):
                changed.append(row)
        columns = ["external_uuid", "state", "state_at", "issued_at", "url"]
        CredlyBadge.objects.bulk_update(changed, columns)
    return len(changed)


def _awaited(ours: object, facts: Sequence[BadgeFact]) -> dict[uuid.UUID, BadgeFact]:
    """Return the facts about badges whose answer is awaited, by the id of our row; one statement, or none."""
    by_earner = {(earner, fact.template): fact for fact in facts if (earner := _uuid(fact.earner)) is not None}
    if not by_earner:
        return {}
    waiting = ours.filter(  # type: ignore[attr-defined]
        state=CredlyState.NO_RESPONSE,
        external_uuid=None,
        credential__learner__uuid__in={earner for earner, _ in by_earner},
    )
    found = {}
    for pk, earner, template in waiting.values_list("pk", "credential__learner__uuid", "external_template"):
        fact = by_earner.pop((earner, str(_uuid(template))), None)
        if fact is not None and state_of(fact.state) not in (None, *ENDED_STATES):
            found[pk] = fact
    return found


def _apply(row: CredlyBadge, fact: BadgeFact) -> bool:
    """Change a locked row as a fact says; return whether it is to be written."""
    if row.external_uuid is None:
        if row.state != CredlyState.NO_RESPONSE:  # the answer came meanwhile
            return False
        row.external_uuid, row.url = uuid.UUID(fact.id), fact.url
        row.issued_at = row.issued_at or fact.issued_at
        row.state, row.state_at = state_of(fact.state) or CredlyState.PENDING, fact.at
        return True
    if not is_news(row.state, row.state_at, fact.state, fact.at):
        return False
    row.state, row.state_at = state_of(fact.state) or row.state, fact.at
    return True


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None
