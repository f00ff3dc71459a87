"""Loading the progress of learners on templates, with the resets that decide which facts are void."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from badges.catalog.interests import CompiledTemplate
from badges.catalog.learner_template_ids import learner_template_id
from badges.history.event_log import person_key
from badges.intake.models import Learner
from badges.pipeline.steps import LearnerProgress
from badges.progress import resets, states


def load_progress(wanted: Iterable[tuple[Learner, CompiledTemplate]]) -> dict[UUID, LearnerProgress]:
    """
    Return the progress of learners on templates by learner_template_id.

    One statement; one more if a penalty names or has named a requirement of these templates, and one more if the badge
    of a template ends. The learners are locked.
    """
    given = {learner_template_id(learner.pk, template.id): (learner, template) for learner, template in wanted}
    if not given:
        return {}
    state_of = states.load(given)
    resets.load(
        (state_of[key], _keys_of(learner), template.may_be_reset)
        for key, (learner, template) in given.items()
        if template.may_be_reset
    )
    states.load_expired({key: state_of[key] for key, (_, template) in given.items() if template.expiry is not None})
    return {key: LearnerProgress(learner, template, state_of[key]) for key, (learner, template) in given.items()}


def _keys_of(learner: Learner) -> list[int]:
    """Return by which keys a learner may be stored: a reset may be from before the LMS user id was known."""
    keys = (person_key(learner.lms_user_id), person_key(None, learner.pk))
    return [key for key in keys if key is not None]
