"""
Checks: inbox rows that say when a criteria document has to be evaluated again, because time alone may make it true.

There is one row for a learner and a template, which is written anew whenever the next check is known. When it is due it
is handed to the handler of its kind, as every other row of the inbox.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from uuid6 import uuid7

from badges.catalog.learner_template_ids import learner_template_id
from badges.exceptions import EventError
from badges.inserts import insert
from badges.intake.models import InboxMessage, InboxState
from badges.rules import canonical_time

KIND = "criteria"
# Nobody sends events from here.
SOURCE = "badges/criteria"

# An event may be on its way for so long. At a moment it is asked what had happened until then.
ARRIVAL = dt.timedelta(minutes=5)
_LATEST = dt.datetime(9999, 12, 31, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Check:
    """A learner and a template whose criteria document is to be asked from a moment on."""

    learner_id: int
    template_id: int
    moment: dt.datetime

    @property
    def id(self) -> UUID:
        """The id of the learner and the template together."""
        return learner_template_id(self.learner_id, self.template_id)


def schedule(checks: Iterable[tuple[Check, int | None]], *, now: dt.datetime) -> None:
    """
    Write when documents have to be asked, each with the LMS user id of the learner; one statement.

    A check of the same learner and template is replaced. If a worker has claimed it, that worker loses the claim, and
    what it wrote is rolled back. The caller has locked the learners.
    """
    rows = [_row_of(check, lms_user_id, now) for check, lms_user_id in checks]
    changing = [
        *("kind", "state", "due_at", "claim", "attempts", "reason", "payload"),
        *("lms_user_id", "processed_at", "received_at"),
    ]
    insert(sorted(rows, key=lambda row: row.event_id), unique=("source", "event_id"), update=changing)


def of_row(row: InboxMessage) -> Check:
    """Return what a row says. Raises EventError when it cannot be read."""
    try:
        found = json.loads(row.payload or "")
        return Check(int(found["learner"]), int(found["template"]), dt.datetime.fromisoformat(found["moment"]))
    except (ValueError, TypeError, KeyError):
        raise EventError("not a check: its payload is gone or was changed; the next event writes a new one") from None


def unfinished(ids: Iterable[UUID]) -> dict[UUID, dt.datetime]:
    """Return from which moments on documents have still to be asked, by learner_template_id; one statement."""
    rows = InboxMessage.objects.filter(source=SOURCE, event_id__in=[str(id) for id in ids], payload__isnull=False)
    unfinished = rows.exclude(state=InboxState.PROCESSED).order_by()
    found = {}
    for row in unfinished.only("payload"):
        # A damaged one is written anew.
        with suppress(EventError):
            check = of_row(row)
            found[check.id] = check.moment
    return found


def delete_of(learner_id: int) -> int:
    """Delete the checks of a learner; return how many."""
    # The ids of one learner begin with the learner.
    beginning = str(learner_template_id(learner_id, 0))[:19]
    return InboxMessage.objects.filter(source=SOURCE, event_id__startswith=beginning).delete()[0]


def _row_of(check: Check, lms_user_id: int | None, now: dt.datetime) -> InboxMessage:
    payload: dict[str, Any] = {
        "learner": check.learner_id,
        "template": check.template_id,
        "moment": canonical_time(check.moment),
    }
    return InboxMessage(
        id=uuid7(),
        kind=KIND,
        source=SOURCE,
        event_id=str(check.id),
        lms_user_id=lms_user_id,
        payload=json.dumps(payload),
        received_from=SOURCE,
        state=InboxState.PENDING,
        due_at=max(now, min(check.moment, _LATEST) + ARRIVAL),
        received_at=now,
    )
