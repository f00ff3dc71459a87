"""Courses with their policies, and blocks."""

from types import SimpleNamespace

from opaque_keys.edx.keys import CourseKey, UsageKey

from xmodule.modulestore.exceptions import ItemNotFoundError

POLICIES: dict[CourseKey, list[dict]] = {}
BLOCKS: dict[UsageKey, SimpleNamespace] = {}


class _Store:
    def get_course(self, course_key: CourseKey) -> SimpleNamespace | None:
        """Return a course, if there is one."""
        if course_key not in POLICIES:
            return None
        return SimpleNamespace(grading_policy={"GRADER": POLICIES[course_key], "GRADE_CUTOFFS": {"Pass": 0.5}})

    def get_item(self, usage_key: UsageKey) -> SimpleNamespace:
        """Return a block."""
        if usage_key not in BLOCKS:
            raise ItemNotFoundError(usage_key)
        return BLOCKS[usage_key]


def modulestore() -> _Store:
    """Return the store."""
    return _Store()
