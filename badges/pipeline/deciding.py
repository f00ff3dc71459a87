"""
The walk through the rooms, in one transaction: learners, rules, progress, awards, outbox.

Every step is one or two statements for the whole batch, whatever its size; between them everything is done in memory.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import transaction

from badges.awarding import awards
from badges.awarding.models import UserCredential
from badges.catalog import snapshot
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.catalog.snapshot import CompiledTemplate
from badges.conf import config
from badges.database import read_committed
from badges.intake import learners
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.issuers import registry
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.pipeline.batches import EventBatch
from badges.pipeline.matching import Match, MatchedBatch, match_events
from badges.pipeline.results import NO_LEARNER, BatchResult
from badges.progress import states
from badges.progress.states import ProgressState
from badges.rules import completion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _LearnerProgress:
    """A learner on a template, and where they stand."""

    learner: Learner
    template: CompiledTemplate
    state: ProgressState


@dataclass(frozen=True, slots=True)
class _Award:
    """A credential to be written, and whose and what for."""

    credential: UserCredential
    learner: Learner
    template: CompiledTemplate


def decide(events: Sequence[Event], batch: EventBatch, *, now: dt.datetime) -> BatchResult:
    """Carry events through the rooms; when this returns, all that they change is committed."""
    result = BatchResult()
    matched = match_events(events, snapshot.current(), result, keep_unmatched=config.keep_unmatched)
    lookup = learners.look_up(matched.people())
    _ignore_matches_of_nobody(matched, lookup, result)
    if batch.is_idle(matched):
        return result
    with read_committed():
        matches = batch.write_down(events, matched, lookup, now=now, result=result)
        if matches:
            people = learners.get_or_create(lookup, {match.person.lms_user_id for match in matches})
            completed = _progress(matches, people, now)
            result.awarded = _award(completed, now)
    result.matched = len(matches)
    return result


def _ignore_matches_of_nobody(matched: MatchedBatch, lookup: learners.LearnerLookup, result: BatchResult) -> None:
    matches, matched.matches = matched.matches, []
    for match in matches:
        lms_user_id = match.person.lms_user_id
        if lookup.identifies(lms_user_id) or lms_user_id in lookup.refused:
            matched.matches.append(match)
        else:
            matched.ignore(match.event, NO_LEARNER, result)


def _progress(
    matches: Sequence[Match], people: dict[int, Learner], now: dt.datetime
) -> list[tuple[_LearnerProgress, Cause]]:
    """Fulfil requirements and write it down; return what became complete, with the event that completed it."""
    in_progress = _load_progress(matches, people)
    completed = []
    for match in matches:
        cause = _cause_of(match.event)
        learner = people[match.person.lms_user_id]
        touched = {}
        for requirement in match.requirements:
            progress = touched[requirement.template.id] = in_progress[
                learner_template_id(learner.pk, requirement.template.id)
            ]
            progress.state.fulfill(requirement.id, cause=cause, revision_id=progress.template.revision_id, now=now)
        completed += [(progress, cause) for progress in touched.values() if _completes(progress, now)]
    states.store(
        ((progress.state, progress.learner.pk, progress.template.id) for progress in in_progress.values()), now=now
    )
    return completed


def _load_progress(matches: Iterable[Match], people: dict[int, Learner]) -> dict[UUID, _LearnerProgress]:
    """Load where all learners of a batch stand on all templates that it touches."""
    wanted = {
        learner_template_id(learner.pk, requirement.template.id): (learner, requirement.template)
        for match in matches
        for learner in [people[match.person.lms_user_id]]
        for requirement in match.requirements
    }
    state_of = states.load(wanted)
    return {key: _LearnerProgress(learner, template, state_of[key]) for key, (learner, template) in wanted.items()}


def _completes(progress: _LearnerProgress, now: dt.datetime) -> bool:
    """Whether a template is complete now and was not before."""
    state = progress.state
    if state.completed_at is not None or not completion(progress.template.requirements, state.fulfilled).complete:
        return False
    state.complete(now=now)
    return True


def _cause_of(event: Event) -> Cause:
    return Cause(CauseKind.EVENT, event_id=event.id, event_type=event.type, event_time=event.time)


def _award(completed: Sequence[tuple[_LearnerProgress, Cause]], now: dt.datetime) -> int:
    """Write a credential for everyone who may have one, and what follows from it outside; return how many."""
    if not completed:
        return 0
    held = awards.holdings(progress.state.learner_template_id for progress, _ in completed)
    awarded = [
        _Award(_credential_of(progress, cause, now), progress.learner, progress.template)
        for progress, cause in completed
        if awards.may_award(
            held.get(progress.state.learner_template_id, set()), award_once=progress.template.award_once
        )
    ]
    if awarded:
        awards.store([award.credential for award in awarded])
        registry.prepare((award.credential, issuer) for award in awarded for issuer in award.template.issuers)
        mailbox.post(_consequences(awarded), now=now)
        transaction.on_commit(lambda: _log(awarded))
    return len(awarded)


def _credential_of(progress: _LearnerProgress, cause: Cause, now: dt.datetime) -> UserCredential:
    return awards.credential_of(
        learner_template_id=progress.state.learner_template_id,
        learner_id=progress.learner.pk,
        template_id=progress.template.id,
        revision_id=progress.template.revision_id,
        cause=cause,
        now=now,
    )


def _consequences(awarded: Iterable[_Award]) -> Iterator[NewMessage]:
    """What an award demands of the outside world: announce it, and issue it at every provider of its template."""
    for award in awarded:
        key, told = str(award.learner.pk), {"credential": str(award.credential.pk)}
        yield NewMessage(channel="announce", key=key, type="badge.awarded", payload=told)
        for provider, _organization, _template in award.template.issuers:
            yield NewMessage(channel="issue", key=key, type=provider, payload={**told, "provider": provider})


def _log(awarded: Iterable[_Award]) -> None:
    for award in awarded:
        cause = award.credential.cause_event_id
        log.info("Awarded %s to learner %s by event %s", award.template.slug, award.learner.pk, cause)
