"""
Penalties: an event resets requirements of a template.

A penalty has the time of its event. A fact of the same requirement at or before this time is void, whichever of the two
arrived first (``ProgressState``). So the time is stored by person, whether or not the person is a learner.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from django.db.models import Exists, OuterRef

from badges.catalog.causes import Cause
from badges.catalog.interests import CompiledTemplate, Interest, Penalty
from badges.catalog.snapshot import Snapshot
from badges.history.event_log import person_key
from badges.intake import learners
from badges.intake.models import Learner
from badges.pipeline.steps import BatchWork, LearnerProgress, Match, Step
from badges.progress import resets
from badges.progress.models import RequirementReset


def apply_penalty(
    progress: LearnerProgress, penalty: Penalty, cause: Cause, *, at: dt.datetime, now: dt.datetime
) -> list[int]:
    """
    Reset the requirements that a penalty names, in memory; return those for which it is the newest reset.

    ``at`` is the time of the penalty's event.
    """
    state, revision_id = progress.state, progress.template.revision_id
    newest = []
    for requirement_id in penalty.requirement_ids:
        known = state.void_until.get(requirement_id)
        if known is None or known < at:
            newest.append(requirement_id)
        state.reset(requirement_id, cause=cause, at=at, revision_id=revision_id, now=now)
    return newest


@dataclass(frozen=True, slots=True)
class StoredPenalty:
    """A reset that was stored by the LMS user id, before it was known which learner has this id."""

    learner: Learner
    template: CompiledTemplate
    reset: RequirementReset
    cause: Cause

    def apply(self, work: BatchWork, now: dt.datetime) -> LearnerProgress:
        """Reset the requirement in memory, and return the progress."""
        progress = work.progress_of(self.learner, self.template)
        progress.state.reset(
            self.reset.requirement_id,
            cause=self.cause,
            at=self.reset.void_until,
            revision_id=self.template.revision_id,
            now=now,
        )
        return progress


def stored_penalties(bound: Iterable[Learner], catalog: Snapshot) -> list[StoredPenalty]:
    """
    Return the resets of learners whose LMS user id has just become known; one statement, or none without learners.

    Such a learner was found by the username before, and may have fulfilled what these resets make void.
    """
    by_person = {learner.lms_user_id: learner for learner in bound if learner.lms_user_id is not None}
    if not by_person:
        return []
    templates = [template for template in catalog.compiled.values() if template is not None]
    template_of = {requirement_id: template for template in templates for requirement_id in template.may_be_reset}
    rows = RequirementReset.objects.filter(person__in=by_person).order_by("void_until", "pk")
    return [
        StoredPenalty(by_person[row.person], template_of[row.requirement_id], row, resets.cause_of(row))
        for row in rows
        if row.requirement_id in template_of
    ]


def delete_expired(*, before: dt.datetime, limit: int) -> int:
    """
    Delete resets of people without a learner that were received before a time; return how many.

    At most ``limit`` are deleted. Resets of learners stay: old events that are logged would count again.
    """
    learner = Learner.objects.filter(lms_user_id=OuterRef("person"))
    old = RequirementReset.objects.filter(~Exists(learner), person__gt=0, received_at__lt=before)
    ids = list(old.order_by("received_at").values_list("pk", flat=True)[:limit])
    return RequirementReset.objects.filter(pk__in=ids).delete()[0]


class ApplyPenalties(Step):
    """Applies the penalties whose rules hold for an event, after the requirements that the same event meets."""

    kind = Penalty

    def __init__(self, work: BatchWork):
        super().__init__(work)
        self._resets: list[RequirementReset] = []

    def load(self) -> None:
        """
        Keep others from creating learners of those people who have none; two statements, or none.

        Otherwise a process that decides an older fact of such a person could create the learner now, and not yet see
        the penalty.
        """
        without_learner = {key for match in self._penalized() if (key := self._key_without_learner(match)) is not None}
        if without_learner:
            learners.reserve(without_learner)

    def apply(self, match: Match, interests: Sequence[Interest], learner: Learner | None) -> None:
        """Reset the requirements of a learner, and remember the time for each person."""
        cause, at = match.cause(), match.event.time
        person = person_key(learner.lms_user_id, learner.pk) if learner else self._key_without_learner(match)
        for interest in interests:
            assert isinstance(interest, Penalty)
            requirement_ids: Sequence[int] = interest.requirement_ids
            if learner is not None:
                progress = self.work.touch(learner, interest.template)
                requirement_ids = apply_penalty(progress, interest, cause, at=at, now=self.work.now)
            if person is not None:
                self._resets += [
                    resets.new_reset(
                        person, each, at=at, cause=cause, revision_id=interest.template.revision_id, now=self.work.now
                    )
                    for each in requirement_ids
                ]

    def store(self) -> None:
        """Write the times; one statement, or none."""
        resets.store(self._resets)

    def _penalized(self) -> Iterator[Match]:
        for match in self.work.matches:
            if any(isinstance(interest, Penalty) for interest in match.interests):
                yield match

    def _key_without_learner(self, match: Match) -> int | None:
        """Return the LMS user id of somebody without a learner; None for a learner, and for who has no such id."""
        known = self.work.learner_of.get(match.person.key)
        return person_key(match.person.lms_user_id) if known is None else None
