"""
Penalties: an event resets requirements of a template.

A penalty has the time of its event. A fact of the same requirement at or before this time is void, whichever of the two
arrived first (``ProgressState``). So the time is stored by person, whether or not the person is a learner.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence

from django.db.models import Exists, OuterRef

from badges.catalog.causes import Cause
from badges.catalog.interests import Interest, Penalty
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
