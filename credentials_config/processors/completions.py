"""Who completed enough of a course, a lesson or all courses of a pathway."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials_config import lms
from credentials_config.contracts import Eligibility, Options, Person
from credentials_config.processors.base import SteppedProcessor, not_enrolled
from credentials_config.processors.figures import percent, reaches, share

KEY = "required_completion"
DEFAULT = 0.9


class Completions(SteppedProcessor):
    """Compares the completion of the context (of a lesson: of its own subtree) with what is demanded."""

    slug = "completions"
    title = gettext_lazy("Completion")
    option_help = gettext_lazy(
        "required_completion: the share that has to be completed, between 0 and 1 (0.9 when left out).\n"
        'steps: for pathways, what is different in a step: {"course-v1:…": {"required_completion": 0.5}}.'
    )
    # What the completion aggregator adds up.
    lesson_types: ClassVar[frozenset[str] | None] = frozenset({"chapter", "sequential", "vertical"})
    option_keys = frozenset({KEY})

    def findings(self, options: Options) -> list[str]:
        if share(options.get(KEY, DEFAULT)) is None:
            return [_("required_completion: write a share between 0 and 1, like 0.9 for 90 %.")]
        return []

    def judge(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        demanded = float(options.get(KEY, DEFAULT))
        completions = lms.client().completions(context_key, learners)
        return {
            person.lms_user_id: _judged(completions[person.lms_user_id], demanded)
            if person.lms_user_id in completions
            else not_enrolled()
            for person in learners
        }


def _judged(completed: Any, demanded: float) -> Eligibility:
    current = share(completed)
    progress = {"current_completion": current, KEY: demanded}
    if current is None:
        return Eligibility(False, progress, (_("The LMS reports a completion that makes no sense."),))
    if reaches(current, demanded):
        return Eligibility(True, progress)
    words = {"current": percent(current), "demanded": percent(demanded)}
    return Eligibility(False, progress, (_("Completed %(current)s of the required %(demanded)s.") % words,))
