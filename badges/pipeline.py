"""
The conductor inwards: a batch of events becomes decisions, in one transaction.

Find the learners, ask the rules, apply to progress, award; each step is a room's, and none of them knows the next. A
batch costs the same number of SQL statements whether it holds one event or five hundred and whether there is one
template or ten thousand. What the decisions demand of the outside world is written to the outbox, in the same
transaction.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self, TypeVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from badges.awarding import awards
from badges.awarding.models import UserCredential
from badges.catalog import event_types, snapshot
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import LearnerData
from badges.catalog.pairs import pair_id
from badges.catalog.snapshot import CompiledRequirement, CompiledTemplate
from badges.conf import config
from badges.database import insist
from badges.exceptions import EventError, Retryable
from badges.intake import inbox, learners, payloads
from badges.intake.events import Event, Unreadable
from badges.intake.models import InboxMessage, InboxState, Learner
from badges.issuers import registry
from badges.outbox import mailbox
from badges.outbox.backoff import next_delay
from badges.outbox.mailbox import NewMessage
from badges.outbox.wake import PROCESS_PENDING
from badges.progress import standings
from badges.rules import completion

log = logging.getLogger(__name__)

NOT_CONFIGURED, NO_LEARNER, NO_MATCH = "not configured", "no learner", "no match"
T = TypeVar("T")


@dataclass
class Tally:
    """What became of events. ``ignored`` counts by (event type, reason); everything ignored cost no write."""

    seen: int = 0
    matched: int = 0
    awarded: int = 0
    duplicates: int = 0
    dead: int = 0
    postponed: int = 0
    ignored: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __iadd__(self, other: Tally) -> Self:
        for name in ("seen", "matched", "awarded", "duplicates", "dead", "postponed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ignored.update(other.ignored)
        return self


class _ClaimLostError(Exception):
    """Another worker holds an event now, and decides it."""


@dataclass(frozen=True, slots=True)
class _Match:
    """An event that somebody cares about, whom it is about and what it meets."""

    event: Event
    person: LearnerData
    requirements: Sequence[CompiledRequirement]


@dataclass
class _Sifted:
    """A batch before anything was asked of the database but the catalog's version."""

    matches: list[_Match] = field(default_factory=list)
    near_misses: list[tuple[Event, LearnerData]] = field(default_factory=list)


def warm_up() -> None:
    """Compile the catalog before the first event, so that a process that says it runs has paid for it."""
    _insist(snapshot.current)


def handle(batch: Iterable[Event | Unreadable], *, now: dt.datetime | None = None) -> Tally:
    """
    Decide a batch; return when all that it changes is committed.

    A batch that hits the database's weather (deadlock, lost connection) is tried again as a whole. One that fails for
    its own reasons is split until the failing event stands alone and goes to retry or dead letter; the others go on.
    Raises Retryable when the database stayed away longer than ``intake.patience``: nothing may be acknowledged then.
    """
    now = now or timezone.now()
    items = list(batch)
    tally = Tally(seen=len(items))
    unreadable = [item for item in items if isinstance(item, Unreadable)]
    if unreadable:
        tally += _insist(lambda: _bury(unreadable, now))
    events = _first_of_each_id(item for item in items if isinstance(item, Event))
    tally.duplicates += len(items) - len(unreadable) - len(events)
    if events:
        tally += _settle(events, now)
    return tally


def receive(event: Event, *, now: dt.datetime | None = None) -> bool:
    """
    Write an event down for later, if somebody cares about it; return whether somebody does.

    The door of signal receivers and the REST API. The caller's transaction, if there is one, decides whether it stays.
    """
    now = now or timezone.now()
    sifted = _sift([event], snapshot.current(), Tally())
    kept = [match.person for match in sifted.matches] + [person for _, person in sifted.near_misses]
    if not kept:
        return False
    row = inbox.row_of(event, state=InboxState.PENDING, due_at=now, now=now, lms_user_id=kept[0].lms_user_id)
    with transaction.atomic():
        inbox.write([row])
        mailbox.wake_on_commit(PROCESS_PENDING)
    return True


def process_pending(*, limit: int = 500, now: dt.datetime | None = None) -> Tally:
    """Decide events of the inbox that wait and are due; ``seen`` is 0 when none are."""
    now = now or timezone.now()
    lease = dt.timedelta(seconds=config.delivery["lease_seconds"])
    rows = inbox.claim_pending(limit=limit, lease=lease, now=now)
    tally = Tally(seen=len(rows))
    claimed: dict[str, InboxMessage] = {}
    events = []
    for row in rows:
        try:
            events.append(payloads.parse(row.payload or "", source=row.source))
            claimed[row.event_id] = row
        except EventError as error:
            inbox.finish_claimed([row], state=InboxState.DEAD, now=now, reason=str(error))
            tally.dead += 1
    if events:
        tally += _settle(events, now, claimed)
    return tally


# --- one transaction, and what happens when it fails -------------------------------------------------------------


def _settle(events: Sequence[Event], now: dt.datetime, claimed: dict[str, InboxMessage] | None = None) -> Tally:
    """Decide events, splitting them when one of them fails for its own reasons."""
    try:
        return _insist(lambda: _decide(events, now, claimed))
    except Retryable:
        raise
    except Exception as error:
        if len(events) == 1:
            lost = isinstance(error, _ClaimLostError)
            return Tally(duplicates=1) if lost else _set_aside(events[0], error, now, claimed)
    middle = len(events) // 2
    tally = _settle(events[:middle], now, claimed)
    tally += _settle(events[middle:], now, claimed)
    return tally


def _insist(work: Callable[[], T]) -> T:
    return insist(work, patience=config.intake["patience"])


def _reason(error: Exception) -> str:
    """What went wrong, without personal data: messages of other packages and of the database may quote values."""
    if isinstance(error, EventError):
        return str(error)
    return f"{type(error).__name__} while it was processed; the log has the details."


def _set_aside(event: Event, error: Exception, now: dt.datetime, claimed: dict[str, InboxMessage] | None) -> Tally:
    """Keep an event that failed by itself: for a later try, or as a dead letter."""
    row = (claimed or {}).get(event.id)
    tries = row.attempts + 1 if row else 1
    reason, is_final = _reason(error), isinstance(error, EventError)
    dead = is_final or tries >= config.intake["max_attempts"]
    log.error("Event %s (%s) failed: %s", event.id, event.type, reason, exc_info=None if is_final else error)
    pause = next_delay(tries, base=config.delivery["base_delay"], cap=config.delivery["max_delay"])
    until = None if dead else now + dt.timedelta(seconds=pause)
    _insist(lambda: _store_set_aside(event, row, reason, now, until))
    return Tally(dead=1) if dead else Tally(postponed=1)


def _store_set_aside(
    event: Event, row: InboxMessage | None, reason: str, now: dt.datetime, until: dt.datetime | None
) -> None:
    with transaction.atomic(durable=True):
        if row is None:
            inbox.write([_row_set_aside(event, reason, now, until)])
        elif until is None:
            inbox.finish_claimed([row], state=InboxState.DEAD, now=now, reason=reason)
        else:
            inbox.postpone_claimed(row, until=until, reason=reason)


def _row_set_aside(event: Event, reason: str, now: dt.datetime, until: dt.datetime | None) -> InboxMessage:
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
    return row


def _bury(unreadable: Sequence[Unreadable], now: dt.datetime) -> Tally:
    with transaction.atomic(durable=True):
        new = inbox.write([inbox.dead_row_of(item, now=now) for item in unreadable])
    return Tally(dead=len(new), duplicates=len(unreadable) - len(new))


# --- what is decided ---------------------------------------------------------------------------------------------


def _decide(events: Sequence[Event], now: dt.datetime, claimed: dict[str, InboxMessage] | None) -> Tally:
    """Carry events through the rooms, in one transaction."""
    tally = Tally()
    sifted = _sift(events, snapshot.current(), tally)
    roster = learners.look_up(match.person for match in sifted.matches)
    matches = [match for match in sifted.matches if _is_about_somebody(match, roster, tally)]
    if claimed is None and not matches and not sifted.near_misses:
        return tally
    with transaction.atomic(durable=True):
        if claimed is None:
            mine = _write_down(matches, sifted.near_misses, roster, now, tally)
        else:
            mine = _close_claimed(events, matches, roster, claimed, now, tally)
        if mine:
            people = learners.admit(roster, {match.person.lms_user_id for match in mine})
            _apply(mine, people, now, tally)
    tally.matched += len(mine)
    return tally


def _sift(events: Iterable[Event], catalog: snapshot.Snapshot, tally: Tally) -> _Sifted:
    """Ask the rules, and keep what somebody cares about."""
    sifted = _Sifted()
    for event in events:
        definition = catalog.definitions.get(event.type)
        if definition is None:
            tally.ignored[event.type, NOT_CONFIGURED] += 1
            continue
        person = definition.learner(event.data)
        if person is None:
            tally.ignored[event.type, NO_LEARNER] += 1
            continue
        requirements = catalog.matching(event.type, definition.subject(event.data))
        if requirements:
            sifted.matches.append(_Match(event, person, requirements))
            continue
        tally.ignored[event.type, NO_MATCH] += 1
        if config.keep_unmatched:
            sifted.near_misses.append((event, person))
    return sifted


def _is_about_somebody(match: _Match, roster: learners.Roster, tally: Tally) -> bool:
    lms_user_id = match.person.lms_user_id
    if roster.identifies(lms_user_id) or lms_user_id in roster.refused:
        return True
    tally.ignored[match.event.type, NO_LEARNER] += 1
    return False


def _write_down(
    matches: Sequence[_Match],
    near_misses: Sequence[tuple[Event, LearnerData]],
    roster: learners.Roster,
    now: dt.datetime,
    tally: Tally,
) -> list[_Match]:
    """Write the inbox rows of events that came from a bus; return the matches that are new and can be decided."""
    rows = [
        inbox.row_of(event, state=InboxState.UNMATCHED, now=now, lms_user_id=person.lms_user_id, reason=NO_MATCH)
        for event, person in near_misses
    ]
    for match in matches:
        refusal = roster.refused.get(match.person.lms_user_id, "")
        state = InboxState.DEAD if refusal else InboxState.PROCESSED
        rows.append(
            inbox.row_of(match.event, state=state, now=now, lms_user_id=match.person.lms_user_id, reason=refusal)
        )
    new = inbox.write(rows) if rows else set()
    fresh = [match for match in matches if match.event.id in new]
    tally.duplicates += len(matches) - len(fresh)
    return _without_refused(fresh, roster, tally)


def _close_claimed(
    events: Sequence[Event],
    matches: Sequence[_Match],
    roster: learners.Roster,
    claimed: dict[str, InboxMessage],
    now: dt.datetime,
    tally: Tally,
) -> list[_Match]:
    """Close the inbox rows of events that waited; at most one statement for each thing that can become of them."""
    refused = {
        match.event.id: roster.refused[match.person.lms_user_id]
        for match in matches
        if match.person.lms_user_id in roster.refused
    }
    matched = {match.event.id for match in matches} - refused.keys()
    closings: dict[tuple[InboxState, str], list[InboxMessage]] = {}
    for event in events:
        if event.id in matched:
            outcome = (InboxState.PROCESSED, "")
        elif event.id in refused:
            outcome = (InboxState.DEAD, refused[event.id])
        else:
            outcome = (InboxState.UNMATCHED, NO_MATCH)
        closings.setdefault(outcome, []).append(claimed[event.id])
    for (state, reason), rows in closings.items():
        if inbox.finish_claimed(rows, state=state, now=now, reason=reason) != len(rows):
            raise _ClaimLostError
    return _without_refused(matches, roster, tally)


def _without_refused(matches: Iterable[_Match], roster: learners.Roster, tally: Tally) -> list[_Match]:
    decidable = []
    for match in matches:
        if match.person.lms_user_id in roster.refused:
            tally.dead += 1
        else:
            decidable.append(match)
    return decidable


def _apply(matches: Sequence[_Match], people: dict[int, Learner], now: dt.datetime, tally: Tally) -> None:
    """Fulfil requirements, complete templates, award; then write it all."""
    pairs: dict[UUID, tuple[Learner, CompiledTemplate]] = {}
    for match in matches:
        learner = people[match.person.lms_user_id]
        for requirement in match.requirements:
            pairs[pair_id(learner.pk, requirement.template.id)] = (learner, requirement.template)
    standing_of = standings.load(pairs)
    completing: dict[UUID, Cause] = {}
    for match in matches:
        cause = _cause_of(match.event)
        for requirement in match.requirements:
            template = requirement.template
            standing = standing_of[pair_id(people[match.person.lms_user_id].pk, template.id)]
            standing.fulfill(requirement.id, cause=cause, revision_id=template.revision_id, now=now)
        for template in {requirement.template.id: requirement.template for requirement in match.requirements}.values():
            standing = standing_of[pair_id(people[match.person.lms_user_id].pk, template.id)]
            if standing.completed_at is None and completion(template.requirements, standing.fulfilled).complete:
                standing.complete(now=now)
                completing[standing.pair] = cause
    standings.store(((s, pairs[s.pair][0].pk, pairs[s.pair][1].id) for s in standing_of.values()), now=now)
    if completing:
        tally.awarded += _award(completing, pairs, now)


def _cause_of(event: Event) -> Cause:
    return Cause(CauseKind.EVENT, event_id=event.id, event_type=event.type, event_time=event.time)


def _award(completing: dict[UUID, Cause], pairs: dict[UUID, tuple[Learner, CompiledTemplate]], now: dt.datetime) -> int:
    """Write a credential for each completed pair that may have one, and what follows from it outside."""
    held = awards.holdings(completing)
    awarded: list[tuple[UserCredential, Learner, CompiledTemplate]] = []
    for pair, cause in completing.items():
        learner, template = pairs[pair]
        if not awards.may_award(held.get(pair, set()), award_once=template.award_once):
            continue
        credential = awards.credential_of(
            pair=pair,
            learner_id=learner.pk,
            template_id=template.id,
            revision_id=template.revision_id,
            cause=cause,
            now=now,
        )
        awarded.append((credential, learner, template))
    if not awarded:
        return 0
    awards.store([credential for credential, _, _ in awarded])
    registry.prepare([(credential, issuer) for credential, _, template in awarded for issuer in template.issuers])
    mailbox.post(_consequences(awarded))
    transaction.on_commit(lambda: _log_awards(awarded))
    return len(awarded)


def _consequences(awarded: Iterable[tuple[UserCredential, Learner, CompiledTemplate]]) -> Iterable[NewMessage]:
    """What an award demands of the outside world: announce it, and issue it at every provider of its template."""
    for credential, learner, template in awarded:
        key, told = str(learner.pk), {"credential": str(credential.pk)}
        yield NewMessage(channel="announce", key=key, type="badge.awarded", payload=told)
        for provider, _, _ in template.issuers:
            yield NewMessage(channel="issue", key=key, type=provider, payload={**told, "provider": provider})


def _log_awards(awarded: Sequence[tuple[UserCredential, Learner, CompiledTemplate]]) -> None:
    for credential, learner, template in awarded:
        log.info(
            "Awarded %s to learner %s by %s",
            template.slug,
            learner.pk,
            credential.cause_event_id or credential.cause_kind,
        )


def _first_of_each_id(events: Iterable[Event]) -> list[Event]:
    found: dict[str, Event] = {}
    for event in events:
        found.setdefault(event.id, event)
    return list(found.values())
