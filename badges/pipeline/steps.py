"""
Steps: what the pipeline does for each kind of interest, in the order in which the steps are registered.

For one event, the requirements come first, so that a later step sees what the event has fulfilled. After all events, a
step may do what needs all of them. A step reads and writes for the whole batch, with a constant number of statements;
in between it changes memory only.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple
from uuid import UUID

from badges.catalog.causes import Cause, CauseKind
from badges.catalog.event_types import EventDefinition, LearnerData
from badges.catalog.interests import CompiledTemplate, Interest, Requirement
from badges.catalog.learner_paths import PersonKey
from badges.catalog.learner_template_ids import learner_template_id
from badges.granting.awards import NewAward
from badges.history.models import LoggedEvent
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.progress.states import ProgressState


@dataclass(frozen=True, slots=True)
class Match:
    """An event in which something is interested, whom it is about, and the interests whose rules hold for it."""

    event: Event
    person: LearnerData
    interests: Sequence[Interest]

    @property
    def creates_learner(self) -> bool:
        """Whether the person gets a learner because of this event."""
        return any(interest.creates_learner for interest in self.interests)

    def cause(self) -> Cause:
        """Return the event as the cause of a decision."""
        event = self.event
        return Cause(
            CauseKind.EVENT,
            event_source=event.source,
            event_id=event.id,
            event_type=event.type,
            event_time=event.time,
        )


@dataclass(frozen=True, slots=True)
class LearnerProgress:
    """A learner, a template, and the state of this learner's progress on it."""

    learner: Learner
    template: CompiledTemplate
    state: ProgressState


class Fulfilled(NamedTuple):
    """Progress that a step has changed after all events of the batch, and the cause."""

    progress: LearnerProgress
    cause: Cause


@dataclass
class BatchWork:
    """
    What the steps of one batch share.

    - ``matches``: the events that are decided, each with the interests that it meets.
    - ``learner_of``: the locked learners of the batch by LMS user id. A person may have none.
    - ``progress``: the progress of these learners on the templates of all interests, by learner_template_id.
    - ``definitions``: the event types by name.
    - ``logged``: the rows of the event log for all events of the batch. They are written after the steps.
    - ``by_condition``: the templates that a badge condition gives, by slug.
    - ``figures_changed_by``: what has changed the engagement figures of learners, by the primary key of the learner.
    - ``touched``: the progress that the steps have changed for the current event.
    """

    matches: Sequence[Match]
    learner_of: Mapping[PersonKey, Learner]
    progress: Mapping[UUID, LearnerProgress]
    now: dt.datetime
    definitions: Mapping[str, EventDefinition] = field(default_factory=dict)
    logged: Sequence[LoggedEvent] = ()
    by_condition: Mapping[str, CompiledTemplate] = field(default_factory=dict)
    figures_changed_by: dict[int, Cause] = field(default_factory=dict)
    touched: dict[UUID, LearnerProgress] = field(default_factory=dict)

    def progress_of(self, learner: Learner, template: CompiledTemplate) -> LearnerProgress:
        """Return the progress of a learner on a template of the batch."""
        return self.progress[learner_template_id(learner.pk, template.id)]

    def touch(self, learner: Learner, template: CompiledTemplate) -> LearnerProgress:
        """Return the progress of a learner on a template, which a step is going to change for the current event."""
        found = self.progress_of(learner, template)
        self.touched[found.state.learner_template_id] = found
        return found


class Step:
    """What is done for the interests of one kind. A new instance is made for each batch."""

    kind: ClassVar[type[Interest]]

    def __init__(self, work: BatchWork):
        self.work = work

    @classmethod
    def is_used(cls) -> bool:
        """Return whether the step has anything to do here; a step that has not is left out of the batch."""
        return True

    def load(self) -> None:
        """
        Read what the whole batch needs, in a constant number of statements.

        What the step writes here, the steps after it read.
        """

    def apply(self, match: Match, interests: Sequence[Interest], learner: Learner | None) -> None:
        """
        Apply one event to memory; no statement. ``interests`` are those of this kind.

        ``learner`` is None when the person has no learner and no interest of the event creates one.
        """

    def finish(self) -> Iterable[Fulfilled]:
        """Do in memory what has to follow all events of the batch; return the progress that this has changed."""
        return ()

    def awards(self) -> Iterable[NewAward]:
        """Return the awards that need no progress."""
        return ()

    def store(self) -> None:
        """Write what has changed, in a constant number of statements. Progress is written by the pipeline."""


class FulfillRequirements(Step):
    """Fulfils the requirements that an event meets."""

    kind = Requirement

    def apply(self, match: Match, interests: Sequence[Interest], learner: Learner | None) -> None:
        assert learner is not None, "requirements create learners"
        cause = match.cause()
        for interest in interests:
            assert isinstance(interest, Requirement)
            template = interest.template
            state = self.work.touch(learner, template).state
            state.fulfill(interest.id, cause=cause, revision_id=template.revision_id, now=self.work.now)


_steps: tuple[type[Step], ...] = (FulfillRequirements,)


def register(step: type[Step]) -> None:
    """Add a step after the others. Its kind is registered with ``badges.catalog.interests``."""
    global _steps
    if step not in _steps:
        _steps = (*_steps, step)


def unregister(step: type[Step]) -> None:
    """Remove a step that ``register`` has added."""
    global _steps
    _steps = tuple(known for known in _steps if known is not step)


def steps_for(work: BatchWork) -> list[Step]:
    """Return the steps for one batch, in their order, with what they have to read."""
    made = [step(work) for step in _steps if step.is_used()]
    for step in made:
        step.load()
    return made


def apply_steps(steps: Iterable[Step], match: Match, learner: Learner | None) -> None:
    """Hand an event to each step that has an interest in it."""
    for step in steps:
        interests = [interest for interest in match.interests if isinstance(interest, step.kind)]
        if interests:
            step.apply(match, interests, learner)
