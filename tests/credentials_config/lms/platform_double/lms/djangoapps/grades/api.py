"""Grades of whole courses, and what is fetched ahead for them."""

from collections import namedtuple
from types import SimpleNamespace

from opaque_keys.edx.keys import CourseKey, UsageKey

# {username: (percent, [(usage key, category, percent, attempted, override)])}, or an exception.
GRADES: dict[str, object] = {}
PREFETCHED: list[tuple[str, int]] = []


class CourseGradeFactory:
    """Reads grades."""

    GradeResult = namedtuple("GradeResult", ["student", "course_grade", "error"])

    def iter(self, users, course=None, collected_block_structure=None, course_key=None, force_update=False):
        """Yield each user's grade, or why there is none."""
        assert isinstance(course_key, CourseKey)
        for user in users:
            grade = GRADES[user.username]
            if isinstance(grade, Exception):
                yield self.GradeResult(user, None, grade)
            else:
                yield self.GradeResult(user, _CourseGrade(*grade), None)


class _CourseGrade:
    def __init__(self, percent, sections):
        self.percent = percent
        self._sections = sections

    def graded_subsections_by_format(self, visible_grades_only=False, has_staff_access=False):
        """Return the subsections by category and key."""
        found = {}
        for key, category, percent, attempted, override in self._sections:
            found.setdefault(category, {})[UsageKey.from_string(key)] = SimpleNamespace(
                percent_graded=percent, attempted_graded=attempted, override=override
            )
        return found


def prefetch_course_and_subsection_grades(course_key, users):
    """Fetch ahead."""
    PREFETCHED.append(("fetched", len(users)))


def clear_prefetched_course_and_subsection_grades(course_key):
    """Forget what was fetched ahead."""
    PREFETCHED.append(("cleared courses", 0))


def clear_prefetched_course_grades(course_key):
    """Forget what was fetched ahead."""
    PREFETCHED.append(("cleared both", 0))
