"""Finds who has completed enough of a course, a lesson or all courses of a pathway."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials_config import lms
from credentials_config.contracts import JSON, Eligibility, Options, Person
from credentials_config.processors.base import SteppedProcessor, not_enrolled
from credentials_config.processors.shares import percent, reaches, share

KEY = "required_completion"
DEFAULT = 0.9


class Completions(SteppedProcessor):
    """Compares the completion of a course, or of a lesson's own subtree, with the required one."""

    slug = "completions"
    title = gettext_lazy("Completion")
    option_help = gettext_lazy(
        "required_completion: the share that has to be completed, between 0 and 1 (0.9 when left out).\n"
        'steps: for pathways, what is different in a step: {"course-v1:…": {"required_completion": 0.5}}.'
    )
    # The types that the completion aggregator sums up.
    lesson_types: ClassVar[frozenset[str] | None] = frozenset({"chapter", "sequential", "vertical"})
    option_keys = frozenset({KEY})

    def option_errors(self, options: Options) -> list[str]:
        if share(options.get(KEY, DEFAULT)) is None:
            return [_("required_completion: write a share between 0 and 1, like 0.9 for 90 %.")]
        return []

    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        required = float(options.get(KEY, DEFAULT))
        completions = lms.client().completions(context_key, learners)
        return {
            person.lms_user_id: _eligibility(completions[person.lms_user_id], required)
            if person.lms_user_id in completions
            else not_enrolled()
            for person in learners
        }


def _eligibility(completed: JSON, required: float) -> Eligibility:
    current = share(completed)
    progress = {"current_completion": current, KEY: required}
    if completed == lms.NOTHING_TO_COMPLETE:
        return Eligibility(False, progress, (_("There is nothing to complete here. Add content, or correct the key."),))
    if current is None:
        return Eligibility(False, progress, (_("The LMS reports a completion that makes no sense."),))
    if reaches(current, required):
        return Eligibility(True, progress)
    values = {"current": percent(current), "demanded": percent(required)}
    return Eligibility(False, progress, (_("Completed %(current)s of the required %(demanded)s.") % values,))
