"""
The decision of one batch: what its events mean for learners, progress and credentials.

``decide`` is read from top to bottom: ask the rules, find the learners, write the inbox rows, apply to progress, award
and revoke.
The functions below it stand in the same order. What is done for an event depends on the kinds of interests that it
meets: ``steps`` has a step for each kind. Each step takes one or two statements for the whole batch; everything between
the statements happens in memory.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from badges.catalog import snapshot
from badges.catalog.causes import Cause
from badges.catalog.event_types import LearnerData
from badges.catalog.interests import CompiledTemplate
from badges.catalog.learner_paths import PersonKey
from badges.catalog.snapshot import Snapshot
from badges.conf import config
from badges.database import read_committed
from badges.granting import NewAward, NewRevocation, award_and_revoke
from badges.history import event_log
from badges.history.models import LoggedEvent
from badges.intake import learners
from badges.intake.events import Event, Identity
from badges.intake.learners import LearnerLookup
from badges.intake.models import Learner
from badges.pipeline import steps
from badges.pipeline.learner_progress import load_progress
from badges.pipeline.penalties import StoredPenalty, stored_penalties
from badges.pipeline.steps import BatchWork, LearnerProgress, Match
from badges.progress import states
from badges.progress.states import Change

# Why an event was ignored.
NOT_CONFIGURED, NO_LEARNER, NO_MATCH, RETIRED = "not configured", "no learner", "no match", "retired"


@dataclass
class BatchResult:
    """
    What became of events, counted.

    ``ignored`` counts by event type and reason. Ignored events from a bus are not stored, unless ``keep_unmatched`` is
    on. ``dead`` counts dead letters, ``rescheduled`` counts events that failed and will be tried again.
    """

    seen: int = 0
    matched: int = 0
    awarded: int = 0
    revoked: int = 0
    duplicates: int = 0
    dead: int = 0
    rescheduled: int = 0
    ignored: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __iadd__(self, other: BatchResult) -> Self:
        for name in ("seen", "matched", "awarded", "revoked", "duplicates", "dead", "rescheduled"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ignored.update(other.ignored)
        return self


@dataclass
class MatchedBatch:
    """
    The answers of the rules for a batch.

    ``for_learners`` are events that are not kept, but matter to something if the person is a learner already.
    ``unmatched`` are events about a person in which nothing is interested. They are collected only when
    ``LMS_BADGES_CONFIG["keep_unmatched"]`` asks for them. ``about_people`` are all events about a person. ``ignored``
    is the reason for each ignored event, by its source and id.
    """

    matches: list[Match] = field(default_factory=list)
    for_learners: list[Match] = field(default_factory=list)
    unmatched: list[tuple[Event, LearnerData]] = field(default_factory=list)
    about_people: list[tuple[Event, LearnerData]] = field(default_factory=list)
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

    def has_nothing_to_write(self, matched: MatchedBatch) -> bool:
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


def decide(events: Sequence[Event], batch: EventBatch, *, now: dt.datetime) -> BatchResult:
    """
    Decide a batch in one transaction; when this returns, everything that it changes is committed.

    The number of SQL statements depends neither on the size of the batch nor on the number of templates. Only SQLite
    may split an insert.
    """
    result = BatchResult()
    catalog = snapshot.current()
    matched = match_events(events, catalog, result, keep_unmatched=config.keep_unmatched)
    to_log = events_to_log(matched, catalog)
    lookup = look_up_people(matched, to_log)
    logged = rows_to_log(to_log, lookup, catalog, now)
    _ignore_retired(matched, lookup, result)
    _ignore_matches_without_learner(matched, lookup, result)
    _keep_known_learners(matched, lookup)
    if batch.has_nothing_to_write(matched) and not logged and not matched.for_learners:
        return result
    with read_committed():
        matches = batch.write_inbox(events, matched, lookup, now=now, result=result)
        if everything := [*matches, *matched.for_learners]:
            learner_of = learners.get_or_create(lookup, _people_with_learner(everything, lookup))
            logged += rows_to_log(to_log, lookup, catalog, now, new_learners=learner_of)
            late = stored_penalties((learner_of[key] for key in lookup.unbound if key in learner_of), catalog)
            granted = award_and_revoke(_apply_steps(everything, learner_of, catalog, logged, late, now), now=now)
            result.awarded, result.revoked = len(granted.awarded), len(granted.revoked)
        event_log.write(logged)
    result.matched = len(matches)
    return result


def apply_stored_penalties(bound: Iterable[Learner], *, now: dt.datetime) -> None:
    """
    Apply the penalties that were stored by the LMS user ids of learners, which have just become known.

    For code that binds such an id outside of a decision, in the transaction that binds it and has locked the learners.
    Without stored penalties one statement; without learners none.
    """
    catalog = snapshot.current()
    if late := stored_penalties(bound, catalog):
        award_and_revoke(_apply_steps([], {}, catalog, [], late, now), now=now)


# --- ask the rules -------------------------------------------------------------------------------------------------


def match_events(
    events: Iterable[Event], catalog: Snapshot, result: BatchResult, *, keep_unmatched: bool
) -> MatchedBatch:
    """
    Ask the rules of all templates about each event; no statement.

    An event matches when it meets an interest that keeps events. Other events are counted in ``result`` by type and
    reason.
    """
    matched = MatchedBatch()
    for event in events:
        definition = catalog.definitions.get(event.type)
        person = definition.learner(event.data) if definition else None
        if definition is None:
            matched.ignore(event, NOT_CONFIGURED, result)
            continue
        if person is None:
            matched.ignore(event, NO_LEARNER, result)
            continue
        matched.about_people.append((event, person))
        interests = catalog.matching(event.type, definition.subject(event.data))
        if any(interest.keeps_event for interest in interests):
            matched.matches.append(Match(event, person, interests))
            continue
        if any(interest.asks_known_learners for interest in interests):
            matched.for_learners.append(Match(event, person, interests))
        matched.ignore(event, NO_MATCH, result)
        if keep_unmatched:
            matched.unmatched.append((event, person))
    return matched


# --- log the events ------------------------------------------------------------------------------------------------


def events_to_log(matched: MatchedBatch, catalog: Snapshot) -> list[tuple[Event, LearnerData]]:
    """Return the events of a batch that the event log is to have, whether or not they matched, with their people."""
    wanted = {type for type in {event.type for event, _person in matched.about_people} if is_logged(type, catalog)}
    return [(event, person) for event, person in matched.about_people if event.type in wanted]


def is_logged(event_type: str, catalog: Snapshot) -> bool:
    """Return whether events of a type are logged: the settings say so, or a criteria document reads them."""
    return event_log.is_logged(event_type) or catalog.reads_history_of(event_type)


def rows_to_log(
    to_log: Iterable[tuple[Event, LearnerData]],
    lookup: LearnerLookup,
    catalog: Snapshot,
    now: dt.datetime,
    *,
    new_learners: Mapping[PersonKey, Learner] | None = None,
) -> list[LoggedEvent]:
    """
    Return the rows of the event log for events. People who were retired or who cannot be named have none.

    With ``new_learners`` it returns the rows that were left out before because these people had no learner yet.
    """
    rows = []
    received_at = catalog.arrival(now)
    for event, person in to_log:
        key = _log_key(person, lookup)
        if new_learners is not None:
            learner = new_learners.get(person.key) if key is None and person.lms_user_id is None else None
            key = event_log.person_key(learner.lms_user_id, learner.pk) if learner else None
        if key is not None:
            rows.append(
                event_log.row_of(
                    catalog.definitions[event.type],
                    person=key,
                    source=event.source,
                    id=event.id,
                    time=event.time,
                    data=event.data,
                    now=received_at,
                )
            )
    return rows


def _log_key(person: LearnerData, lookup: LearnerLookup) -> int | None:
    if person.key in lookup.retired:
        return None
    if person.lms_user_id is not None:
        return event_log.person_key(person.lms_user_id)
    known = lookup.known.get(person.key)
    return event_log.person_key(known.lms_user_id, known.pk) if known else None


# --- find the learners ---------------------------------------------------------------------------------------------


def look_up_people(matched: MatchedBatch, to_log: Iterable[tuple[Event, LearnerData]] = ()) -> LearnerLookup:
    """Find the people of a batch. Of those whose events are only stored it is asked who they are and who has left."""
    others = [*matched.unmatched, *to_log]
    if_known = {match.person.key for match in matched.for_learners}
    # An event that has no LMS user id is logged for the learner whom it names.
    named = (person for _event, person in to_log if person.lms_user_id is None)
    bystanders = {person.key for _event, person in others}
    return learners.look_up([*matched.people(), *named], bystanders=bystanders, if_known=if_known)


def _ignore_retired(matched: MatchedBatch, lookup: LearnerLookup, result: BatchResult) -> None:
    if not lookup.retired:
        return
    for match in matched.matches:
        if match.person.key in lookup.retired:
            matched.ignore(match.event, RETIRED, result)
    for event, person in matched.unmatched:
        if person.key in lookup.retired:
            result.ignored[event.type, NO_MATCH] -= 1
            matched.ignore(event, RETIRED, result)
    matched.matches = [match for match in matched.matches if match.person.key not in lookup.retired]
    matched.for_learners = [match for match in matched.for_learners if match.person.key not in lookup.retired]
    matched.unmatched = [(event, person) for event, person in matched.unmatched if person.key not in lookup.retired]


def _ignore_matches_without_learner(matched: MatchedBatch, lookup: LearnerLookup, result: BatchResult) -> None:
    matches, matched.matches = matched.matches, []
    for match in matches:
        key = match.person.key
        identified = lookup.identifies(key) or key in lookup.refused
        if identified or not match.creates_learner:
            matched.matches.append(match)
        else:
            matched.ignore(match.event, NO_LEARNER, result)


def _keep_known_learners(matched: MatchedBatch, lookup: LearnerLookup) -> None:
    """Drop events that matter only for learners, where the person is none and does not become one by this batch."""
    if matched.for_learners:
        people = _people_with_learner(matched.matches, lookup) | lookup.known.keys()
        matched.for_learners = [match for match in matched.for_learners if match.person.key in people]


def _people_with_learner(matches: Iterable[Match], lookup: LearnerLookup) -> set[PersonKey]:
    """Return the people who have a learner, or get one because of a match."""
    people = [(match, match.person.key) for match in matches]
    found = {key for match, key in people if match.creates_learner or key in lookup.known or key in lookup.unbound}
    # Somebody whom another event of the batch names in another way, and who gets a learner by that.
    return found | {key for _, key in people if lookup.same_as.get(key) in found}


# --- apply to progress ---------------------------------------------------------------------------------------------


def _apply_steps(
    matches: Sequence[Match],
    learner_of: Mapping[PersonKey, Learner],
    catalog: Snapshot,
    logged: Sequence[LoggedEvent],
    late: Sequence[StoredPenalty],
    now: dt.datetime,
) -> list[NewAward | NewRevocation]:
    """
    Let each kind of interest do its step and store that. ``late`` are penalties that are stored already.

    Returns the awards of what became complete and the revocations of what is not complete any more, in the order of the
    events.
    """
    progress = load_progress([*_wanted(matches, learner_of), *((each.learner, each.template) for each in late)])
    work = BatchWork(matches, learner_of, progress, now, catalog.definitions, logged, catalog.by_condition)
    batch_steps = steps.steps_for(work)
    changes: list[NewAward | NewRevocation] = []
    for penalty in late:
        changes += decisions_on([penalty.apply(work, now)], penalty.cause, now)
    for match in matches:
        work.touched.clear()
        steps.apply_steps(batch_steps, match, learner_of.get(match.person.key))
        if work.touched:
            changes += decisions_on(work.touched.values(), match.cause(), now)
    changes += [
        decision
        for step in batch_steps
        for finished, cause in step.finish()
        for decision in decisions_on([finished], cause, now)
    ]
    changes += [new for step in batch_steps for new in step.awards()]
    states.store(
        ((progress.state, progress.learner.pk, progress.template.id) for progress in work.progress.values()), now=now
    )
    for step in batch_steps:
        step.store()
    return changes


def _wanted(
    matches: Iterable[Match], learner_of: Mapping[PersonKey, Learner]
) -> Iterator[tuple[Learner, CompiledTemplate]]:
    """Yield the learners of a batch with the templates that their events touch."""
    for match in matches:
        learner = learner_of.get(match.person.key)
        if learner is not None:
            for interest in match.interests:
                if interest.template is not None:
                    yield learner, interest.template


def decisions_on(
    changed: Iterable[LearnerProgress], cause: Cause, now: dt.datetime
) -> Iterator[NewAward | NewRevocation]:
    """
    Yield what follows from changed progress: an award where it earns the badge, a revocation where it does no more.

    A badge that ends may be earned anew while it is held. Granting compares the time since which all is met with the
    end of the badge.
    """
    for progress in changed:
        learner_id, template, state = progress.learner.pk, progress.template, progress.state
        change = state.recompute(template.requirements, now=now)
        if change is Change.INCOMPLETE:
            yield NewRevocation(learner_id, template.id, template.revision_id, cause)
        elif template.expiry is None:
            if change is Change.COMPLETED:
                yield NewAward(learner_id, template, cause)
        elif (since := state.complete_since(template.requirements)) is not None:
            yield NewAward(learner_id, template, cause, since)
