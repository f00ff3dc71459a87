"""
Criteria over the event log: what a person's logged events say of a document, for people who ask why.

Decides and writes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from badges.catalog import event_types
from badges.catalog.event_types import EventDefinition
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.rules import Criteria, Event, Result

# So many events are evaluated, the newest ones.
MAX_EVENTS = 1000


@dataclass(frozen=True)
class History:
    """
    What a document is evaluated over.

    ``names`` has, for people, what an event is called by its id in traces. ``is_cut`` says that there are older events.
    """

    events: Sequence[Event] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False


@dataclass(frozen=True)
class CriteriaEvaluation:
    """
    What a history says of a document at a moment.

    ``number`` is how many events were evaluated. ``result`` has the verdict, the trace and what is missing. The trace
    holds what events hold, so it may be personal.
    """

    criteria: Criteria
    history: History
    at: dt.datetime
    number: int
    result: Result


def evaluate(criteria: Criteria, history: History, *, at: dt.datetime) -> CriteriaEvaluation:
    """Return what a history says of a document at a moment. Later events are left out."""
    events = [event for event in history.events if event.occurred_at <= at]
    return CriteriaEvaluation(criteria, history, at, len(events), criteria.evaluate(events, now=at))


def logged_history(person: int, criteria: Criteria, *, until: dt.datetime, limit: int = MAX_EVENTS) -> History:
    """
    Return the logged events of a person that a document reads, the newest ones; one statement.

    ``person`` is a ``person_key``.
    """
    types = None if None in criteria.event_types else [name for name in criteria.event_types if name is not None]
    rows = event_log.events_of(person, types, until=until, limit=limit + 1)
    return history_of_rows(rows[:limit], is_cut=len(rows) > limit)


def history_of_rows(rows: Iterable[LoggedEvent], *, is_cut: bool = False) -> History:
    """Return logged events as a history. Those whose type is not configured any more are left out."""
    definitions = event_types.configured()
    known = [(row, definitions[row.event_type]) for row in rows if row.event_type in definitions]
    events = [
        Event(str(row.digest), row.event_type, row.occurred_at, definition.subject(row.loaded()))
        for row, definition in known
    ]
    return History(events, {str(row.digest): str(row) for row, _definition in known}, is_cut)


def unlogged_row(definition: EventDefinition, *, source: str, id: str, time: dt.datetime, data: Any) -> LoggedEvent:
    """Return an event as the log would have it, without personal data. It is about nobody and must not be saved."""
    return event_log.row_of(definition, person=0, source=source, id=id, time=time, data=data, now=time)
