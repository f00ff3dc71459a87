"""What the key of a learning context names: a course, a lesson (any block of a course) or a pathway. Pure."""

from __future__ import annotations

import enum
import re

from opaque_keys import InvalidKeyError
from opaque_keys.edx.keys import CourseKey, UsageKey

# The keys of openedx-learning-paths; its key class is registered only where that package is installed.
_PATHWAY = re.compile(r"path-v1:[^+\s/]+\+[^+\s/]+\+[^+\s/]+\+[^+\s/]+")


class Kind(enum.Enum):
    """What a context key names."""

    COURSE = "course"
    LESSON = "lesson"
    PATHWAY = "pathway"


def kind_of(context_key: str) -> Kind | None:
    """Return what the key names, or None when it is not the key of a learning context."""
    if _PATHWAY.fullmatch(context_key):
        return Kind.PATHWAY
    if _course_key(context_key) is not None:
        return Kind.COURSE
    usage = _usage_key(context_key)
    return Kind.LESSON if usage is not None and getattr(usage.context_key, "run", None) else None


def course_of(lesson_key: str) -> str:
    """Return the key of the course that a lesson is in. Raises ValueError when it is not a usage key."""
    usage = _usage_key(lesson_key)
    if usage is None:
        raise ValueError("not a usage key")
    return str(usage.context_key)


def block_type_of(lesson_key: str) -> str:
    """
    Return the type of a lesson's block: ``chapter``, ``sequential``, ``vertical`` or one inside of these.

    Raises ValueError when it is not a usage key.
    """
    usage = _usage_key(lesson_key)
    if usage is None:
        raise ValueError("not a usage key")
    return str(usage.block_type)


def _course_key(text: str) -> CourseKey | None:
    try:
        key = CourseKey.from_string(text)
    except InvalidKeyError:
        return None
    return key if getattr(key, "is_course", True) and key.run else None


def _usage_key(text: str) -> UsageKey | None:
    try:
        key = UsageKey.from_string(text)
    except InvalidKeyError:
        return None
    return key if isinstance(key.context_key, CourseKey) else None
