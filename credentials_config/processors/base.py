"""
What all shipped processors share: which contexts they support, checking options, and pathways.

In a pathway a learner must be actively enrolled and pass every step. ``steps`` in the options says what is different
in a step: ``{"steps": {course key: options}}`` is merged over the other options, key by key.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping
from typing import ClassVar

from django.utils.translation import gettext as _

from badges.exceptions import Permanent
from credentials_config import lms
from credentials_config.contexts import Kind, block_type_of, kind_of
from credentials_config.contracts import Eligibility, Options, Person, Processor
from credentials_config.options import merge, near_misses

STEPS = "steps"


class SteppedProcessor(Processor):
    """A processor of courses, some kinds of lessons, and pathways made of courses."""

    # The kinds of blocks that are supported as lessons; None: all.
    lesson_types: ClassVar[frozenset[str] | None] = None
    option_keys: ClassVar[frozenset[str]]

    @abstractmethod
    def findings(self, options: Options) -> list[str]:
        """Return what is wrong with the options of one course or lesson."""

    @abstractmethod
    def judge(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        """Return the eligibility of each of the learners in a course or lesson."""

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
            return self._judge_pathway(context_key, options, learners)
        return self.judge(context_key, _without_steps(options), learners)

    def _refuse_unusable(self, context_key: str, options: Options) -> None:
        if not self.supports(context_key):
            raise Permanent(
                f"The processor {self.slug!r} does not support {context_key!r}. "
                "Correct the context key of the configuration, or choose another credential type."
            )
        if findings := self.clean_options(options):
            raise Permanent(f"The options are not usable: {' '.join(findings)} Correct them in the configuration.")

    # Options

    def clean_options(self, options: Options) -> list[str]:
        steps = options.get(STEPS)
        found = [
            _("%(key)s: this is not known. Do you mean “%(near)s”?") % {"key": key, "near": near}
            for key, near in near_misses(options, self.option_keys | {STEPS})
        ]
        common = _without_steps(options)
        # When steps say something, what is common need not be complete.
        if not steps or self.option_keys & set(common):
            found += self.findings(common)
        if steps is None:
            return found
        if not isinstance(steps, Mapping):
            return [*found, _("steps: write an object, {course key: options}.")]
        for key, its_options in steps.items():
            found += self._step_findings(key, its_options, common)
        return found

    def _step_findings(self, key: str, its_options: object, common: Options) -> list[str]:
        if kind_of(key) is not Kind.COURSE:
            return [_("steps.%(key)s: this is no course key.") % {"key": key}]
        if not isinstance(its_options, Mapping):
            return [_("steps.%(key)s: write an object with the options of this step.") % {"key": key}]
        return [f"{STEPS}.{key}.{finding}" for finding in self.findings(merge(common, its_options))]

    # Pathways

    def _judge_pathway(
        self, pathway_key: str, options: Options, learners: Collection[Person]
    ) -> dict[int, Eligibility]:
        enrolled = lms.client().enrolled(pathway_key, learners)
        asked = [person for person in learners if person.lms_user_id in enrolled]
        steps = self._steps(pathway_key, options)
        by_step = {key: self.judge(key, its_options, asked) if asked else {} for key, its_options in steps.items()}
        return {
            person.lms_user_id: _all_steps({key: answers.get(person.lms_user_id) for key, answers in by_step.items()})
            if person.lms_user_id in enrolled
            else not_enrolled()
            for person in learners
        }

    def _steps(self, pathway_key: str, options: Options) -> dict[str, Options]:
        """Return each step's options; Permanent when the options speak of other steps, or are not enough for one."""
        common, given = _without_steps(options), options.get(STEPS) or {}
        keys = lms.client().steps(pathway_key)
        if strange := sorted(set(given) - set(keys)):
            raise Permanent(
                f"The options are not usable: steps.{strange[0]}: this course is no step of {pathway_key}. "
                "Correct the key, or take it away."
            )
        steps: dict[str, Options] = {key: merge(common, given.get(key, {})) for key in keys}
        for key, its_options in steps.items():
            if findings := self.findings(its_options):
                raise Permanent(f"The options are not usable in the step {key}: {' '.join(findings)}")
        return steps


def not_enrolled() -> Eligibility:
    """Say that somebody is not (or no longer) enrolled."""
    return Eligibility(False, {}, (_("Not enrolled."),))


def _without_steps(options: Options) -> Options:
    return {key: value for key, value in options.items() if key != STEPS}


def _all_steps(answers: Mapping[str, Eligibility | None]) -> Eligibility:
    if not answers:
        return Eligibility(False, {STEPS: {}}, (_("The pathway has no steps."),))
    known = {key: answer or not_enrolled() for key, answer in answers.items()}
    return Eligibility(
        eligible=all(answer.eligible for answer in known.values()),
        progress={STEPS: {key: {"eligible": answer.eligible, **answer.progress} for key, answer in known.items()}},
        reasons=tuple(f"{key}: {reason}" for key, answer in known.items() for reason in answer.reasons),
    )
