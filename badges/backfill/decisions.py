"""
Deciding a chunk of people: what their logged events mean for progress and credentials.

It is what the pipeline does when events arrive, with the same rules, states and granting. Two things differ. All
penalties of the log are known before the first fact is applied, so no badge is awarded and revoked in between. And
nobody loses a badge: what is complete stays so, whatever penalty the log knows. While it is not, a penalty makes void
what was fulfilled before it, as if it had been known when it arrived.

A plan does the same without locks and writes nothing of it.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar
from uuid import UUID

from django.db import IntegrityError

from badges import granting
from badges.backfill import people as people_in_log
from badges.backfill.evidence import Evidence, EvidenceOfPeople, LogRules, read_evidence
from badges.backfill.people import Chunk, Person, Stage
from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import LearnerData
from badges.catalog.interests import CompiledTemplate
from badges.catalog.learner_template_ids import learner_template_id
from badges.database import read_committed
from badges.granting import NewAward
from badges.history.batches import TooMuchHistoryError
from badges.intake import checks, learners
from badges.intake.models import Learner
from badges.pipeline import failures
from badges.pipeline.criteria import Evaluation, Question
from badges.pipeline.decisions import decisions_on
from badges.pipeline.learner_progress import load_progress
from badges.pipeline.steps import LearnerProgress
from badges.progress import resets, states
from badges.progress.models import RequirementReset

Item = TypeVar("Item")

# In a plan, learners who are not there yet have ids from here on. No table has so many rows.
FIRST_UNSAVED_ID = 2**62

GAINED, WOULD_GAIN = "gained", "would gain"
NOT_GIVEN, COMPLETE_BEFORE, ON_THE_WAY = "complete, but not given", "complete before", "on the way"


@dataclass(frozen=True)
class Gain:
    """A badge that somebody gets. ``events`` are, by key of the requirement, the events that count for the person."""

    person: int
    learner_id: int | None
    template: CompiledTemplate
    cause: Cause
    events: Mapping[str, Cause]
    credential_id: UUID | None = None


@dataclass
class Decided:
    """What a chunk of people gets, and how many there are of each outcome, by the slug of the template."""

    gains: list[Gain]
    counts: Counter[tuple[str, str]]


def plan_chunk(chunk: Chunk, rules: LogRules, *, now: dt.datetime, by_event_time: bool = False) -> Decided:
    """Return what ``decide_chunk`` would do; a constant number of statements, none of which writes."""
    work = _Work(people_in_log.people_of(chunk, rules), rules, now, by_event_time, is_plan=True)
    awards = work.evaluate()
    given = {_key(each) for each in granting.would_award(awards, now=now)}
    return work.decided(awards, dict.fromkeys(given))


def create_learners(chunk: Chunk, rules: LogRules) -> None:
    """
    Create the learners of people who have none and have done something that counts, in a transaction of their own.

    They get no account. It is bound to them later, when an event names it.
    """
    if chunk.stage is not Stage.EVENTS:
        return
    unknown = [person for person in people_in_log.people_of(chunk, rules) if person.learner_id is None]
    evidence = read_evidence(people_in_log.keys_of(unknown), rules)
    new = [person for person in unknown if any(each.creates_learner for each in evidence.get(person.key, {}).values())]
    if new:
        _create_all([LearnerData(each.lms_user_id, True, None, None, None) for each in new])


def _create_all(new: Sequence[LearnerData]) -> None:
    """Create learners; in halves where others go on creating some of them at the same time."""
    try:
        failures.retry(partial(_create, new))
    except IntegrityError:
        if len(new) == 1:
            raise
        for half in _halves(new):
            _create_all(half)


def _create(new: Sequence[LearnerData]) -> None:
    lookup = learners.look_up(new, without_account=True)
    with read_committed():
        learners.get_or_create(lookup, [person.key for person in new if lookup.identifies(person.key)])


def decide_chunk(chunk: Chunk, rules: LogRules, *, now: dt.datetime, by_event_time: bool = False) -> Decided:
    """
    Decide the logged events of a chunk of people, and write what follows; a constant number of statements.

    Must run in a transaction, after ``create_learners``. Locks the learners in the order of their ids.
    """
    learners.lock(people_in_log.learner_ids_of(chunk))
    # Read after the locks were waited for: it is what others have committed until then.
    work = _Work(people_in_log.people_of(chunk, rules), rules, now, by_event_time)
    awards = work.evaluate()
    work.store()
    credentials = granting.award(awards, now=now)
    return work.decided(awards, {each.learner_template_id: each.pk for each in credentials})


class _Work:
    """One chunk while it is decided. ``evaluate`` reads and decides in memory, ``store`` writes the progress."""

    def __init__(
        self,
        people: Sequence[Person],
        rules: LogRules,
        now: dt.datetime,
        by_event_time: bool,
        *,
        is_plan: bool = False,
    ):
        self._people, self._rules, self._now, self._by_event_time = people, rules, now, by_event_time
        self._is_plan = is_plan
        self._learner_of: dict[int, Learner] = {}
        self._person_of: dict[int, Person] = {}
        self._evidence: EvidenceOfPeople = {}
        self._progress: dict[UUID, LearnerProgress] = {}
        self._evaluations: list[Evaluation] = []
        self._was_complete: set[UUID] = set()
        self._counted: dict[UUID, dict[int, Cause]] = {}

    def evaluate(self) -> list[NewAward]:
        """Return the awards that follow from the log, which granting may still refuse."""
        self._evidence = read_evidence(people_in_log.keys_of(self._people), self._rules)
        self._find_learners()
        self._progress = load_progress(self._wanted())
        self._was_complete = {key for key, found in self._progress.items() if found.state.completed_at is not None}
        for key, found in self._progress.items():
            self._counted[key] = self._apply_evidence(found)
        for found, cause in self._ask_documents():
            requirement_id = found.template.criteria_id
            assert requirement_id is not None
            self._counted[found.state.learner_template_id][requirement_id] = cause
        return [award for found in self._progress.values() for award in self._award_of(found)]

    def store(self) -> None:
        """Write progress, times of penalties, and when to ask documents again."""
        states.store(
            ((found.state, found.learner.pk, found.template.id) for found in self._progress.values()), now=self._now
        )
        resets.store(list(self._resets()))
        for evaluation in self._evaluations:
            evaluation.store()

    def decided(self, awards: Sequence[NewAward], given: Mapping[UUID, UUID | None]) -> Decided:
        """Return what became of the people. ``given`` are the awards that were not refused, with their credentials."""
        counts: Counter[tuple[str, str]] = Counter()
        refused = {_key(award) for award in awards} - given.keys()
        for key, found in self._progress.items():
            outcome = self._outcome(found, is_given=key in given, is_refused=key in refused)
            if outcome is not None:
                counts[found.template.slug, outcome] += 1
        gains = [self._gain(award, given[_key(award)]) for award in awards if _key(award) in given]
        return Decided(gains, counts)

    # --- people ------------------------------------------------------------------------------------------------------

    def _find_learners(self) -> None:
        for number, person in enumerate(self._people):
            pk = person.learner_id
            if pk is None and self._is_plan and self._creates_learner(person):
                pk = FIRST_UNSAVED_ID + number
            if pk is not None:
                self._learner_of[person.key] = Learner(pk=pk, lms_user_id=person.lms_user_id)
                self._person_of[pk] = person

    def _creates_learner(self, person: Person) -> bool:
        return any(each.creates_learner for each in self._evidence.get(person.key, {}).values())

    def _wanted(self) -> Iterator[tuple[Learner, CompiledTemplate]]:
        for key, learner in self._learner_of.items():
            # A learner may also have progress that an edited template makes complete, or figures.
            known = self._person_of[learner.pk].learner_id is not None
            for template_id in self._rules.templates if known else self._evidence[key]:
                yield learner, self._rules.templates[template_id]

    # --- evidence ----------------------------------------------------------------------------------------------------

    def _apply_evidence(self, found: LearnerProgress) -> dict[int, Cause]:
        """Apply what the log says to the state; return the first fact that counts of each requirement, by its id."""
        state, template = found.state, found.template
        evidence = self._evidence_of(found)
        for requirement_id, penalty in evidence.penalties.items():
            at = penalty.event_time
            assert at is not None
            if state.completed_at is None:
                state.reset(requirement_id, cause=penalty, at=at, revision_id=template.revision_id, now=self._now)
            else:
                state.void_until[requirement_id] = max(at, state.void_until.get(requirement_id, at))
        counted = {requirement_id: active.newest for requirement_id, active in state.fulfilled.items()}
        for requirement_id, facts in evidence.facts.items():
            for fact in facts:
                if state.fulfill(requirement_id, cause=fact, revision_id=template.revision_id, now=self._now):
                    counted[requirement_id] = fact
        return counted

    def _evidence_of(self, found: LearnerProgress) -> Evidence:
        of_person = self._evidence.get(self._person_of[found.learner.pk].key, {})
        return of_person.get(found.template.id) or Evidence()

    def _resets(self) -> Iterator[RequirementReset]:
        """Yield the times of the penalties in the log, also those of people without a learner."""
        without_learner = {
            person.key
            for person in self._people
            if person.learner_id is None and any(each.penalties for each in self._evidence.get(person.key, {}).values())
        }
        if without_learner:
            learners.reserve(without_learner)  # as the pipeline does
        for key, of_person in self._evidence.items():
            for template_id, evidence in of_person.items():
                revision_id = self._rules.templates[template_id].revision_id
                for requirement_id, cause in evidence.penalties.items():
                    assert cause.event_time is not None
                    yield resets.new_reset(
                        key, requirement_id, at=cause.event_time, cause=cause, revision_id=revision_id, now=self._now
                    )

    # --- documents ---------------------------------------------------------------------------------------------------

    def _ask_documents(self) -> Iterator[tuple[LearnerProgress, Cause]]:
        """Fulfil the criteria documents that are earned, and yield them with their causes."""
        questions = list(self._questions())
        if questions:
            yield from self._ask(questions)

    def _ask(self, questions: Sequence[Question]) -> Iterator[tuple[LearnerProgress, Cause]]:
        evaluation = Evaluation(questions, self._rules.definitions, self._now, events_since=self._rules.since)
        try:
            evaluation.read()
        except TooMuchHistoryError:
            for half in _halves(questions):
                yield from self._ask(half)
            return
        yield from evaluation.ask(up_to=self._now - checks.ARRIVAL, to_the_end=True)
        self._evaluations.append(evaluation)

    def _questions(self) -> Iterator[Question]:
        open_documents = {
            key: found
            for key, found in self._progress.items()
            if found.template.criteria_id is not None and found.template.criteria_id not in found.state.fulfilled
        }
        unfinished = checks.unfinished(open_documents) if open_documents else {}
        for key, found in open_documents.items():
            moments = [each for each in (self._evidence_of(found).asked_from, unfinished.get(key)) if each is not None]
            criteria = found.template.criteria
            # Figures are those of the present, and nothing tells which activity they come from.
            by_figures = Cause(CauseKind.TIME, event_time=self._now) if criteria and criteria.figures else None
            if moments or by_figures:
                yield Question(found, min([*moments, self._now]), figures_cause=by_figures)

    # --- awards ------------------------------------------------------------------------------------------------------

    def _award_of(self, found: LearnerProgress) -> Iterator[NewAward]:
        cause = self._completed_by(found)
        for award in decisions_on([found], cause, self._now):
            assert isinstance(award, NewAward), "no requirement is reset"
            moment = min(cause.event_time or self._now, self._now) if self._by_event_time else None
            yield replace(award, awarded_at=moment)

    def _completed_by(self, found: LearnerProgress) -> Cause:
        """Return the event that completed the progress: the last of the first facts of all groups."""
        counted = self._counted[found.state.learner_template_id]
        first: dict[object, Cause] = {}
        for requirement_id, group in found.template.requirements:
            cause = counted.get(requirement_id)
            key = (group, None) if group else (None, requirement_id)  # as ``completion`` does
            if cause is not None and (key not in first or _moment(cause) < _moment(first[key])):
                first[key] = cause
        nothing = Cause(CauseKind.TIME, event_time=self._now)
        return max(first.values(), key=_moment, default=nothing)

    def _outcome(self, found: LearnerProgress, *, is_given: bool, is_refused: bool) -> str | None:
        if is_given:
            return WOULD_GAIN if self._is_plan else GAINED
        if found.state.learner_template_id in self._was_complete:
            return COMPLETE_BEFORE
        if is_refused:
            return NOT_GIVEN
        return ON_THE_WAY if found.state.fulfilled else None

    def _gain(self, award: NewAward, credential_id: UUID | None) -> Gain:
        person, key = self._person_of[award.learner_id], _key(award)
        template = self._progress[key].template
        name_of = {requirement_id: name for name, requirement_id in template.row_ids.items()}
        wanted = {requirement_id for requirement_id, _group in template.requirements}
        events = {name_of[each]: cause for each, cause in self._counted[key].items() if each in wanted}
        learner_id = person.learner_id
        return Gain(person.key, learner_id, template, award.cause, events, credential_id)


def _key(award: NewAward) -> UUID:
    return learner_template_id(award.learner_id, award.template.id)


def _moment(cause: Cause) -> dt.datetime:
    return cause.event_time or dt.datetime.max.replace(tzinfo=dt.UTC)


def _halves(items: Sequence[Item]) -> tuple[Sequence[Item], Sequence[Item]]:
    middle = len(items) // 2
    return items[:middle], items[middle:]
