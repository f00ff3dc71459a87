"""
What the event log says about a person and a template.

The template's compiled rules are asked about each logged event, as the pipeline asks them about an event that arrives.
A fact at or before the newest penalty of its requirement is void, so of each requirement two facts matter: the first
and the newest one after that penalty. So little is remembered, however many events a person has.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.db.models import F, QuerySet

from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import EventDefinition
from badges.catalog.interests import CompiledTemplate, HistoryEvent, Interest, Penalty, Requirement
from badges.database import Among
from badges.history.criteria import payload_of
from badges.history.models import LoggedEvent
from badges.rules import RuleIndex

# So many rows are fetched at once.
ROWS = 2000


@dataclass(frozen=True)
class LogRules:
    """
    The templates that logged events are decided for, and their rules by event type.

    ``templates`` are those of the catalog, but all events count for their criteria documents, whenever they arrived.
    ``since`` leaves earlier events out, by the time at which they happened; None: none.
    """

    templates: Mapping[int, CompiledTemplate]
    interests: Mapping[str, RuleIndex]
    definitions: Mapping[str, EventDefinition]
    since: dt.datetime | None = None

    @property
    def reads_figures(self) -> bool:
        """Whether a document reads engagement figures, which people may have without logged events."""
        return any(each.criteria is not None and each.criteria.figures for each in self.templates.values())

    def events(self) -> QuerySet[LoggedEvent]:
        """Return the logged events that the rules are asked about."""
        rows = LoggedEvent.objects.filter(event_type__in=sorted(self.interests)).order_by()
        return rows if self.since is None else rows.filter(occurred_at__gte=self.since)


def log_rules(
    templates: Iterable[CompiledTemplate], definitions: Mapping[str, EventDefinition], since: dt.datetime | None
) -> LogRules:
    """Return the rules of templates of the catalog."""
    found = {template.id: template for template in templates}
    interests: dict[str, list[Interest]] = {}
    for template in found.values():
        for interest in template.interests:
            interests.setdefault(interest.event_type, []).append(interest)
    counting = {pk: replace(template, counts_from=None) for pk, template in found.items()}
    indexes = {name: RuleIndex((each.rules, each) for each in found) for name, found in interests.items()}
    return LogRules(counting, indexes, definitions, since)


@dataclass(slots=True)
class Evidence:
    """
    What the log says about one person and one template. Events are added in the order of their times.

    - ``facts``: the first and the newest fact of each requirement that no penalty of the log makes void.
    - ``penalties``: the newest penalty of each requirement.
    - ``asked_from``: the time of the first event for which the criteria document has to be asked.
    - ``creates_learner``: whether the person gets a learner because of these events.
    """

    facts: dict[int, tuple[Cause, Cause]] = field(default_factory=dict)
    penalties: dict[int, Cause] = field(default_factory=dict)
    asked_from: dt.datetime | None = None
    creates_learner: bool = False

    def add(self, interest: Interest, cause: Cause) -> None:
        """Add an event for which the rules of an interest hold."""
        time = _time(cause)
        self.creates_learner |= interest.creates_learner
        if isinstance(interest, Requirement):
            self._add_fact(interest.id, cause, time)
        elif isinstance(interest, Penalty):
            for requirement_id in interest.requirement_ids:
                self.facts.pop(requirement_id, None)  # none of them is later
                known = self.penalties.get(requirement_id)
                if known is None or _time(known) < time:
                    self.penalties[requirement_id] = cause
        elif isinstance(interest, HistoryEvent) and self.asked_from is None:
            self.asked_from = time

    def _add_fact(self, requirement_id: int, cause: Cause, time: dt.datetime) -> None:
        penalty = self.penalties.get(requirement_id)
        if penalty is not None and time <= _time(penalty):
            return
        first, newest = self.facts.get(requirement_id, (cause, cause))
        if (time, cause.event_id) > (_time(newest), newest.event_id):
            newest = cause
        self.facts[requirement_id] = first, newest


# By the key of the event log, then by the id of the template.
EvidenceOfPeople = dict[int, dict[int, Evidence]]


def read_evidence(keys: Mapping[int, int], rules: LogRules) -> EvidenceOfPeople:
    """
    Return what the log says about people; one statement.

    ``keys`` are the keys of the event log, each with the one under which the person is returned: somebody may have
    events from before the LMS user id was known.
    """
    found: EvidenceOfPeople = {}
    if not keys or not rules.interests:
        return found
    rows = rules.events().filter(Among(F("person"), list(keys))).order_by("occurred_at", "digest")
    columns = ("person", "event_type", "event_source", "event_id", "occurred_at", "data")
    for person, event_type, source, event_id, time, data in rows.values_list(*columns).iterator(ROWS):
        subject = payload_of(rules.definitions.get(event_type), _loaded(data))
        cause: Cause | None = None
        for interest in rules.interests[event_type].matching(subject):
            cause = cause or Cause(
                CauseKind.EVENT,
                event_source=source,
                event_id=event_id,
                event_type=event_type,
                event_time=time,
            )
            of_person = found.setdefault(keys[person], {})
            of_person.setdefault(interest.template.id, Evidence()).add(interest, cause)
    return found


def people_with_events(keys: Collection[int], rules: LogRules) -> set[int]:
    """Return those keys of the event log that have events which the rules are asked about; one statement, or none."""
    if not keys or not rules.interests:
        return set()
    return set(rules.events().filter(Among(F("person"), list(keys))).values_list("person", flat=True).distinct())


def _time(cause: Cause) -> dt.datetime:
    assert cause.event_time is not None, "a logged event has a time"
    return cause.event_time


def _loaded(data: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None  # one damaged row must not stop all others
