"""
The decision of one batch: what its events mean for learners, progress and credentials.

``decide`` is read from top to bottom: ask the rules, find the learners, write the inbox rows, apply to progress, award.
The functions below it stand in the same order. Each step takes one or two statements for the whole batch; everything
between the statements happens in memory.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self
from uuid import UUID

from badges import granting
from badges.catalog import snapshot
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import LearnerData
from badges.catalog.learner_template_ids import learner_template_id
from badges.catalog.snapshot import CompiledRequirement, CompiledTemplate, Snapshot
from badges.conf import config
from badges.database import read_committed
from badges.granting import NewAward
from badges.intake import learners
from badges.intake.events import Event, Identity
from badges.intake.learners import LearnerLookup
from badges.intake.models import Learner
from badges.progress import states
from badges.progress.states import ProgressState
from badges.rules import completion

# Why an event was ignored.
NOT_CONFIGURED, NO_LEARNER, NO_MATCH, RETIRED = "not configured", "no learner", "no match", "retired"


@dataclass
class BatchResult:
    """
    What became of events, counted.

    ``ignored`` counts by event type and reason; an ignored event cost no write. ``dead`` counts dead letters,
    ``postponed`` counts events that failed and will be tried again.
    """

    seen: int = 0
    matched: int = 0
    awarded: int = 0
    duplicates: int = 0
    dead: int = 0
    postponed: int = 0
    ignored: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __iadd__(self, other: BatchResult) -> Self:
        for name in ("seen", "matched", "awarded", "duplicates", "dead", "postponed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ignored.update(other.ignored)
        return self


@dataclass(frozen=True, slots=True)
class Match:
    """An event that meets at least one requirement, whom it is about, and the requirements that it meets."""

    event: Event
    person: LearnerData
    requirements: Sequence[CompiledRequirement]


@dataclass
class MatchedBatch:
    """
    The answers of the rules for a batch.

    ``near_misses`` are events about a person that meet no requirement. They are collected only when
    ``LMS_BADGES_CONFIG["keep_unmatched"]`` asks for them. ``ignored`` is the reason for each ignored event, by its
    source and id.
    """

    matches: list[Match] = field(default_factory=list)
    near_misses: list[tuple[Event, LearnerData]] = field(default_factory=list)
    ignored: dict[Identity, str] = field(default_factory=dict)

    def people(self) -> Iterator[LearnerData]:
        """Yield whom the matches are about."""
        return (match.person for match in self.matches)

    def ignore(self, event: Event, reason: str, result: BatchResult) -> None:
        """Count an event that meets no requirement or has no learner, and remember why."""
        result.ignored[event.type, reason] += 1
        self.ignored[event.identity] = reason


class EventBatch(Protocol):
    """
    What ``decide`` and its caller need to know about the inbox rows of a batch.

    ``badges.pipeline.batches`` has the two kinds: ``BusBatch`` and ``InboxBatch``.
    """

    def is_idle(self, matched: MatchedBatch) -> bool:
        """Return whether nothing has to be written for this batch."""

    def write_inbox(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        """
        Write the state of the batch's inbox rows; return the matches that this process may decide.

        This is the first write of the transaction. Raises ClaimLostError when another worker has claimed a row.
        """

    def attempts_of(self, event: Event) -> int:
        """Return how often an event was tried, this time included."""

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        """Keep an event that failed: until a later try, or as a dead letter when ``until`` is None."""


@dataclass(frozen=True, slots=True)
class _LearnerProgress:
    """A learner, a template, and the state of this learner's progress on it."""

    learner: Learner
    template: CompiledTemplate
    state: ProgressState


def decide(events: Sequence[Event], batch: EventBatch, *, now: dt.datetime) -> BatchResult:
    """
    Decide a batch in one transaction; when this returns, everything that it changes is committed.

    The number of SQL statements depends neither on the size of the batch nor on the number of templates. Only SQLite
    may split an insert.
    """
    result = BatchResult()
    matched = match_events(events, snapshot.current(), result, keep_unmatched=config.keep_unmatched)
    bystanders = (person.lms_user_id for _, person in matched.near_misses)
    lookup = learners.look_up(matched.people(), bystanders=bystanders)
    _ignore_retired(matched, lookup, result)
    _ignore_matches_without_learner(matched, lookup, result)
    if batch.is_idle(matched):
        return result
    with read_committed():
        matches = batch.write_inbox(events, matched, lookup, now=now, result=result)
        if matches:
            learner_of = learners.get_or_create(lookup, {match.person.lms_user_id for match in matches})
            completed = _apply_to_progress(matches, learner_of, now)
            result.awarded = len(granting.award(completed, now=now))
    result.matched = len(matches)
    return result


# --- ask the rules -------------------------------------------------------------------------------------------------


def match_events(
    events: Iterable[Event], catalog: Snapshot, result: BatchResult, *, keep_unmatched: bool
) -> MatchedBatch:
    """
    Ask the rules of all templates about each event; no statement.

    Events that meet no requirement are counted in ``result`` by type and reason.
    """
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


# --- find the learners ---------------------------------------------------------------------------------------------


def _ignore_retired(matched: MatchedBatch, lookup: LearnerLookup, result: BatchResult) -> None:
    if not lookup.retired:
        return
    for match in matched.matches:
        if match.person.lms_user_id in lookup.retired:
            matched.ignore(match.event, RETIRED, result)
    for event, person in matched.near_misses:
        if person.lms_user_id in lookup.retired:
            result.ignored[event.type, NO_MATCH] -= 1
            matched.ignore(event, RETIRED, result)
    matched.matches = [match for match in matched.matches if match.person.lms_user_id not in lookup.retired]
    matched.near_misses = [miss for miss in matched.near_misses if miss[1].lms_user_id not in lookup.retired]


def _ignore_matches_without_learner(matched: MatchedBatch, lookup: LearnerLookup, result: BatchResult) -> None:
    matches, matched.matches = matched.matches, []
    for match in matches:
        lms_user_id = match.person.lms_user_id
        if lookup.identifies(lms_user_id) or lms_user_id in lookup.refused:
            matched.matches.append(match)
        else:
            matched.ignore(match.event, NO_LEARNER, result)


# --- apply to progress ---------------------------------------------------------------------------------------------


def _apply_to_progress(matches: Sequence[Match], learner_of: dict[int, Learner], now: dt.datetime) -> list[NewAward]:
    """Fulfil requirements and store that; return the awards of what became complete."""
    in_progress = _load_progress(matches, learner_of)
    completed = []
    for match in matches:
        cause = _cause_of(match.event)
        learner = learner_of[match.person.lms_user_id]
        touched = {}
        for requirement in match.requirements:
            progress = touched[requirement.template.id] = in_progress[
                learner_template_id(learner.pk, requirement.template.id)
            ]
            progress.state.fulfill(requirement.id, cause=cause, revision_id=progress.template.revision_id, now=now)
        completed += [
            NewAward(learner.pk, progress.template, cause) for progress in touched.values() if _completes(progress, now)
        ]
    states.store(
        ((progress.state, progress.learner.pk, progress.template.id) for progress in in_progress.values()), now=now
    )
    return completed


def _load_progress(matches: Iterable[Match], learner_of: dict[int, Learner]) -> dict[UUID, _LearnerProgress]:
    """Load the progress of all learners of a batch on all templates that the batch touches; one statement."""
    wanted = {
        learner_template_id(learner.pk, requirement.template.id): (learner, requirement.template)
        for match in matches
        for learner in [learner_of[match.person.lms_user_id]]
        for requirement in match.requirements
    }
    state_of = states.load(wanted)
    return {key: _LearnerProgress(learner, template, state_of[key]) for key, (learner, template) in wanted.items()}


def _completes(progress: _LearnerProgress, now: dt.datetime) -> bool:
    """Mark progress as complete if it is complete for the first time; return whether it is."""
    state = progress.state
    if state.completed_at is not None or not completion(progress.template.requirements, state.fulfilled).complete:
        return False
    state.complete(now=now)
    return True


def _cause_of(event: Event) -> Cause:
    return Cause(
        CauseKind.EVENT,
        event_source=event.source,
        event_id=event.id,
        event_type=event.type,
        event_time=event.time,
    )
