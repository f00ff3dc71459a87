"""
What all included processors share: the contexts that they support, the check of options, and pathways.

In a pathway a learner must be actively enrolled and pass every step. ``steps`` in the options says what differs in a
step: ``{"steps": {course key: options}}`` is merged over the other options, key by key.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

from django.utils.translation import gettext as _

from badges.exceptions import Permanent
from credentials_config import lms
from credentials_config.context_keys import Kind, block_type_of, kind_of
from credentials_config.contracts import Eligibility, Options, Person, Processor
from credentials_config.options import merge, similar_keys

STEPS = "steps"


class SteppedProcessor(Processor):
    """
    A processor of courses, of some types of lessons, and of pathways made of courses.

    ``lesson_types`` are the types of blocks that are supported as lessons; None means all. ``option_keys`` are the
    keys that the processor reads.
    """

    lesson_types: ClassVar[frozenset[str] | None] = None
    option_keys: ClassVar[frozenset[str]]

    @abstractmethod
    def option_errors(self, options: Options) -> list[str]:
        """Return what is wrong with the options of one course or lesson, one sentence for each error."""

    @abstractmethod
    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        """Return the eligibility of each of the learners in a course or lesson, by LMS user id."""

    def supports(self, context_key: str) -> bool:
        kind = kind_of(context_key)
        if kind is Kind.LESSON and self.lesson_types is not None:
            return block_type_of(context_key) in self.lesson_types
        return kind is not None

    def people(self, context_key: str, options: Options) -> Iterator[Person]:
        return lms.client().people(context_key)

    def retrieve(
        self, context_key: str, options: Options, learners: Collection[Person] | None = None
    ) -> dict[int, Eligibility]:
        self._refuse_unusable(context_key, options)
        if learners is None:
            learners = list(self.people(context_key, options))
        if not learners:
            return {}
        if kind_of(context_key) is Kind.PATHWAY:
            return self._evaluate_pathway(context_key, options, learners)
        return self.evaluate(context_key, _without_steps(options), learners)

    def _refuse_unusable(self, context_key: str, options: Options) -> None:
        if not self.supports(context_key):
            raise Permanent(
                f"The processor {self.slug!r} does not support {context_key!r}. "
                "Correct the context key of the configuration, or choose another credential type."
            )
        if errors := self.clean_options(options):
            raise Permanent(f"The options are not usable: {' '.join(errors)} Correct them in the configuration.")

    # Options

    def clean_options(self, options: Options) -> list[str]:
        steps = options.get(STEPS)
        found = [
            _("%(key)s: this is not known. Do you mean “%(near)s”?") % {"key": key, "near": near}
            for key, near in similar_keys(options, self.option_keys | {STEPS})
        ]
        common = _without_steps(options)
        # With options for steps, the common ones need not be complete.
        if not steps or self.option_keys & set(common):
            found += self.option_errors(common)
        if steps is None:
            return found
        if not isinstance(steps, Mapping):
            return [*found, _("steps: write an object, {course key: options}.")]
        for key, step_options in steps.items():
            found += self._step_errors(key, step_options, common)
        return found

    def _step_errors(self, key: str, step_options: object, common: Options) -> list[str]:
        if kind_of(key) is not Kind.COURSE:
            return [_("steps.%(key)s: this is no course key.") % {"key": key}]
        if not isinstance(step_options, Mapping):
            return [_("steps.%(key)s: write an object with the options of this step.") % {"key": key}]
        return [f"{STEPS}.{key}.{error}" for error in self.option_errors(merge(common, step_options))]

    # Pathways

    def _evaluate_pathway(
        self, pathway_key: str, options: Options, learners: Collection[Person]
    ) -> dict[int, Eligibility]:
        enrolled = lms.client().enrolled(pathway_key, learners)
        candidates = [person for person in learners if person.lms_user_id in enrolled]
        steps = self._steps(pathway_key, options)
        by_step = {
            key: self.evaluate(key, step_options, candidates) if candidates else {}
            for key, step_options in steps.items()
        }
        return {
            person.lms_user_id: _all_steps({key: results.get(person.lms_user_id) for key, results in by_step.items()})
            if person.lms_user_id in enrolled
            else not_enrolled()
            for person in learners
        }

    def _steps(self, pathway_key: str, options: Options) -> dict[str, Options]:
        """
        Return the options of each step.

        Raises Permanent when the options name a course that is no step, or are not complete for a step.
        """
        common, given = _without_steps(options), options.get(STEPS) or {}
        keys = lms.client().steps(pathway_key)
        if unknown := sorted(set(given) - set(keys)):
            raise Permanent(
                f"The options are not usable: steps.{unknown[0]}: this course is no step of {pathway_key}. "
                "Correct the key, or take it away."
            )
        steps: dict[str, Options] = {key: merge(common, given.get(key, {})) for key in keys}
        for key, step_options in steps.items():
            if errors := self.option_errors(step_options):
                raise Permanent(f"The options are not usable in the step {key}: {' '.join(errors)}")
        return steps


def not_enrolled() -> Eligibility:
    """Return the result for somebody who is not, or no longer, enrolled."""
    return Eligibility(False, {}, (_("Not enrolled."),))


def _without_steps(options: Options) -> Options:
    return {key: value for key, value in options.items() if key != STEPS}


def _all_steps(results: Mapping[str, Eligibility | None]) -> Eligibility:
    if not results:
        return Eligibility(False, {STEPS: {}}, (_("The pathway has no steps."),))
    known = {key: result or not_enrolled() for key, result in results.items()}
    return Eligibility(
        eligible=all(result.eligible for result in known.values()),
        progress={STEPS: {key: {"eligible": result.eligible, **result.progress} for key, result in known.items()}},
        reasons=tuple(f"{key}: {reason}" for key, result in known.items() for reason in result.reasons),
    )
