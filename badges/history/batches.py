"""The logged events of the learners of a batch, as criteria documents read them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from django.db.models import F, Window
from django.db.models.functions import RowNumber

from badges.catalog.event_types import EventDefinition
from badges.exceptions import BadgesError
from badges.history.criteria import MAX_EVENTS, payload_of
from badges.history.event_log import person_key
from badges.history.models import LoggedEvent
from badges.rules import Event, event_digest

# Of one person MAX_EVENTS events are read at most, the newest ones, and so many characters of their data.
CHARACTERS_OF_A_PERSON = 64 * 1024 * 1024
# So many are read at once for several people.
EVENTS_AT_ONCE = 100_000
CHARACTERS_AT_ONCE = 256 * 1024 * 1024

_COLUMNS = ("person", "digest", "event_type", "event_source", "event_id", "occurred_at", "data", "received_at")


class TooMuchHistoryError(BadgesError):
    """Several people have more logged events than are read at once. Fewer people can be decided."""


class Origin(NamedTuple):
    """What a cause says of an event, besides its type and time."""

    source: str
    id: str


class BatchHistory:
    """
    The events of each learner, as criteria documents read them, by the primary key of the learner.

    The id of an event is the text of its digest (``badges.rules.event_digest``). ``origins`` has its source and id.
    An event that was added and not read arrives now.
    """

    def __init__(self, definitions: Mapping[str, EventDefinition]):
        self._definitions = definitions
        self._events: dict[int, list[Event]] = {}
        self._received: dict[int, dict[str, dt.datetime]] = {}
        self.origins: dict[str, Origin] = {}

    def of(self, learner_id: int, *, counts_from: dt.datetime | None = None) -> list[Event]:
        """
        Return the events of a learner, in any order. An event that was added twice is there twice.

        With ``counts_from`` they are those that arrived at this moment or later. An event that arrives now and was
        logged before arrived then.
        """
        events = self._events.get(learner_id, [])
        if counts_from is None:
            return events
        received = self._received.get(learner_id, {})
        return [event for event in events if received.get(event.id, counts_from) >= counts_from]

    def add(self, learner_id: int, row: LoggedEvent) -> None:
        """Add an event that is logged, or is going to be."""
        self._add(learner_id, row.digest, row.event_type, row.event_source, row.event_id, row.occurred_at, row.data)

    def add_new(
        self, learner_id: int, *, type: str, source: str, id: str, time: dt.datetime, data: Mapping[str, Any]
    ) -> None:
        """Add an event that may not be logged. Its personal data is left out, as in the log."""
        kept = self._definitions[type].without_personal(data)
        self._add_loaded(learner_id, event_digest(source, id), type, Origin(source, id), time, kept)

    def read(
        self, people: Mapping[int, int | None], *, types: Collection[str] | None, since: dt.datetime | None
    ) -> None:
        """
        Add the logged events of learners; one statement.

        ``people`` has the LMS user id of each learner by primary key. ``types`` are event types, None for every type.
        ``since`` is the time of the first event, None for all. Of one person 10,000 events are read, the newest ones.
        Raises TooMuchHistoryError when several people have more than 100,000 together.
        """
        learner_of = {person_key(None, learner_id): learner_id for learner_id in people}
        learner_of |= {person_key(lms_user_id): learner_id for learner_id, lms_user_id in people.items() if lms_user_id}
        rows = LoggedEvent.objects.filter(person__in=[person for person in learner_of if person is not None])
        if types is not None:
            rows = rows.filter(event_type__in=types)
        if since is not None:
            rows = rows.filter(occurred_at__gte=since)
        position = Window(RowNumber(), partition_by=F("person"), order_by=[F("occurred_at").desc(), F("digest").desc()])
        newest = rows.annotate(position=position).filter(position__lte=MAX_EVENTS).order_by("person", "position")
        several, events, characters = len(people) > 1, 0, 0
        # As many rows as show that there are too many.
        for person, *columns, received_at in newest.values_list(*_COLUMNS)[: EVENTS_AT_ONCE + 1].iterator():
            events, characters = events + 1, characters + len(columns[-1])
            if several and (events > EVENTS_AT_ONCE or characters > CHARACTERS_AT_ONCE):
                raise TooMuchHistoryError(f"{len(people)} people have more than {EVENTS_AT_ONCE} logged events.")
            if several or characters <= CHARACTERS_OF_A_PERSON:
                learner_id = learner_of[person]
                event_id = self._add(learner_id, *columns)
                received = self._received.setdefault(learner_id, {})
                # It may be there twice: from before the LMS user id was known, and from after that.
                received[event_id] = min(received_at, received.get(event_id, received_at))

    def _add(self, learner_id: int, digest: UUID, type: str, source: str, id: str, time: dt.datetime, data: str) -> str:
        """Add an event whose data is text; return its id."""
        return self._add_loaded(learner_id, digest, type, Origin(source, id), time, _loaded(data))

    def _add_loaded(
        self, learner_id: int, digest: UUID, type: str, origin: Origin, time: dt.datetime, data: Any
    ) -> str:
        event = Event(str(digest), type, time, payload_of(self._definitions.get(type), data))
        self._events.setdefault(learner_id, []).append(event)
        self.origins[event.id] = origin
        return event.id


def _loaded(data: str) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None  # one damaged row must not stop all later events of the learner
