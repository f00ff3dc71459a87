"""Finds who has reached the required grades, by category and in total."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import ClassVar

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from credentials_config import lms
from credentials_config.context_keys import Kind, course_of, kind_of
from credentials_config.contracts import Eligibility, Options, Person
from credentials_config.processors.base import SteppedProcessor, not_enrolled
from credentials_config.processors.grading import evaluate_grades
from credentials_config.processors.shares import share

KEY = "required_grades"


class SubsectionGrades(SteppedProcessor):
    """Compares grades in a course, or in a lesson's own subtree, with the required ones."""

    slug = "subsection_grades"
    title = gettext_lazy("Grades")
    option_help = gettext_lazy(
        'required_grades: shares between 0 and 1 by category of the grading policy: {"Homework": 0.4, "Exam": 0.9}.\n'
        "Capitals do not matter. “Total” is the grade of the whole course (of a lesson: of its own subtree). Each "
        "category that is named must have been attempted.\n"
        'steps: for pathways, what is different in a step: {"course-v1:…": {"required_grades": {"Total": 0.7}}}; '
        "null takes a category away."
    )
    # The platform grades subsections. A section has several of them.
    lesson_types: ClassVar[frozenset[str] | None] = frozenset({"chapter", "sequential"})
    option_keys = frozenset({KEY})

    def option_errors(self, options: Options) -> list[str]:
        required = options.get(KEY)
        if not isinstance(required, Mapping) or not required:
            return [_('required_grades: write what is demanded, like {"Exam": 0.6, "Total": 0.8}.')]
        found = [
            _("required_grades.%(category)s: write a share between 0 and 1, like 0.8 for 80 %%.") % {"category": name}
            for name, value in required.items()
            if share(value) is None
        ]
        if len({name.strip().casefold() for name in required}) < len(required):
            found.append(_("required_grades: a category is there twice; capitals do not tell them apart."))
        return found

    def evaluate(self, context_key: str, options: Options, learners: Collection[Person]) -> dict[int, Eligibility]:
        required = {name.strip(): float(value) for name, value in options[KEY].items()}
        client = lms.client()
        in_lesson = kind_of(context_key) is Kind.LESSON
        course_key = course_of(context_key) if in_lesson else context_key
        lesson = client.subsections(context_key) if in_lesson else None
        policy = client.policy(course_key)
        grades = client.grades(course_key, learners)
        return {
            person.lms_user_id: evaluate_grades(required, policy, grades[person.lms_user_id], lesson=lesson)
            if person.lms_user_id in grades
            else not_enrolled()
            for person in learners
        }
