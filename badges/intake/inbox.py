"""
The inbox: write events, claim pending ones, record what became of them.

The unique source and id of a row make an event count once, however often it arrives, from the bus, a file, a signal or
the REST API.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence

from django.db.models import Q, QuerySet
from uuid6 import uuid7

from badges.catalog.event_types import LearnerData
from badges.catalog.learner_paths import ExternalIdentity, name_digest
from badges.common.claims import Claims
from badges.exceptions import EventError
from badges.inserts import insert, new_row, statements_of
from badges.intake.events import ID_LENGTH, Event, Identity, Unreadable, stored_text
from badges.intake.models import EVENT, PLACE_LENGTH, InboxMessage, InboxState

REASON_LENGTH = 500

# What a row gets anew when its event is handled once more. Its id and where it was received stay.
_WRITTEN_AGAIN = (
    *("kind", "event_time", "name_digest", "payload", "state", "due_at", "claim", "attempts", "reason"),
    *("received_at", "processed_at"),
)

# A claim counts as an attempt: a batch is decided as a whole, so there is no later moment to count one.
_claims = Claims(InboxMessage, unfinished=Q(state=InboxState.PENDING), counts=("attempts",))

UNENCODABLE = (
    "The database does not take the text of this event. Do what manage.py check --database default says, then let the "
    "event be sent again."
)
TOO_LONG = (
    "Stored, the event may take {size} bytes of a statement; the database server's max_allowed_packet is {limit}. "
    "Raise that, then let the event be sent again."
)
CLEARED = "Somebody was retired while this waited, and it may have been about them. Let its sender send it again."
# The most bytes that a row takes in an INSERT besides its payload. A character has up to four bytes.
ROW_OVERHEAD = 8192


def row_of(
    event: Event,
    *,
    state: InboxState,
    now: dt.datetime,
    person: LearnerData | None,
    reason: str = "",
    due_at: dt.datetime | None = None,
) -> InboxMessage:
    """Return the unsaved row of an event about a person. ``due_at`` is needed for the state PENDING only."""
    key = person.key if person else None
    return new_row(
        InboxMessage,
        id=uuid7(),
        source=event.source,
        event_id=event.id,
        event_type=event.type,
        event_time=event.time,
        lms_user_id=key if isinstance(key, int) and 0 < key < 2**63 else None,
        name_digest=name_digest(key) if key and not isinstance(key, int) else None,
        payload=stored_text(event),
        received_from=shortened_place(event.received_from),
        state=state,
        due_at=due_at,
        reason=reason[:REASON_LENGTH],
        received_at=now,
        processed_at=None if state is InboxState.PENDING else now,
    )


def shortened_place(received_from: str) -> str:
    """
    Return where something was received, as it is stored.

    A topic with partition and offset always fits. The name of a file may be too long; then its middle is left out, so
    that the number of the line stays. This text identifies nothing: ``source`` and ``event_id`` do, and are never
    shortened.
    """
    if len(received_from) <= PLACE_LENGTH:
        return received_from
    half = (PLACE_LENGTH - 1) // 2
    return f"{received_from[:half]}…{received_from[-half:]}"


def dead_row_of(unreadable: Unreadable, *, now: dt.datetime) -> InboxMessage:
    """Return the unsaved row of something that could not be read."""
    return InboxMessage(
        id=uuid7(),
        source="",
        event_id=_id_or_digest(unreadable.id),
        event_type=unreadable.type,
        payload=unreadable.body,
        received_from=shortened_place(unreadable.received_from),
        state=InboxState.DEAD,
        reason=unreadable.reason[:REASON_LENGTH],
        received_at=now,
        processed_at=now,
    )


def write(rows: Sequence[InboxMessage]) -> set[Identity]:
    """
    Insert rows; return which of their sources and ids were new.

    The others are duplicates: they are in the inbox already.

    Must be the first statement of its transaction. On SQLite this write makes the transaction exclusive. On the other
    databases it waits for a process that is just writing the same event. One statement, or several when the server
    limits their length (``statement_bytes``), and one to read back. Raises EventError for an event that is too long for
    any statement. A dead letter that is too long loses its payload.
    """
    ordered = sorted(rows, key=lambda row: (row.source, row.event_id))
    for statement in statements_of(ordered, size_of=_size_in_sql, too_long=_shorten):
        insert(statement, unique=("source", "event_id"))
    new = InboxMessage.objects.filter(id__in=[row.id for row in ordered]).order_by()
    return set(new.values_list("source", "event_id"))


def claim(limit: int, now: dt.datetime, *, lease: float) -> list[InboxMessage]:
    """
    Claim up to ``limit`` due rows for ``lease`` seconds, and count the attempt; committed when this returns.

    A row that its last worker did not finish is claimed alone, since it may be what killed the worker. The attempt is
    counted before and not after, so that it does not do so for ever. Must not be called in a transaction.
    """
    due = InboxMessage.objects.filter(due_at__lte=now).order_by("due_at")
    rows = _claims.claim(due, limit=limit, now=now, lease=lease)
    return sorted(rows, key=lambda row: (row.received_at, row.id))


def release(rows: Sequence[InboxMessage], *, due_at: dt.datetime, reason: str | None = None) -> int:
    """
    Give claimed rows back as if they had not been tried; returns how many were still claimed and not finished.

    ``reason`` says what they wait for; None leaves the reason as it is.
    """
    changes = {} if reason is None else {"reason": reason[:REASON_LENGTH]}
    return _claims.release(rows, due_at=due_at, **changes)


def reschedule(row: InboxMessage, *, due_at: dt.datetime, reason: str) -> None:
    """Give a row back that failed: it is tried again at ``due_at``."""
    _claims.reschedule([row], due_at=due_at, reason=reason[:REASON_LENGTH])


def finish(
    rows: Sequence[InboxMessage], *, state: InboxState, now: dt.datetime, reason: str = "", clear: bool = False
) -> int:
    """
    Write down what became of claimed rows; returns how many were still claimed.

    ``clear``: the rows lose their payloads, LMS user ids and digests of names. Must be the first write of its
    transaction.
    """
    cleared: dict[str, None] = {"payload": None, "lms_user_id": None, "name_digest": None} if clear else {}
    return _claims.finish(rows, state=state, processed_at=now, reason=reason[:REASON_LENGTH], **cleared)


def let_wait(rows: Sequence[InboxMessage], *, due_at: dt.datetime, reason: str) -> None:
    """Make rows pending again that were finished in this transaction. No attempt is counted."""
    _finished(rows).update(
        state=InboxState.PENDING, due_at=due_at, attempts=0, processed_at=None, reason=reason[:REASON_LENGTH]
    )


def let_die(rows: Sequence[InboxMessage], *, reason: str) -> None:
    """Make rows dead letters that were finished in this transaction."""
    _finished(rows).update(state=InboxState.DEAD, reason=reason[:REASON_LENGTH])


def clear_finished(rows: Sequence[InboxMessage], *, reason: str) -> None:
    """Delete the payloads and names of rows that were finished in this transaction."""
    _finished(rows).update(payload=None, lms_user_id=None, name_digest=None, reason=reason[:REASON_LENGTH])


def _finished(rows: Sequence[InboxMessage]) -> QuerySet[InboxMessage]:
    return InboxMessage.objects.filter(pk__in=[row.pk for row in rows], due_at=None)


def requeue(rows: QuerySet[InboxMessage], *, now: dt.datetime) -> int:
    """Make dead letters that have their payload pending again, for an operator; return how many."""
    dead = rows.filter(state=InboxState.DEAD, payload__isnull=False)
    return dead.update(state=InboxState.PENDING, due_at=now, attempts=0, processed_at=None)


def write_again(rows: Sequence[InboxMessage]) -> int:
    """
    Write unsaved, pending rows over those that have the same source and id, to be handled once more; return how many.

    No two of them have the same source and id. One statement, or none.
    """
    ordered = sorted(rows, key=lambda row: (row.source, row.event_id))
    insert(ordered, unique=("source", "event_id"), update=_WRITTEN_AGAIN)
    return len(ordered)


def note_person(row: InboxMessage, *, kind: str, person: LearnerData) -> None:
    """Write the kind of a claimed row and whom it is about, so that it is found when this person is retired."""
    key = person.key
    digest = None if isinstance(key, int) else name_digest(key)
    _claims.still_claimed([row]).update(kind=kind, name_digest=digest)


def clear_payloads(*, before: dt.datetime, step: int = 500) -> int:
    """
    Delete the payloads of events that were decided before a time; return how many.

    The rows stay, so that duplicates are still recognised. Each transaction changes ``step`` rows, so that no other
    process waits for long.
    """
    old = InboxMessage.objects.filter(processed_at__lt=before, payload__isnull=False).exclude(state=InboxState.PENDING)
    gone, unseen = 0, old
    while ids := list(unseen.order_by("id").values_list("id", flat=True)[:step]):
        gone += old.filter(id__in=ids).update(payload=None)
        unseen = old.filter(id__gt=ids[-1])
    return gone


def delete_decided(*, before: dt.datetime, limit: int) -> int:
    """
    Delete up to ``limit`` rows of events that were decided before a time; return how many. Dead letters stay.

    A deleted event that arrives again is new. It changes nothing twice: a requirement that is fulfilled stays so, and a
    learner has one active credential of a template.
    """
    states = [InboxState.PROCESSED, InboxState.UNMATCHED]
    old = InboxMessage.objects.filter(state__in=states, received_at__lt=before, processed_at__lt=before)
    found = list(old.order_by("received_at").values_list("pk", flat=True)[:limit])
    return InboxMessage.objects.filter(pk__in=found).delete()[0] if found else 0


def rows_about(lms_user_id: int | None, names: Iterable[str | ExternalIdentity]) -> QuerySet[InboxMessage]:
    """Return the rows about a person who has this LMS user id, or is named by a username or an external identity."""
    condition = Q(name_digest__in=[name_digest(name) for name in names])
    if lms_user_id is not None:
        condition |= Q(lms_user_id=lms_user_id)
    return InboxMessage.objects.filter(condition)


def clear_personal_data(rows: QuerySet[InboxMessage], *, now: dt.datetime) -> int:
    """Delete payloads and names of events about a person; return how many. Pending ones become dead letters."""
    rows.filter(state=InboxState.PENDING).update(
        state=InboxState.DEAD, due_at=None, claim=None, processed_at=now, reason="The learner was retired."
    )
    return rows.update(payload=None, lms_user_id=None, name_digest=None)


def clear_unreadable_payloads(*, now: dt.datetime) -> int:
    """
    Delete the payloads of what could not be read and names no person; return how many.

    Nobody can tell whom it is about, so it goes at every retirement. The rows stay, with where they were read. Those
    that wait because an operator tries them again become dead letters.
    """
    nobody = Q(kind=EVENT, lms_user_id=None, name_digest=None, payload__isnull=False)
    waiting = InboxMessage.objects.filter(nobody, source="", state=InboxState.PENDING)
    done = {"state": InboxState.DEAD, "due_at": None, "claim": None, "processed_at": now}
    cleared = waiting.update(payload=None, reason=CLEARED, **done)
    return cleared + InboxMessage.objects.filter(nobody, state=InboxState.DEAD).update(payload=None)


def _id_or_digest(text: str) -> str:
    """Return the text, or a digest of it where it is longer than its column: cut off, two of them could be one."""
    if len(text) <= ID_LENGTH:
        return text
    return f"sha256:{hashlib.sha256(text.encode(errors='replace')).hexdigest()}"


def _size_in_sql(row: InboxMessage) -> int:
    """Return the most bytes that a row takes in a statement. Each byte may be escaped by one more."""
    payload = row.payload or ""
    return ROW_OVERHEAD + 2 * (len(payload) if payload.isascii() else len(payload.encode()))


def _shorten(row: InboxMessage, size: int, limit: int) -> int:
    """Take the payload from a dead letter that is too long, and return its new size. Raises EventError for others."""
    if row.state != InboxState.DEAD:
        raise EventError(TOO_LONG.format(size=size, limit=limit))
    row.payload = None
    return ROW_OVERHEAD
