"""
Where a batch comes from, and so what its inbox rows need.

Events of a bus have no row yet: it is written with the decision. Events that waited have one, claimed by us: it is
closed with the decision. Both are the first write of the decision's transaction, and say which events are ours to
decide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from badges.catalog import event_types
from badges.intake import inbox
from badges.intake.events import Event
from badges.intake.learners import LearnerLookup
from badges.intake.models import InboxMessage, InboxState
from badges.pipeline.matching import Match, MatchedBatch
from badges.pipeline.results import NO_MATCH, BatchResult


class ClaimLostError(Exception):
    """Another worker holds an event now, and decides it."""


class EventBatch(Protocol):
    """What the conductor asks of either."""

    def is_idle(self, matched: MatchedBatch) -> bool:
        """Say whether nothing has to be written for this batch."""

    def write_down(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        """Write the batch's inbox rows; return the matches that are ours to decide."""

    def tries_of(self, event: Event) -> int:
        """Return how often an event was tried, this time included."""

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        """Keep an event that failed by itself: until a later try, or as a dead letter when there is none."""


class BusBatch:
    """Events that just arrived."""

    def is_idle(self, matched: MatchedBatch) -> bool:
        return not matched.matches and not matched.near_misses

    def write_down(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        rows = [
            inbox.row_of(event, state=InboxState.UNMATCHED, now=now, lms_user_id=person.lms_user_id, reason=NO_MATCH)
            for event, person in matched.near_misses
        ]
        rows += [_row_of_match(match, lookup, now) for match in matched.matches]
        new = inbox.write(rows)
        fresh = [match for match in matched.matches if match.event.id in new]
        result.duplicates += len(matched.matches) - len(fresh)
        return _without_refused(fresh, lookup, result)

    def tries_of(self, event: Event) -> int:
        return 1

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        person = event_types.get(event.type).learner(event.data)
        row = inbox.row_of(
            event,
            state=InboxState.PENDING if until else InboxState.DEAD,
            due_at=until,
            now=now,
            lms_user_id=person.lms_user_id if person else None,
            reason=reason,
        )
        row.attempts = 1
        inbox.write([row])


class InboxBatch:
    """Events that waited, with their claimed rows by event id."""

    def __init__(self, claimed: Mapping[str, InboxMessage]):
        self._claimed = claimed

    def is_idle(self, matched: MatchedBatch) -> bool:
        return False

    def write_down(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        """One statement for each thing that can become of an event. Raises ClaimLostError."""
        outcomes: dict[str, tuple[InboxState, str]] = {}
        for match in matched.matches:
            refusal = lookup.refused.get(match.person.lms_user_id)
            outcomes[match.event.id] = (InboxState.DEAD, refusal) if refusal else (InboxState.PROCESSED, "")
        closings: dict[tuple[InboxState, str], list[InboxMessage]] = {}
        for event in events:
            outcome = outcomes.get(event.id) or (InboxState.UNMATCHED, matched.ignored[event.id])
            closings.setdefault(outcome, []).append(self._claimed[event.id])
        for (state, reason), rows in closings.items():
            if inbox.finish(rows, state=state, now=now, reason=reason) != len(rows):
                raise ClaimLostError
        return _without_refused(matched.matches, lookup, result)

    def tries_of(self, event: Event) -> int:
        return self._claimed[event.id].attempts

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        row = self._claimed[event.id]
        if until is None:
            inbox.finish([row], state=InboxState.DEAD, now=now, reason=reason)
        else:
            inbox.reschedule(row, due_at=until, reason=reason)


def _row_of_match(match: Match, lookup: LearnerLookup, now: dt.datetime) -> InboxMessage:
    refusal = lookup.refused.get(match.person.lms_user_id, "")
    state = InboxState.DEAD if refusal else InboxState.PROCESSED
    return inbox.row_of(match.event, state=state, now=now, lms_user_id=match.person.lms_user_id, reason=refusal)


def _without_refused(matches: Iterable[Match], lookup: LearnerLookup, result: BatchResult) -> list[Match]:
    matches = list(matches)
    decidable = [match for match in matches if match.person.lms_user_id not in lookup.refused]
    result.dead += len(matches) - len(decidable)
    return decidable
