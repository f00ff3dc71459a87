"""What becomes of the rows of a bulk run. Decides in memory, and writes nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Container, Mapping, Sequence

from badges.bulk.models import BulkOutcome, BulkRow
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.awards import Holding, holdings_of


def holdings_of_rows(rows: Sequence[BulkRow], *, now: dt.datetime) -> dict[uuid.UUID, Holding]:
    """Return what the learners of rows have, by learner and template; one statement."""
    return holdings_of((key for row in rows if (key := key_of(row)) is not None), now=now)


def key_of(row: BulkRow) -> uuid.UUID | None:
    """Return the id of learner and template together; None for an account without a learner."""
    return None if row.learner_id is None else learner_template_id(row.learner_id, row.template_id)


def decide_awards(
    rows: Sequence[BulkRow],
    *,
    people: Container[int],
    templates: Collection[int],
    holdings: Mapping[uuid.UUID, Holding],
    now: dt.datetime,
) -> dict[int, BulkOutcome]:
    """
    Return what becomes of rows that award, by their number.

    ``people`` are the ids of learners who are still somebody, ``templates`` the ids of those whose badges are awarded.
    """
    outcomes: dict[int, BulkOutcome] = {}
    taken: set[uuid.UUID] = set()
    for row in rows:
        key = key_of(row)
        holding = holdings[key] if key else Holding()
        if row.duplicate_of is not None:
            outcome = BulkOutcome.DUPLICATE
        elif (row.learner_id is None and row.account_id is None) or (row.learner_id and row.learner_id not in people):
            outcome = BulkOutcome.UNKNOWN
        elif row.template_id not in templates:
            outcome = BulkOutcome.NOT_ACTIVE
        elif _is_held(holding, now) or key in taken:
            outcome = BulkOutcome.ALREADY_HELD
        else:
            outcome = BulkOutcome.BLOCKED if holding.blocked else BulkOutcome.AWARDED
        if outcome == BulkOutcome.AWARDED and key is not None:
            taken.add(key)  # two accounts of the file may turn out to be one learner
        outcomes[row.number] = outcome
    return outcomes


def decide_revocations(
    rows: Sequence[BulkRow], *, holdings: Mapping[uuid.UUID, Holding], now: dt.datetime
) -> dict[int, BulkOutcome]:
    """Return what becomes of rows that revoke, by their number."""
    outcomes: dict[int, BulkOutcome] = {}
    for row in rows:
        key = key_of(row)
        if row.duplicate_of is not None:
            outcomes[row.number] = BulkOutcome.DUPLICATE
        else:
            is_held = key is not None and _is_held(holdings[key], now)
            outcomes[row.number] = BulkOutcome.REVOKED if is_held else BulkOutcome.NOT_HELD
    return outcomes


def _is_held(holding: Holding, now: dt.datetime) -> bool:
    """Return whether the badge is held. One that is at its end is not, marked or not."""
    return holding.active is not None and not holding.active.is_over(now)
