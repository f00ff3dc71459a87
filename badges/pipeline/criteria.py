"""
Criteria documents decide badges: each is evaluated over the events of one learner.

Events that have just arrived and checks that have become due ask in the same way (``Evaluation``). A document that held
is a fulfilment of the row that its template has for it, with the event as its cause, or the moment if time alone made
it true. A document that is fulfilled is not asked any more.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import EventDefinition
from badges.catalog.figures import figures_of
from badges.catalog.interests import HistoryEvent
from badges.granting.awards import NewAward
from badges.history.batches import BatchHistory
from badges.history.event_log import person_key
from badges.intake import checks
from badges.intake.checks import Check
from badges.intake.models import Learner
from badges.pipeline.steps import BatchWork, Fulfilled, LearnerProgress, Match, Step
from badges.progress import states
from badges.progress.states import Change
from badges.rules import Criteria, Event, Moment, earned

# After a penalty, a document is asked from the first moment at which events count again.
_TICK = dt.timedelta(microseconds=1)


@dataclass(slots=True)
class Question:
    """
    A learner's document that is to be asked, from the moment ``since`` on.

    ``newest`` is the time of the newest event that has just arrived; None: every moment from ``since`` on is asked.
    ``figures_cause`` is what has just changed the learner's engagement figures: the document is asked at the present
    moment, too. Moments from ``unfinished`` on were not asked yet when the document was asked before, and may not be
    asked now.
    """

    progress: LearnerProgress
    since: dt.datetime
    newest: dt.datetime | None = None
    figures_cause: Cause | None = None
    unfinished: dt.datetime | None = None

    @property
    def criteria(self) -> Criteria:
        """The document."""
        criteria = self.progress.template.criteria
        assert criteria is not None, "only documents are asked"
        return criteria


class Evaluation:
    """
    Asks documents over the events of their learners, and remembers when to ask again.

    ``read`` reads the events, in a constant number of statements. Whoever has events that are not logged yet adds them
    to ``history``. With ``events_since`` events that happened earlier are not read.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        definitions: Mapping[str, EventDefinition],
        now: dt.datetime,
        *,
        events_since: dt.datetime | None = None,
    ):
        self._questions = questions
        self._events_since = events_since
        self._now = now
        self._checks: list[tuple[Check, int | None]] = []
        self.history = BatchHistory(definitions)

    def read(self) -> None:
        """Read the logged events of all learners, and the figures that are asked for."""
        people = {each.progress.learner.pk: each.progress.learner.lms_user_id for each in self._questions}
        types = {name for each in self._questions for name in each.criteria.event_types}
        names = {name for each in self._questions for name in each.criteria.figures}
        reaches = [each.criteria.reach(each.since) for each in self._questions]
        since = None if None in reaches else min(reach for reach in reaches if reach is not None)
        if self._events_since is not None:
            since = max(since or self._events_since, self._events_since)
        if types:
            known = None if None in types else [name for name in types if name is not None]
            self.history.read(people, types=known, since=since)
        self._figures = figures_of(people, names, now=self._now)

    def ask(self, *, up_to: dt.datetime | None = None, to_the_end: bool = False) -> Iterator[Fulfilled]:
        """
        Ask all documents; fulfil those that are earned, and yield them.

        Moments of time alone are asked until ``up_to``. Without it, they are asked until the newest event of the
        learner: events that follow may be on their way, for example when a consumer has to catch up. Where many moments
        have to be asked, a check is written for those that are left; ``to_the_end``: they are asked now, up to
        ``up_to``.
        """
        for question in self._questions:
            progress, criteria = question.progress, question.criteria
            learner, template = progress.learner, progress.template
            requirement_id = template.criteria_id
            assert requirement_id is not None
            events = self.history.of(learner.pk, counts_from=template.counts_from)
            newest = max((event.occurred_at for event in events), default=question.since)
            ask = partial(
                earned,
                criteria,
                events,
                newest=question.newest,
                now=up_to or min(newest, self._now),
                void_until=progress.state.void_until.get(requirement_id),
                figures=self._figures.get(learner.pk),
            )
            answer = ask(since=question.since)
            while to_the_end and up_to and answer.next_check is not None and answer.next_check <= up_to:
                answer = ask(since=answer.next_check)
            cause = self._cause(answer.earned) if answer.earned is not None else None
            if cause is None and question.figures_cause is not None and self._holds_now(question, events):
                cause = question.figures_cause
            if cause is not None and progress.state.fulfill(
                requirement_id, cause=cause, revision_id=template.revision_id, now=self._now
            ):
                yield Fulfilled(progress, cause)
            elif answer.next_check is not None:
                # There is one row for each document, so it must not forget what is unfinished.
                self.check_later(progress, min(answer.next_check, question.unfinished or answer.next_check))

    def _holds_now(self, question: Question, events: Iterable[Event]) -> bool:
        requirement_id = question.progress.template.criteria_id
        void_until = question.progress.state.void_until.get(requirement_id) if requirement_id else None
        counting = [
            event
            for event in events
            if event.occurred_at <= self._now and (void_until is None or event.occurred_at > void_until)
        ]
        figures = self._figures.get(question.progress.learner.pk)
        return question.criteria.evaluate(counting, now=self._now, figures=figures).satisfied

    def check_later(self, progress: LearnerProgress, moment: dt.datetime) -> None:
        """Remember that a document has to be asked from a moment on."""
        learner = progress.learner
        self._checks.append((Check(learner.pk, progress.template.id, moment), learner.lms_user_id))

    def store(self) -> None:
        """Write when to ask again; one statement, or none."""
        if self._checks:
            checks.schedule(self._checks, now=self._now)

    def _cause(self, moment: Moment) -> Cause:
        if moment.event is None:
            return Cause(CauseKind.TIME, event_time=moment.time)
        origin = self.history.origins[moment.event.id]
        return Cause(
            CauseKind.EVENT,
            event_source=origin.source,
            event_id=origin.id,
            event_type=moment.event.type,
            event_time=moment.time,
        )


def ask_now(
    questions: Sequence[Question], definitions: Mapping[str, EventDefinition], *, now: dt.datetime, up_to: dt.datetime
) -> list[NewAward]:
    """
    Ask documents without a new event, store the progress and when to ask again; return the awards of what is complete.

    Moments of time alone are asked until ``up_to``. The caller has locked the learners. The number of statements does
    not depend on the number of questions.
    """
    evaluation = Evaluation(questions, definitions, now)
    evaluation.read()
    completed = []
    for progress, cause in evaluation.ask(up_to=up_to):
        if progress.state.recompute(progress.template.requirements, now=now) is Change.COMPLETED:
            completed.append(NewAward(progress.learner.pk, progress.template, cause))
    changed = [each.progress for each in questions]
    states.store(((each.state, each.learner.pk, each.template.id) for each in changed), now=now)
    evaluation.store()
    return completed


class EvaluateCriteria(Step):
    """Evaluates the documents that the events of a batch may have made true, when all other steps are done."""

    kind = HistoryEvent

    def __init__(self, work: BatchWork):
        super().__init__(work)
        self._evaluation: Evaluation | None = None

    def load(self) -> None:
        """Read the events of the learners whose documents are still open; three statements, none without documents."""
        self._fulfilled_before = [each for each in self.work.progress.values() if _is_fulfilled(each)]
        times = self._times()
        if not times and not self._fulfilled_before:
            return
        unfinished = checks.unfinished(times) if times else {}
        questions = [self._question(key, found, unfinished.get(key)) for key, found in times.items()]
        self._evaluation = Evaluation(questions, self.work.definitions, self.work.now)
        if questions:
            self._add_new_events(self._evaluation.history)
            self._evaluation.read()

    def finish(self) -> Iterable[Fulfilled]:
        """Ask the documents."""
        if self._evaluation is None:
            return
        yield from self._evaluation.ask()
        for progress in self._fulfilled_before:
            if not _is_fulfilled(progress):
                # Events after the penalty may have arrived already.
                requirement_id = progress.template.criteria_id
                void_until = progress.state.void_until.get(requirement_id) if requirement_id else None
                self._evaluation.check_later(progress, (void_until or self.work.now) + _TICK)

    def store(self) -> None:
        """Write when to ask again; one statement, or none."""
        if self._evaluation is not None:
            self._evaluation.store()

    def _times(self) -> dict[UUID, list[dt.datetime]]:
        """Return the times of the events for which open documents have to be asked."""
        times: dict[UUID, list[dt.datetime]] = {}
        for match, interest, learner in self._interested():
            progress = self.work.progress_of(learner, interest.template)
            if not _is_fulfilled(progress):
                times.setdefault(progress.state.learner_template_id, []).append(match.event.time)
        return times

    def _question(self, key: UUID, times: Sequence[dt.datetime], unfinished: dt.datetime | None) -> Question:
        progress, first, newest = self.work.progress[key], min(times), max(times)
        reads_figures = bool(progress.template.criteria and progress.template.criteria.figures)
        cause = self.work.figures_changed_by.get(progress.learner.pk) if reads_figures else None
        if unfinished is None:
            return Question(progress, first, newest, figures_cause=cause)
        if unfinished > newest:
            return Question(progress, first, newest, figures_cause=cause, unfinished=unfinished)
        # What is unfinished is asked now, too. Otherwise the next check would be written without it.
        return Question(progress, min(first, unfinished), figures_cause=cause)

    def _add_new_events(self, history: BatchHistory) -> None:
        learners: dict[int, int] = {}
        for match, _interest, learner in self._interested():
            for key in (person_key(learner.lms_user_id), person_key(None, learner.pk)):
                if key is not None:
                    learners[key] = learner.pk
            event = match.event
            history.add_new(
                learner.pk, type=event.type, source=event.source, id=event.id, time=event.time, data=event.data
            )
        for row in self.work.logged:
            if row.person in learners:
                history.add(learners[row.person], row)

    def _interested(self) -> Iterator[tuple[Match, HistoryEvent, Learner]]:
        for match in self.work.matches:
            learner = self.work.learner_of.get(match.person.key)
            if learner is not None:
                for interest in match.interests:
                    if isinstance(interest, HistoryEvent):
                        yield match, interest, learner


def _is_fulfilled(progress: LearnerProgress) -> bool:
    requirement_id = progress.template.criteria_id
    return requirement_id is not None and requirement_id in progress.state.fulfilled
