"""
Kinds of inbox rows, and who handles each of them.

A row of the kind ``event`` is a learning event, which the pipeline decides. Any other kind has a handler: an entry
point of the group ``badges.inbox_kinds``, named like the part of the kind before its first colon. So ``webhook:credly``
and ``webhook:other`` are both handled by the entry point ``webhook``. It is loaded with its first row.

Entry points and not registration when Django starts: a worker then finds the handler whatever was imported before, and
a broken one costs its own rows and nothing else.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from django.db import transaction
from uuid6 import uuid7

from badges.common.entry_points import EntryPointLoader
from badges.exceptions import EventError, Retryable
from badges.intake import inbox
from badges.intake.events import ID_LENGTH, TOO_LONG
from badges.intake.models import InboxMessage, InboxState
from badges.outbox.worker_notifications import PROCESS_PENDING, notify_worker_on_commit

GROUP = "badges.inbox_kinds"


@dataclass
class Handled:
    """
    What a handler has done with its rows, where that is more than to process all of them.

    ``awarded`` is how many badges it has awarded. ``later`` are rows to be tried again, with the time and the reason:
    they wait for something, and no attempt is counted. ``dead`` are rows that become dead letters, with the reason.
    ``about_retired`` are rows about people who were retired; they lose their payloads.
    """

    awarded: int = 0
    later: list[tuple[InboxMessage, dt.datetime, str]] = field(default_factory=list)
    dead: list[tuple[InboxMessage, str]] = field(default_factory=list)
    about_retired: list[InboxMessage] = field(default_factory=list)


@runtime_checkable
class Handler(Protocol):
    """
    Handles claimed rows of its kind. They are marked as processed in the same transaction.

    It may only write to the database: what has to happen outside becomes an outbox row. Raises EventError for a row
    that cannot be used; the row becomes a dead letter with this message. After any other error of several rows they are
    handed over again in smaller parts. A row that fails alone is tried again later. A handler that awards badges
    returns how many. One that has to tell more of single rows returns ``Handled``.
    """

    def __call__(self, rows: Sequence[InboxMessage], *, now: dt.datetime) -> Handled | int | None: ...


class KindMissing(Retryable):
    """
    Nobody here handles this kind.

    Retryable, because a newer host may have written the row while this one waits for its upgrade.
    """


_handlers: EntryPointLoader[Handler] = EntryPointLoader(
    GROUP, noun="kind of inbox row", kind=Handler, error=KindMissing, remedy="bring the workers up to date"
)


def register(name: str, handler: Handler) -> None:
    """Handle a kind by this handler in this process, before any entry point of that name."""
    _handlers.register(name, handler)


def unregister(name: str) -> None:
    """Undo ``register``."""
    _handlers.unregister(name)


def handler_of(kind: str) -> Handler:
    """Return who handles a kind. Raises KindMissing, which names the remedy, when nobody does."""
    return _handlers.get(kind.partition(":")[0])


def receive(
    kind: str,
    payload: str,
    *,
    source: str,
    id: str,
    received_from: str,
    now: dt.datetime,
    lms_user_id: int | None = None,
) -> bool:
    """
    Write a row of a kind to the inbox, to be handled later; return whether it is new.

    ``source`` and ``id`` together identify what was received; the receiver chooses the source, so that no sender can
    use one of another. ``payload`` is text as it was received. The row is part of the caller's transaction, if there is
    one; a worker is notified when that commits. Raises EventError when ``source`` or ``id`` is too long.
    """
    for name, text in (("id", id), ("source", source)):
        if len(text) > ID_LENGTH:
            raise EventError(TOO_LONG.format(name=name))
    row = InboxMessage(
        id=uuid7(),
        kind=kind,
        source=source,
        event_id=id,
        lms_user_id=lms_user_id,
        payload=payload,
        received_from=inbox.shortened_place(received_from),
        state=InboxState.PENDING,
        due_at=now,
        received_at=now,
    )
    with transaction.atomic():
        new = inbox.write([row])
        notify_worker_on_commit(PROCESS_PENDING)
    return bool(new)
