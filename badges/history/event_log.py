"""
The event log: what each person did, for rules that look back.

Every event of a configured type about a person that can be named is logged, without the fields that are declared
personal. ``LMS_BADGES_CONFIG["event_log"]["days"]`` says for how many days, and ``event_log["types"]`` has other
numbers for single types. With 0 days nothing is logged, and what was logged before is deleted. Events that criteria
documents of active templates read are logged in any case, and kept as long as they count for a document that can look
back to them.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.db.models import Q

from badges.catalog import snapshot
from badges.catalog.event_types import EventDefinition
from badges.conf import config
from badges.history.models import LoggedEvent
from badges.inserts import insert, new_row, statements_of
from badges.rules import event_digest, to_text

log = logging.getLogger(__name__)

# The most bytes that a row takes in an INSERT besides its data. A character has up to four bytes.
ROW_OVERHEAD = 4096


def person_key(lms_user_id: int | None, learner_id: int | None = None) -> int | None:
    """
    Return what the log knows a person by: the LMS user id, or minus the learner's id for a learner without one.

    Returns None for nobody: no number is given, or the LMS user id cannot be one (positive, at most 63 bits).
    """
    if lms_user_id is not None:
        return lms_user_id if 0 < lms_user_id < 2**63 else None
    return None if learner_id is None else -learner_id


def is_logged(event_type: str) -> bool:
    """Return whether the settings say that events of a type are logged."""
    settings = config.event_log
    return bool(settings["types"].get(event_type, settings["days"]))


def row_of(
    definition: EventDefinition,
    *,
    person: int,
    source: str,
    id: str,
    time: dt.datetime,
    data: Mapping[str, Any],
    now: dt.datetime,
) -> LoggedEvent:
    """Return the unsaved row of an event, without personal data. ``person`` is a ``person_key``."""
    return new_row(
        LoggedEvent,
        person=person,
        digest=event_digest(source, id),
        event_type=definition.type,
        event_source=source,
        event_id=id,
        occurred_at=time,
        received_at=now,
        data=to_text(definition.without_personal(data)),
    )


def write(rows: Iterable[LoggedEvent]) -> None:
    """
    Insert rows; an event that is logged already stays as it is.

    One statement, or several when the server limits their length. An event that is too long for any statement is not
    logged. Must be called in the transaction that decides the events, after all other tables are written.
    """
    # One order for all processes, so that two of them that log the same events wait for each other and do not deadlock.
    ordered = sorted(rows, key=lambda row: (row.person, row.digest))
    for statement in statements_of(ordered, size_of=_size_in_sql, too_long=_leave_out):
        insert(statement, unique=("person", "digest"))


def events_of(
    person: int,
    types: Collection[str] | None = None,
    *,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
    limit: int | None = None,
) -> list[LoggedEvent]:
    """
    Return the logged events of a person, newest first; one statement.

    ``person`` is a ``person_key``. ``types`` limits them to event types; None means every type. ``since`` and ``until``
    are times of the events, both inclusive. ``limit`` is the most events that are returned.
    """
    rows = LoggedEvent.objects.filter(person=person)
    if types is not None:
        rows = rows.filter(event_type__in=types)
    if since is not None:
        rows = rows.filter(occurred_at__gte=since)
    if until is not None:
        rows = rows.filter(occurred_at__lte=until)
    return list(rows.order_by("-occurred_at", "-digest")[:limit])


def first_arrival(types: Collection[str | None]) -> dt.datetime | None:
    """
    Return when the first logged event of these types arrived; None without any.

    None among the types stands for every type. One statement for each type.
    """
    names = _types() if None in types else (name for name in types if name is not None)
    rows = LoggedEvent.objects.order_by("received_at")
    moments = [rows.filter(event_type=name).values_list("received_at", flat=True).first() for name in names]
    return min((moment for moment in moments if moment is not None), default=None)


def delete_events_of(person: int) -> int:
    """Delete the logged events of a person; return how many."""
    return LoggedEvent.objects.filter(person=person).delete()[0]


def delete_expired(*, now: dt.datetime, step: int = 1000) -> int:
    """
    Delete the events that were logged longer ago than the settings say; return how many.

    Events stay that count for a criteria document of an active template, if it can still look back to them. Each
    transaction deletes ``step`` rows, so that no other process waits for long.
    """
    settings, catalog, gone = config.event_log, snapshot.current(), 0
    for event_type in _types():
        before = now - dt.timedelta(days=settings["types"].get(event_type, settings["days"]))
        old = LoggedEvent.objects.filter(event_type=event_type, received_at__lt=before).order_by("received_at")
        counts_from = catalog.history_counts_from(event_type)
        if counts_from is not None:
            since = catalog.history_since(event_type, now)
            too_old = Q() if since is None else Q(occurred_at__lt=since)
            old = old.filter(too_old | Q(received_at__lt=counts_from))
        while ids := list(old.values_list("pk", flat=True)[:step]):
            gone += LoggedEvent.objects.filter(pk__in=ids).delete()[0]
    return gone


def _types() -> Iterator[str]:
    """Yield the types of logged events. One look into the index for each, where DISTINCT would read all of it."""
    rows = LoggedEvent.objects.order_by("event_type").values_list("event_type", flat=True)
    found = rows.first()
    while found is not None:
        yield found
        found = rows.filter(event_type__gt=found).first()


def _size_in_sql(row: LoggedEvent) -> int:
    """Return the most bytes that a row takes in a statement. Each byte may be escaped by one more."""
    return ROW_OVERHEAD + 2 * len(row.data.encode())


def _leave_out(row: LoggedEvent, size: int, limit: int) -> None:
    log.warning("Event %s is not logged: it is longer than max_allowed_packet.", row)
