"""
Grades of a course or lesson compared with what is demanded, by category and in total. Values in, values out.

In a course, a category's grade is the mean of its assignments as the platform counts them: assignments that do not
exist yet and those not attempted count as nought, and the lowest are dropped. ``Total`` is the course grade that the
LMS shows, which respects drops and weights. In a lesson nothing is dropped: drops are about the course as a whole.
There ``Total`` is the mean of the lesson's categories by their weights.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from credentials_config.contracts import Eligibility
from credentials_config.lms import Assignment, Grades, Section
from credentials_config.processors.figures import percent, reaches, share

TOTAL = "total"
# The platform rounds the course grade to a whole per cent.
ROUNDING = 0.005


class Ungradable(Exception):
    """There is no grade to compare; the message says why, for the learner."""


def judged(
    demands: Mapping[str, float],
    policy: Sequence[Assignment],
    grades: Grades,
    *,
    lesson: Collection[str] | None = None,
) -> Eligibility:
    """Compare one learner's grades with the demands; ``lesson``: only these subsections count."""
    book = LessonBook(policy, grades, lesson) if lesson is not None else CourseBook(policy, grades)
    current: dict[str, float | None] = {}
    reasons: list[str] = []
    for name, demanded in demands.items():
        try:
            grade = book.total() if name.casefold() == TOTAL else book.category(name)
        except Ungradable as problem:
            current[name] = None
            reasons.append(str(problem))
            continue
        current[name] = round(grade, 6)
        if not reaches(grade, demanded):
            words = {"category": name, "current": percent(grade), "demanded": percent(demanded)}
            reasons.append(_("%(category)s: %(current)s of the required %(demanded)s.") % words)
    return Eligibility(not reasons, {"current_grades": current, "required_grades": dict(demands)}, tuple(reasons))


class CourseBook:
    """One learner's grades in a whole course."""

    def __init__(self, policy: Sequence[Assignment], grades: Grades):
        self.policy = {_folded(entry.category): entry for entry in policy}
        self.grades = grades

    def total(self) -> float:
        """Return the course grade as the LMS shows it; extra credit may lift it above 1."""
        weights = sum(share(entry.weight, most=1e6) or 0.0 for entry in self.policy.values())
        grade = share(self.grades.total, most=max(1.0, weights) + ROUNDING)
        if grade is None:
            raise Ungradable(_("The LMS reports a course grade that makes no sense."))
        return grade

    def category(self, name: str) -> float:
        """Return the grade of a category."""
        entry = self._entry(name)
        shares = self._attempted(name)
        expected = max(_whole(entry.count, name), len(shares))
        marks = sorted([*shares, *[0.0] * (expected - len(shares))], reverse=True)
        kept = marks[: max(0, expected - _whole(entry.dropped, name))]
        return sum(kept) / len(kept) if kept else 0.0

    def _attempted(self, name: str) -> list[float]:
        sections = self._of(name)
        if not any(section.attempted for section in sections):
            raise Ungradable(_("%(category)s: nothing was attempted yet.") % {"category": name})
        return _marks(name, sections)

    def _of(self, name: str) -> list[Section]:
        return [one for one in self.grades.sections if _folded(one.category) == _folded(name)]

    def _entry(self, name: str) -> Assignment:
        entry = self.policy.get(_folded(name))
        if entry is None:
            raise Ungradable(_("%(category)s: the course's grading policy has no such category.") % {"category": name})
        return entry


class LessonBook(CourseBook):
    """One learner's grades in the subsections of a lesson."""

    def __init__(self, policy: Sequence[Assignment], grades: Grades, lesson: Collection[str]):
        super().__init__(policy, Grades(None, tuple(one for one in grades.sections if one.key in lesson)))

    def total(self) -> float:
        """Return the mean of the lesson's categories, by their weights."""
        names = {_folded(one.category): one.category for one in self.grades.sections}
        if not names:
            raise Ungradable(_("Nothing in this lesson is graded."))
        if not any(one.attempted for one in self.grades.sections):
            raise Ungradable(_("Nothing in this lesson was attempted yet."))
        weights = {name: self._weight(name) for name in names}
        if not sum(weights.values()):
            raise Ungradable(_("Nothing in this lesson counts for the grade."))
        weighted = (weight * _mean(_marks(names[name], self._of(name))) for name, weight in weights.items() if weight)
        return sum(weighted) / sum(weights.values())

    def category(self, name: str) -> float:
        """Return the mean of the lesson's subsections in a category."""
        self._entry(name)
        return _mean(self._attempted(name))

    def _weight(self, name: str) -> float:
        entry = self.policy.get(name)
        return share(entry.weight, most=1e6) or 0.0 if entry else 0.0


def _marks(name: str, sections: Sequence[Section]) -> list[float]:
    """Return the shares of 1 in a category's subsections; what was not attempted is nought."""
    marks = []
    for section in sections:
        mark = share(section.percent)
        if mark is None and section.attempted:
            raise Ungradable(_("%(category)s: the LMS reports a score that makes no sense.") % {"category": name})
        marks.append(mark or 0.0)
    return marks


def _mean(marks: Sequence[float]) -> float:
    return sum(marks) / len(marks)


def _whole(value: Any, name: str) -> int:
    """Read a count of the policy, which the platform also keeps as text at times."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or number < 0:
        raise Ungradable(_("%(category)s: the course's grading policy makes no sense.") % {"category": name})
    return int(number)


def _folded(category: str) -> str:
    return category.strip().casefold()
