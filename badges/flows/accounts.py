"""
Events of other services: whom they are about, what becomes of those about somebody who is not known here, and the rows
that they leave.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from uuid6 import uuid7

from badges.catalog.causes import Cause, CauseKind
from badges.conf import config
from badges.exceptions import EventError
from badges.flows.models import CertificationAward, StickerClaim, WelcomeAward
from badges.inserts import insert, new_row
from badges.intake import flow_events
from badges.intake.events import Event
from badges.intake.kinds import Handled
from badges.intake.models import InboxMessage, Learner, LearnerIdentity

UNKNOWN_ACCOUNT = (
    "Nobody here has the account id of this event. Correct its sender, or give a learner this id at the issuer "
    "LMS_BADGES_CONFIG['flows']['account_issuer'] names (learner identities). Then retry."
)
WAITS_FOR_ACCOUNT = "Nobody here has the account id of this event yet. It is tried again."

# How long an event waits for its account: at first a little, then as long again as it has waited already.
FIRST_WAITS = (10, 20, 40, 80, 160, 320)
LONGEST_WAIT = 600


@dataclass(frozen=True, slots=True)
class Received:
    """A row of the inbox, its event, and the learner whom it is about. The learner is locked."""

    row: InboxMessage
    event: Event
    learner: Learner

    @property
    def cause(self) -> Cause:
        """The event as the cause of an award."""
        event = self.event
        return Cause(CauseKind.EVENT, event.source, event.id, event.type, event.time)


def received(
    rows: Sequence[InboxMessage], handled: Handled, *, if_unknown: Callable[[InboxMessage], None]
) -> Iterator[Received]:
    """
    Yield the rows whose learners are known, after locking these; at most three statements.

    A row that cannot be read becomes a dead letter in ``handled``, and one about a retired person is noted there.
    ``if_unknown`` gets the rows about somebody who is not known. Must run in a transaction.
    """
    events: list[tuple[InboxMessage, Event]] = []
    for row in rows:
        event = _read(row, handled)
        if event is not None:
            events.append((row, event))
    learners = lock_learners(event.data["accountId"] for _, event in events)
    for row, event in events:
        learner = learners.get(event.data["accountId"])
        if learner is None:
            if_unknown(row)
        elif learner.is_anonymous:
            handled.about_retired.append(row)
        else:
            yield Received(row, event, learner)


def lock_learners(account_ids: Iterable[str]) -> dict[str, Learner]:
    """
    Return the learners of accounts by account id, locked in the order of their ids; at most three statements.

    An account id is the UUID of a learner, or an id at the issuer that the setting ``flows.account_issuer`` names. That
    of a learner whose account was given to another learner of the same person finds the other one.
    """
    wanted = set(account_ids)
    by_uuid = {found: account_id for account_id in wanted if (found := _uuid(account_id))}
    known = Learner.objects.filter(uuid__in=by_uuid).order_by().values_list("uuid", *_FOLLOWED) if by_uuid else []
    pk_of = {by_uuid[found]: _followed(*columns) for found, *columns in known}
    issuer, others = config.flows["account_issuer"], wanted - pk_of.keys()
    if issuer and others:
        # An event has UUIDs in lower case. The other system, and so the row, may write them in upper case.
        written = {text: account_id for account_id in others for text in _ways_to_write(account_id)}
        identities = LearnerIdentity.objects.filter(issuer=issuer, subject__in=written).order_by()
        rows = identities.values_list("subject", *(f"learner__{name}" for name in _FOLLOWED))
        # In lower case last, so that it is preferred.
        pk_of |= {written[subject]: _followed(*columns) for subject, *columns in sorted(rows)}
    if not pk_of:
        return {}
    locked = Learner.objects.select_for_update().filter(pk__in=set(pk_of.values())).order_by("pk")
    learners = {learner.pk: learner for learner in locked}
    return {account_id: learners[pk] for account_id, pk in pk_of.items() if pk in learners}


_FOLLOWED = ("pk", "user", "lms_user_id", "account_learner")


def _followed(pk: int, user: Any, lms_user_id: int | None, account_learner: int | None) -> int:
    """Return the learner who is meant: one who has lost the account to another learner stands for that one."""
    return account_learner if account_learner and user is None and lms_user_id is None else pk


def _ways_to_write(account_id: str) -> set[str]:
    return {account_id, account_id.upper()} if _uuid(account_id) else {account_id}


def store_new(
    model: type[StickerClaim | CertificationAward | WelcomeAward],
    given: Mapping[tuple[int, int], Received],
    *,
    unique: str | Sequence[str] = ("learner", "template"),
    now: dt.datetime,
) -> list[tuple[int, int]]:
    """
    Store once what events say of learners and templates, given by both ids; return which of these are new.

    ``unique`` names the fields of the model of which there is one row. Two statements, or none.
    """
    made = [
        new_row(
            model,
            id=uuid7(),
            learner_id=learner_id,
            template_id=template_id,
            event_source=each.event.source,
            event_id=each.event.id,
            event_time=each.event.time,
            received_at=now,
        )
        for (learner_id, template_id), each in sorted(given.items(), key=lambda item: item[0])
    ]
    if not made:
        return []
    insert(made, unique=unique)
    stored = model._default_manager.filter(pk__in=[row.pk for row in made])
    return sorted(stored.order_by().values_list("learner_id", "template_id"))


def wait_or_give_up(row: InboxMessage, handled: Handled, now: dt.datetime) -> None:
    """Let a row wait for its account, or give it up when it has waited as long as ``flows.account_wait_hours``."""
    waited = now - row.received_at
    if waited >= dt.timedelta(hours=config.flows["account_wait_hours"]):
        handled.dead.append((row, UNKNOWN_ACCOUNT))
    else:
        handled.later.append((row, now + dt.timedelta(seconds=_wait(waited.total_seconds())), WAITS_FOR_ACCOUNT))


def _wait(waited: float) -> float:
    return next((step for step in FIRST_WAITS if step > waited), LONGEST_WAIT)


def _read(row: InboxMessage, handled: Handled) -> Event | None:
    try:
        return flow_events.event_of(row)
    except EventError as error:
        handled.dead.append((row, str(error)))
        return None


def _uuid(account_id: str) -> uuid.UUID | None:
    try:
        found = uuid.UUID(account_id)
    except ValueError:
        return None
    return found if str(found) == account_id else None
