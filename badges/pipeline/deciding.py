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
from badges.catalog.pairs import pair_id
from badges.catalog.snapshot import CompiledTemplate
from badges.conf import config
from badges.database import read_committed
from badges.intake import learners
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.issuers import registry
from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.pipeline.origins import Origin
from badges.pipeline.sifting import Match, Sifted, sift
from badges.pipeline.tally import NO_LEARNER, Tally
from badges.progress import standings
from badges.progress.standings import Standing
from badges.rules import completion

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Place:
    """A learner on a template, and where they stand."""

    learner: Learner
    template: CompiledTemplate
    standing: Standing


@dataclass(frozen=True, slots=True)
class _Award:
    """A credential to be written, and whose and what for."""

    credential: UserCredential
    learner: Learner
    template: CompiledTemplate


def decide(events: Sequence[Event], origin: Origin, *, now: dt.datetime) -> Tally:
    """Carry events through the rooms; when this returns, all that they change is committed."""
    tally = Tally()
    sifted = sift(events, snapshot.current(), tally, keep_unmatched=config.keep_unmatched)
    roster = learners.look_up(sifted.people())
    _ignore_matches_of_nobody(sifted, roster, tally)
    if origin.is_idle(sifted):
        return tally
    with read_committed():
        matches = origin.write_down(events, sifted, roster, now=now, tally=tally)
        if matches:
            people = learners.admit(roster, {match.person.lms_user_id for match in matches})
            completed = _progress(matches, people, now)
            tally.awarded = _award(completed, now)
    tally.matched = len(matches)
    return tally


def _ignore_matches_of_nobody(sifted: Sifted, roster: learners.Roster, tally: Tally) -> None:
    matches, sifted.matches = sifted.matches, []
    for match in matches:
        lms_user_id = match.person.lms_user_id
        if roster.identifies(lms_user_id) or lms_user_id in roster.refused:
            sifted.matches.append(match)
        else:
            sifted.ignore(match.event, NO_LEARNER, tally)


def _progress(matches: Sequence[Match], people: dict[int, Learner], now: dt.datetime) -> list[tuple[_Place, Cause]]:
    """Fulfil requirements and write it down; return what became complete, with the event that completed it."""
    places = _places(matches, people)
    completed = []
    for match in matches:
        cause = _cause_of(match.event)
        learner = people[match.person.lms_user_id]
        touched = {}
        for requirement in match.requirements:
            place = touched[requirement.template.id] = places[pair_id(learner.pk, requirement.template.id)]
            place.standing.fulfill(requirement.id, cause=cause, revision_id=place.template.revision_id, now=now)
        completed += [(place, cause) for place in touched.values() if _completes(place, now)]
    standings.store(((place.standing, place.learner.pk, place.template.id) for place in places.values()), now=now)
    return completed


def _places(matches: Iterable[Match], people: dict[int, Learner]) -> dict[UUID, _Place]:
    """Load where all learners of a batch stand on all templates that it touches."""
    pairs = {
        pair_id(learner.pk, requirement.template.id): (learner, requirement.template)
        for match in matches
        for learner in [people[match.person.lms_user_id]]
        for requirement in match.requirements
    }
    standing_of = standings.load(pairs)
    return {pair: _Place(learner, template, standing_of[pair]) for pair, (learner, template) in pairs.items()}


def _completes(place: _Place, now: dt.datetime) -> bool:
    """Whether a template is complete now and was not before."""
    standing = place.standing
    if standing.completed_at is not None or not completion(place.template.requirements, standing.fulfilled).complete:
        return False
    standing.complete(now=now)
    return True


def _cause_of(event: Event) -> Cause:
    return Cause(CauseKind.EVENT, event_id=event.id, event_type=event.type, event_time=event.time)


def _award(completed: Sequence[tuple[_Place, Cause]], now: dt.datetime) -> int:
    """Write a credential for everyone who may have one, and what follows from it outside; return how many."""
    if not completed:
        return 0
    held = awards.holdings(place.standing.pair for place, _ in completed)
    awarded = [
        _Award(_credential_of(place, cause, now), place.learner, place.template)
        for place, cause in completed
        if awards.may_award(held.get(place.standing.pair, set()), award_once=place.template.award_once)
    ]
    if awarded:
        awards.store([award.credential for award in awarded])
        registry.prepare((award.credential, issuer) for award in awarded for issuer in award.template.issuers)
        mailbox.post(_consequences(awarded), now=now)
        transaction.on_commit(lambda: _log(awarded))
    return len(awarded)


def _credential_of(place: _Place, cause: Cause, now: dt.datetime) -> UserCredential:
    return awards.credential_of(
        pair=place.standing.pair,
        learner_id=place.learner.pk,
        template_id=place.template.id,
        revision_id=place.template.revision_id,
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
