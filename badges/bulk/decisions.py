"""What becomes of the rows of a bulk run. Decides in memory, and writes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.utils import timezone

from badges.awarding.models import ACTIVE, UserCredential, held
from badges.bulk.models import BulkOutcome, BulkRow
from badges.catalog.learner_template_ids import learner_template_id


@dataclass(slots=True)
class Holding:
    """What a learner has of a template: the active credential, if there is one, and whether a block stands."""

    credential_id: uuid.UUID | None = None
    blocked: bool = False


def holdings_of(rows: Sequence[BulkRow]) -> dict[uuid.UUID, Holding]:
    """Return what the learners of rows have, by learner and template; one statement."""
    found = {key: Holding() for row in rows if (key := key_of(row)) is not None}
    credentials = UserCredential.objects.filter(learner_template_id__in=list(found)).order_by()
    wanted = credentials.filter(held(timezone.now()) | Q(blocked=True))
    for key, pk, active_key, blocked in wanted.values_list("learner_template_id", "pk", "active_key", "blocked"):
        holding = found[key]
        holding.credential_id = pk if active_key == ACTIVE else holding.credential_id
        holding.blocked |= blocked
    return found


def key_of(row: BulkRow) -> uuid.UUID | None:
    """Return the id of learner and template together; None for an account without a learner."""
    return None if row.learner_id is None else learner_template_id(row.learner_id, row.template_id)


def decide_awards(
    rows: Sequence[BulkRow],
    *,
    people: Container[int],
    templates: Collection[int],
    holdings: Mapping[uuid.UUID, Holding],
) -> dict[int, BulkOutcome]:
    """
    Return what becomes of rows that award, by their number.

    ``people`` are the ids of learners who are still somebody, ``templates`` the ids of those whose badges are awarded.
    """
    outcomes: dict[int, BulkOutcome] = {}
    taken: set[uuid.UUID] = set()
    for row in rows:
        key = key_of(row)
        holding = holdings.get(key, _NOTHING) if key else _NOTHING
        if row.duplicate_of is not None:
            outcome = BulkOutcome.DUPLICATE
        elif (row.learner_id is None and row.account_id is None) or (row.learner_id and row.learner_id not in people):
            outcome = BulkOutcome.UNKNOWN
        elif row.template_id not in templates:
            outcome = BulkOutcome.NOT_ACTIVE
        elif holding.credential_id is not None or key in taken:
            outcome = BulkOutcome.ALREADY_HELD
        else:
            outcome = BulkOutcome.BLOCKED if holding.blocked else BulkOutcome.AWARDED
        if outcome == BulkOutcome.AWARDED and key is not None:
            taken.add(key)  # two accounts of the file may turn out to be one learner
        outcomes[row.number] = outcome
    return outcomes


def decide_revocations(rows: Sequence[BulkRow], *, holdings: Mapping[uuid.UUID, Holding]) -> dict[int, BulkOutcome]:
    """Return what becomes of rows that revoke, by their number."""
    outcomes: dict[int, BulkOutcome] = {}
    for row in rows:
        key = key_of(row)
        if row.duplicate_of is not None:
            outcomes[row.number] = BulkOutcome.DUPLICATE
        elif key is None or holdings[key].credential_id is None:
            outcomes[row.number] = BulkOutcome.NOT_HELD
        else:
            outcomes[row.number] = BulkOutcome.REVOKED
    return outcomes


_NOTHING = Holding()
