"""
Compares the grades of a course or lesson with the required ones, by category and in total. Pure.

In a course, a category's grade is the mean of its assignments, counted as the platform does. Assignments that do not
exist yet and those not attempted count as 0, and the lowest are dropped. ``Total`` is the course grade that the LMS
shows, which respects drops and weights. In a lesson nothing is dropped, because drops belong to the course as a whole.
There ``Total`` is the mean of the lesson's categories by their weights.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from django.utils.translation import gettext as _

from credentials_config.contracts import JSON, Eligibility
from credentials_config.lms import Assignment, Grades, Section
from credentials_config.processors.shares import percent, reaches, share

TOTAL = "total"
# The platform rounds the course grade to whole percentages.
ROUNDING = 0.005


class NoGrade(Exception):
    """There is no grade to compare. The message tells the learner why."""


def evaluate_grades(
    required: Mapping[str, float],
    policy: Sequence[Assignment],
    grades: Grades,
    *,
    lesson: Collection[str] | None = None,
) -> Eligibility:
    """
    Return the eligibility of one learner.

    ``required`` are shares of 1 by category or "Total", in any case. ``lesson`` are the keys of the subsections that
    count; None means the whole course.
    """
    gradebook = LessonGradebook(policy, grades, lesson) if lesson is not None else CourseGradebook(policy, grades)
    current: dict[str, float | None] = {}
    reasons: list[str] = []
    for name, required_grade in required.items():
        try:
            grade = gradebook.total() if name.casefold() == TOTAL else gradebook.category(name)
        except NoGrade as error:
            current[name] = None
            reasons.append(str(error))
            continue
        current[name] = round(grade, 6)
        if not reaches(grade, required_grade):
            values = {"category": name, "current": percent(grade), "demanded": percent(required_grade)}
            reasons.append(_("%(category)s: %(current)s of the required %(demanded)s.") % values)
    return Eligibility(not reasons, {"current_grades": current, "required_grades": dict(required)}, tuple(reasons))


class CourseGradebook:
    """One learner's grades in a whole course."""

    def __init__(self, policy: Sequence[Assignment], grades: Grades):
        self.policy = {_casefolded(entry.category): entry for entry in policy}
        self.grades = grades

    def total(self) -> float:
        """Return the course grade that the LMS shows. With extra credit it may be above 1. Raises NoGrade."""
        weights = sum(share(entry.weight, most=1e6) or 0.0 for entry in self.policy.values())
        grade = share(self.grades.total, most=max(1.0, weights) + ROUNDING)
        if grade is None:
            raise NoGrade(_("The LMS reports a course grade that makes no sense."))
        return grade

    def category(self, name: str) -> float:
        """Return the grade of a category. Raises NoGrade."""
        entry = self._entry(name)
        shares = self._attempted(name)
        expected = max(_whole_number(entry.count, name), len(shares))
        scores = sorted([*shares, *[0.0] * (expected - len(shares))], reverse=True)
        kept = scores[: max(0, expected - _whole_number(entry.dropped, name))]
        return sum(kept) / len(kept) if kept else 0.0

    def _attempted(self, name: str) -> list[float]:
        sections = self._of(name)
        if not any(section.attempted for section in sections):
            raise NoGrade(_("%(category)s: nothing was attempted yet.") % {"category": name})
        return _scores(name, sections)

    def _of(self, name: str) -> list[Section]:
        return [one for one in self.grades.sections if _casefolded(one.category) == _casefolded(name)]

    def _entry(self, name: str) -> Assignment:
        entry = self.policy.get(_casefolded(name))
        if entry is None:
            raise NoGrade(_("%(category)s: the course's grading policy has no such category.") % {"category": name})
        return entry


class LessonGradebook(CourseGradebook):
    """One learner's grades in the subsections of a lesson."""

    def __init__(self, policy: Sequence[Assignment], grades: Grades, lesson: Collection[str]):
        super().__init__(policy, Grades(None, tuple(one for one in grades.sections if one.key in lesson)))

    def total(self) -> float:
        """Return the mean of the lesson's categories by their weights. Raises NoGrade."""
        names = {_casefolded(one.category): one.category for one in self.grades.sections}
        if not names:
            raise NoGrade(_("Nothing in this lesson is graded."))
        if not any(one.attempted for one in self.grades.sections):
            raise NoGrade(_("Nothing in this lesson was attempted yet."))
        weights = {name: self._weight(name) for name in names}
        if not sum(weights.values()):
            raise NoGrade(_("Nothing in this lesson counts for the grade."))
        weighted = (weight * _mean(_scores(names[name], self._of(name))) for name, weight in weights.items() if weight)
        return sum(weighted) / sum(weights.values())

    def category(self, name: str) -> float:
        """Return the mean of the lesson's subsections in a category. Raises NoGrade."""
        self._entry(name)
        return _mean(self._attempted(name))

    def _weight(self, name: str) -> float:
        entry = self.policy.get(name)
        return share(entry.weight, most=1e6) or 0.0 if entry else 0.0


def _scores(name: str, sections: Sequence[Section]) -> list[float]:
    """Return the scores in a category's subsections as shares of 1. What was not attempted counts as 0."""
    scores = []
    for section in sections:
        score = share(section.percent)
        if score is None and section.attempted:
            raise NoGrade(_("%(category)s: the LMS reports a score that makes no sense.") % {"category": name})
        scores.append(score or 0.0)
    return scores


def _mean(scores: Sequence[float]) -> float:
    return sum(scores) / len(scores)


def _whole_number(value: JSON, name: str) -> int:
    """Return a count of the grading policy, which the platform sometimes stores as text. Raises NoGrade."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise NoGrade(_("%(category)s: the course's grading policy makes no sense.") % {"category": name})
    return int(number)


def _casefolded(category: str) -> str:
    return category.strip().casefold()
