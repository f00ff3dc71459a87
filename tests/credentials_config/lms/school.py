"""A small school at the stand-in LMS: two courses, a pathway of both, and people in them."""

from __future__ import annotations

from typing import Any

from credentials_config.testing.lms import LmsStandIn

ALGEBRA = "course-v1:Demo+Algebra+2026"
GEOMETRY = "course-v1:Demo+Geometry+2026"
NOWHERE = "course-v1:Demo+Nowhere+2026"
PATHWAY = "path-v1:Demo+Maths+2026+A"
SHEET = "block-v1:Demo+Algebra+2026+type@sequential+block@sheet_1"
WEEK = "block-v1:Demo+Algebra+2026+type@chapter+block@week_1"
POLICY: list[dict[str, Any]] = [
    {"assignment_type": "Homework", "count": 3, "dropped": 1, "weight": 0.25},
    {"assignment_type": "Exam", "count": 1, "dropped": 0, "weight": 0.75},
]


def fill(lms: LmsStandIn) -> None:
    """Open the courses, with three sheets of homework in two weeks and an exam in Algebra."""
    lms.add_course(ALGEBRA, name="Algebra", start="2026-02-01T08:00:00Z", end="2026-06-30T20:00:00Z", policy=POLICY)
    lms.add_course(GEOMETRY, name="Geometry", start="2026-01-10T08:00:00Z", end="2026-09-01T20:00:00Z")
    lms.add_subsection(ALGEBRA, "sheet 1", category="Homework", chapter="week 1")
    lms.add_subsection(ALGEBRA, "sheet 2", category="Homework", chapter="week 1")
    lms.add_subsection(ALGEBRA, "reading", chapter="week 1")
    lms.add_subsection(ALGEBRA, "sheet 3", category="Homework", chapter="week 2")
    lms.add_subsection(ALGEBRA, "exam", category="Exam", chapter="finals")
    lms.add_path(PATHWAY, name="Maths", steps=[ALGEBRA, GEOMETRY])


def key(name: str, *, type: str = "sequential", course: str = ALGEBRA) -> str:
    """Return the key of a block of a course by its name."""
    return f"block-v1:{course.removeprefix('course-v1:')}+type@{type}+block@{name.replace(' ', '_')}"
