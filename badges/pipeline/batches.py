"""
The two kinds of batches, and what becomes of their inbox rows.

Events of a bus have no inbox row yet: it is inserted with the decision. Events of the inbox have a row that this worker
has claimed: it is finished with the decision. In both cases this is the first write of the transaction, and it tells
which events this process may decide.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence

from badges.catalog import event_types
from badges.common.claims import ClaimLostError
from badges.intake import inbox
from badges.intake.events import Event, Identity
from badges.intake.learners import LearnerLookup
from badges.intake.models import InboxMessage, InboxState
from badges.pipeline.decisions import NO_MATCH, RETIRED, BatchResult, MatchedBatch
from badges.pipeline.steps import Match


class BusBatch:
    """Events that a consumer has just read. They have no inbox row."""

    def has_nothing_to_write(self, matched: MatchedBatch) -> bool:
        return not matched.matches and not matched.unmatched

    def write_inbox(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        rows = [
            inbox.row_of(event, state=InboxState.UNMATCHED, now=now, person=person, reason=NO_MATCH)
            for event, person in matched.unmatched
        ]
        rows += [_row_of_match(match, lookup, now) for match in matched.matches]
        new = inbox.write(rows)
        undecided = [match for match in matched.matches if match.event.identity in new]
        result.duplicates += len(matched.matches) - len(undecided)
        return _without_refused(undecided, lookup, result)

    def attempts_of(self, event: Event) -> int:
        return 1

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        definition = event_types.configured().get(event.type)
        person = definition.learner(event.data) if definition else None
        row = inbox.row_of(
            event,
            state=InboxState.PENDING if until else InboxState.DEAD,
            due_at=until,
            now=now,
            person=person,
            reason=reason,
        )
        row.attempts = 1
        inbox.write([row])


class InboxBatch:
    """Events of the inbox. ``claimed`` holds their claimed rows by source and id."""

    def __init__(self, claimed: Mapping[Identity, InboxMessage]):
        self._claimed = claimed

    def has_nothing_to_write(self, matched: MatchedBatch) -> bool:
        return False

    def write_inbox(
        self,
        events: Sequence[Event],
        matched: MatchedBatch,
        lookup: LearnerLookup,
        *,
        now: dt.datetime,
        result: BatchResult,
    ) -> list[Match]:
        """Finish the claimed rows; one statement for each state and reason. Raises ClaimLostError."""
        outcomes: dict[Identity, tuple[InboxState, str]] = {}
        for match in matched.matches:
            refusal = lookup.refused.get(match.person.key)
            outcomes[match.event.identity] = (InboxState.DEAD, refusal) if refusal else (InboxState.PROCESSED, "")
        rows_by_outcome: dict[tuple[InboxState, str], list[InboxMessage]] = {}
        for event in events:
            outcome = outcomes.get(event.identity) or (InboxState.UNMATCHED, matched.ignored[event.identity])
            rows_by_outcome.setdefault(outcome, []).append(self._claimed[event.identity])
        for (state, reason), rows in rows_by_outcome.items():
            if inbox.finish(rows, state=state, now=now, reason=reason, clear=reason == RETIRED) != len(rows):
                raise ClaimLostError
        return _without_refused(matched.matches, lookup, result)

    def attempts_of(self, event: Event) -> int:
        return self._claimed[event.identity].attempts

    def defer(self, event: Event, *, reason: str, until: dt.datetime | None, now: dt.datetime) -> None:
        row = self._claimed[event.identity]
        if until is None:
            inbox.finish([row], state=InboxState.DEAD, now=now, reason=reason)
        else:
            inbox.reschedule(row, due_at=until, reason=reason)


def _row_of_match(match: Match, lookup: LearnerLookup, now: dt.datetime) -> InboxMessage:
    refusal = lookup.refused.get(match.person.key, "")
    state = InboxState.DEAD if refusal else InboxState.PROCESSED
    return inbox.row_of(match.event, state=state, now=now, person=match.person, reason=refusal)


def _without_refused(matches: Iterable[Match], lookup: LearnerLookup, result: BatchResult) -> list[Match]:
    matches = list(matches)
    decidable = [match for match in matches if match.person.key not in lookup.refused]
    result.dead += len(matches) - len(decidable)
    return decidable
