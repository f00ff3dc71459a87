"""
Criteria over the event log: what a person's logged events say of a document, for people who ask why.

Decides and writes nothing.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from badges.catalog import event_types
from badges.catalog.event_types import EventDefinition
from badges.catalog.figures import figures_of
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.rules import Criteria, Event, Moment, Result, earned

# So many logged events are evaluated, the newest ones.
MAX_EVENTS = 10_000
# At so many moments it is asked when a document was earned.
MAX_MOMENTS = 300


@dataclass(frozen=True)
class History:
    """
    What a document is evaluated over.

    ``names`` has, for people, what an event is called by its id in traces. ``is_cut`` says that there are older events.
    ``received`` has the time of arrival of each event by its id. ``figures`` are the engagement figures of the learner
    by name.
    """

    events: Sequence[Event] = ()
    names: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    received: Mapping[str, dt.datetime] = field(default_factory=dict)
    figures: Mapping[str, Any] = field(default_factory=dict)

    def counting_from(self, moment: dt.datetime | None, *, void_until: dt.datetime | None = None) -> list[Event]:
        """Return the events that arrived at a moment or later, all for None; those up to a reset are left out."""
        events = [event for event in self.events if moment is None or self.received[event.id] >= moment]
        return events if void_until is None else [event for event in events if event.occurred_at > void_until]


@dataclass(frozen=True)
class CriteriaEvaluation:
    """
    What a history says of a document at a moment.

    ``number`` is how many events were evaluated. ``result`` has the verdict, the trace and what is missing. The trace
    holds what events hold, so it may be personal. ``earned`` is the first moment at which the document held, and its
    event: a document that held once stays fulfilled. It is None if there was none, or if there are too many to ask.

    ``counts_from`` is the moment from which on events count, by their arrival; None if all of them do.
    ``arrived_before`` is how many events of the history arrived before it. They were not evaluated.
    """

    criteria: Criteria
    history: History
    at: dt.datetime
    number: int
    result: Result
    earned: Moment | None = None
    counts_from: dt.datetime | None = None
    arrived_before: int = 0


def evaluate(
    criteria: Criteria,
    history: History,
    *,
    at: dt.datetime,
    counts_from: dt.datetime | None = None,
    void_until: dt.datetime | None = None,
) -> CriteriaEvaluation:
    """
    Return what a history says of a document at a moment. Later events are left out.

    Events that arrived before ``counts_from`` are left out, too, as in the decisions of a stored template, and so are
    events at or before ``void_until``, when the document was reset.
    """
    counting = history.counting_from(counts_from)
    until = [event for event in history.counting_from(counts_from, void_until=void_until) if event.occurred_at <= at]
    result = criteria.evaluate(until, now=at, figures=history.figures)
    since = min((event.occurred_at for event in until), default=at)
    held = earned(criteria, until, since=since, now=at, figures=history.figures, limit=MAX_MOMENTS).earned
    arrived_before = len(history.events) - len(counting)
    return CriteriaEvaluation(criteria, history, at, len(until), result, held, counts_from, arrived_before)


def logged_history(
    lms_user_id: int | None,
    learner_id: int | None,
    documents: Collection[Criteria],
    *,
    until: dt.datetime,
    limit: int = MAX_EVENTS,
) -> History:
    """
    Return the logged events of a person that documents read, the newest ones, and the figures at the moment ``until``.

    At most two statements, besides those of the source of the figures. A learner may have events from before the LMS
    user id was known. A person without a learner has no figures.
    """
    read = {name for criteria in documents for name in criteria.event_types}
    types = None if None in read else [name for name in read if name is not None]
    keys = {event_log.person_key(lms_user_id), event_log.person_key(None, learner_id)} - {None}
    rows = [row for key in keys if key for row in event_log.events_of(key, types, until=until, limit=limit + 1)]
    rows.sort(key=lambda row: (row.occurred_at, row.digest), reverse=True)
    found = history_of_rows(rows[:limit], is_cut=len(rows) > limit)
    return replace(found, figures=figures_for(learner_id, documents, now=until))


def figures_for(learner_id: int | None, documents: Iterable[Criteria], *, now: dt.datetime) -> Mapping[str, Any]:
    """Return the figures of a learner that documents ask for; none, and no statement, if nobody or nothing is asked."""
    names = {name for criteria in documents for name in criteria.figures}
    return figures_of([learner_id], names, now=now).get(learner_id, {}) if learner_id is not None else {}


def history_of_rows(rows: Iterable[LoggedEvent], *, is_cut: bool = False) -> History:
    """Return logged events as a history. Those whose type is not configured any more are left out."""
    definitions = event_types.configured()
    known = [(row, definitions[row.event_type]) for row in rows if row.event_type in definitions]
    events = [
        Event(str(row.digest), row.event_type, row.occurred_at, payload_of(definition, row.loaded()))
        for row, definition in known
    ]
    received: dict[str, dt.datetime] = {}
    for row, _definition in known:
        # It may be there twice: from before the LMS user id was known, and from after that.
        received[str(row.digest)] = min(row.received_at, received.get(str(row.digest), row.received_at))
    return History(events, {str(row.digest): str(row) for row, _definition in known}, is_cut, received)


def payload_of(definition: EventDefinition | None, data: Any) -> Any:
    """
    Return what criteria see of the data of a logged event.

    None, in which nothing is found, if the type is not configured any more or its events had another shape.
    """
    return definition.subject(data) if definition and isinstance(data, dict) else None


def unlogged_row(definition: EventDefinition, *, source: str, id: str, time: dt.datetime, data: Any) -> LoggedEvent:
    """Return an event as the log would have it, without personal data. It is about nobody and must not be saved."""
    return event_log.row_of(definition, person=0, source=source, id=id, time=time, data=data, now=time)
