"""Finds who has both completed enough and reached the required grades."""

from __future__ import annotations

from collections.abc import Collection
from typing import ClassVar

from django.utils.translation import gettext_lazy

from credentials_config.contracts import Eligibility, Options, Person
from credentials_config.processors.base import SteppedProcessor
from credentials_config.processors.completions import Completions
from credentials_config.processors.subsection_grades import SubsectionGrades


class CompletionsAndGrades(SteppedProcessor):
    """Combines ``Completions`` and ``SubsectionGrades``: both must be fulfilled."""

    slug = "completions_and_grades"
    title = gettext_lazy("Completion and grades")
    option_help = gettext_lazy(
        "required_completion and required_grades, both as in the processors of that name.\n"
        "steps: for pathways, what is different in a step."
    )
    lesson_types: ClassVar[frozenset[str] | None] = frozenset({"chapter", "sequential"})
    option_keys = Completions.option_keys | SubsectionGrades.option_keys

    def __init__(self) -> None:
        self._completions, self._grades = Completions(), SubsectionGrades()

    def option_errors(self, options: Options) -> list[str]:
        return self._completions.option_errors(options) + self._grades.option_errors(options)

    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        completed = self._completions.evaluate(context_key, options, learners)
        graded = self._grades.evaluate(context_key, options, learners)
        return {key: _combined(completed[key], graded[key]) for key in completed}


def _combined(one: Eligibility, other: Eligibility) -> Eligibility:
    reasons = dict.fromkeys([*one.reasons, *other.reasons])  # both may say that somebody is not enrolled
    return Eligibility(one.eligible and other.eligible, one.progress | other.progress, tuple(reasons))
