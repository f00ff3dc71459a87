"""Asking the rules of all templates what they say to events: in memory, before the database is asked anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from badges.catalog.event_types import LearnerData
from badges.catalog.snapshot import CompiledRequirement, Snapshot
from badges.intake.events import Event
from badges.pipeline.results import NO_LEARNER, NO_MATCH, NOT_CONFIGURED, BatchResult


@dataclass(frozen=True, slots=True)
class Match:
    """An event that somebody cares about, whom it is about and the requirements it meets."""

    event: Event
    person: LearnerData
    requirements: Sequence[CompiledRequirement]


@dataclass
class MatchedBatch:
    """
    A batch, sorted: what somebody cares about, and what has a learner and meets nothing.

    ``near_misses`` are collected only when they are to be kept. ``ignored`` says why by event id.
    """

    matches: list[Match] = field(default_factory=list)
    near_misses: list[tuple[Event, LearnerData]] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)

    def people(self) -> Iterator[LearnerData]:
        """Yield whom the matches are about."""
        return (match.person for match in self.matches)

    def ignore(self, event: Event, reason: str, result: BatchResult) -> None:
        """Count an event that nobody cares about, and remember why."""
        result.ignored[event.type, reason] += 1
        self.ignored[event.id] = reason


def match_events(
    events: Iterable[Event], catalog: Snapshot, result: BatchResult, *, keep_unmatched: bool
) -> MatchedBatch:
    """Ask the catalog about each event; what nobody cares about is counted by type and reason."""
    matched = MatchedBatch()
    for event in events:
        definition = catalog.definitions.get(event.type)
        person = definition.learner(event.data) if definition else None
        if definition is None:
            matched.ignore(event, NOT_CONFIGURED, result)
        elif person is None:
            matched.ignore(event, NO_LEARNER, result)
        elif requirements := catalog.matching(event.type, definition.subject(event.data)):
            matched.matches.append(Match(event, person, requirements))
        else:
            matched.ignore(event, NO_MATCH, result)
            if keep_unmatched:
                matched.near_misses.append((event, person))
    return matched
