"""
The LMS from inside, when this plugin is installed in the platform's own process.

This is what is used of the Open edX platform, and of two plugins where they are needed:

- ``common.djangoapps.student.models.CourseEnrollment``, and the user's ``profile.name``
- ``openedx.core.djangoapps.user_api.models.UserPreference`` (key ``pref-lang``)
- ``openedx.core.djangoapps.content.course_overviews.api.get_course_overview_or_none``
- ``xmodule.modulestore.django.modulestore``: the grading policy, and the names and children of blocks
- ``lms.djangoapps.grades.api``: ``CourseGradeFactory``, ``prefetch_course_and_subsection_grades``,
  ``clear_prefetched_course_and_subsection_grades``, ``clear_prefetched_course_grades``
- ``completion_aggregator.models.Aggregator`` (openedx-completion-aggregator)
- ``learning_paths.models.LearningPath``, ``LearningPathEnrollment`` (openedx-learning-paths)

None of it can be imported anywhere else, so each import is inside the function that needs it.
"""

# ruff: noqa: PLC0415
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from opaque_keys.edx.keys import CourseKey, UsageKey

from badges.exceptions import Permanent
from credentials_config.context_keys import Kind, block_type_of, course_of
from credentials_config.contracts import Context, Person
from credentials_config.lms.base import NOTHING_TO_COMPLETE, Assignment, Grades, Lms, Section, UnknownContext, kind
from credentials_config.lms.chunks import chunks, earliest, latest

LANGUAGE = "pref-lang"


def is_in_platform() -> bool:
    """Return whether this process is the platform's."""
    return apps.is_installed("common.djangoapps.student")


class PlatformLms(Lms):
    """The platform's own Python API."""

    def __init__(self, settings: dict[str, Any]):
        self._chunk = max(1, int(settings["chunk"]))

    # Contexts

    def context(self, context_key: str) -> Context:
        match kind(context_key):
            case Kind.COURSE:
                course = _overview(context_key)
                return Context(context_key, course.display_name or context_key, course.start, course.end)
            case Kind.LESSON:
                course = _overview(course_of(context_key))
                return Context(context_key, _block(context_key).display_name or context_key, course.start, course.end)
            case Kind.PATHWAY:
                courses = [self.context(step) for step in self.steps(context_key)]
                return Context(
                    context_key,
                    _pathway(context_key).display_name,
                    earliest(course.start for course in courses),
                    latest(course.end for course in courses),
                )

    def steps(self, pathway_key: str) -> list[str]:
        steps = list(_pathway(pathway_key).steps.all())
        return [str(step.course_key) for step in sorted(steps, key=lambda step: step.order or 0)]

    def policy(self, course_key: str) -> tuple[Assignment, ...]:
        from xmodule.modulestore.django import modulestore

        course = modulestore().get_course(CourseKey.from_string(course_key))
        if course is None:
            raise UnknownContext(course_key)
        return tuple(
            Assignment(str(entry.get("type", "")), entry.get("min_count"), entry.get("drop_count"), entry.get("weight"))
            for entry in course.grading_policy["GRADER"]
        )

    def subsections(self, lesson_key: str) -> set[str]:
        if block_type_of(lesson_key) == "sequential":
            return {lesson_key}
        return {str(child) for child in _block(lesson_key).children if child.block_type == "sequential"}

    # People

    def people(self, context_key: str) -> Iterator[Person]:
        users = self._active(context_key).order_by("id").values_list("user_id", flat=True)
        return self.find(lms_user_ids=users.iterator(chunk_size=self._chunk))

    def find(self, usernames: Iterable[str] = (), lms_user_ids: Iterable[int] = ()) -> Iterator[Person]:
        users: Any = (
            get_user_model().objects
        )  # the platform's accounts have profiles, which the type of users here lacks
        users = users.select_related("profile").order_by("id")
        for names in chunks(usernames, self._chunk):
            yield from map(_person, users.filter(username__in=names))
        for ids in chunks(lms_user_ids, self._chunk):
            yield from map(_person, users.filter(id__in=ids))

    def languages(self, learners: Collection[Person]) -> dict[int, str]:
        from openedx.core.djangoapps.user_api.models import UserPreference

        return self._in_chunks(
            learners,
            lambda ids: UserPreference.objects.filter(key=LANGUAGE, user_id__in=ids).values_list("user_id", "value"),
        )

    def enrolled(self, context_key: str, learners: Collection[Person]) -> set[int]:
        active = self._active(context_key)
        found = self._in_chunks(learners, lambda ids: active.filter(user_id__in=ids).values_list("user_id", "user_id"))
        return set(found)

    def _active(self, context_key: str) -> Any:
        if kind(context_key) is Kind.PATHWAY:
            from learning_paths.models import LearningPathEnrollment

            _pathway(context_key)
            return LearningPathEnrollment.objects.filter(learning_path__key=context_key, is_active=True)
        from common.djangoapps.student.models import CourseEnrollment

        course_key = context_key if kind(context_key) is Kind.COURSE else course_of(context_key)
        _overview(course_key)
        return CourseEnrollment.objects.filter(course_id=CourseKey.from_string(course_key), is_active=True)

    def _in_chunks(self, learners: Collection[Person], ask: Callable[[list[int]], Iterable[Any]]) -> dict[int, Any]:
        found: dict[int, Any] = {}
        for chunk in chunks(learners, self._chunk):
            found.update(ask([person.lms_user_id for person in chunk]))
        return found

    # What they did

    def completions(self, context_key: str, learners: Collection[Person]) -> dict[int, Any]:
        try:
            from completion_aggregator.models import Aggregator
        except ImportError as error:
            raise Permanent("Install openedx-completion-aggregator in the LMS: completions are asked of it.") from error

        lesson = kind(context_key) is Kind.LESSON
        course_key = CourseKey.from_string(course_of(context_key) if lesson else context_key)
        rows = Aggregator.objects.filter(course_key=course_key)
        if lesson:
            rows = rows.filter(block_key=UsageKey.from_string(context_key))
        else:
            rows = rows.filter(aggregation_name="course")
        # Learners who have not begun have no row. They completed nothing.
        found: dict[int, Any] = dict.fromkeys(self.enrolled(context_key, learners), 0.0)
        asked = [person for person in learners if person.lms_user_id in found]

        def ask(ids: list[int]) -> Iterator[tuple[int, Any]]:
            completed = rows.filter(user_id__in=ids).values_list("user_id", "percent", "possible")
            return ((user_id, percent if possible else NOTHING_TO_COMPLETE) for user_id, percent, possible in completed)

        return found | self._in_chunks(asked, ask)

    def grades(self, course_key: str, learners: Collection[Person]) -> dict[int, Grades]:
        from lms.djangoapps.grades.api import CourseGradeFactory

        enrolled = self.enrolled(course_key, learners)
        key = CourseKey.from_string(course_key)
        found: dict[int, Grades] = {}
        for chunk in chunks([person.lms_user_id for person in learners if person.lms_user_id in enrolled], self._chunk):
            users = list(get_user_model().objects.filter(id__in=chunk))
            with _prefetched(key, users):
                for user, grade, error in CourseGradeFactory().iter(users, course_key=key):
                    found[user.id] = Grades(None, ()) if error is not None else _grades(grade)
        return found


@contextlib.contextmanager
def _prefetched(course_key: CourseKey, users: list[Any]) -> Iterator[None]:
    from lms.djangoapps.grades import api

    api.prefetch_course_and_subsection_grades(course_key, users)
    try:
        yield
    finally:
        # In several releases each of the two clears what the other one's name says. Together they clear both.
        api.clear_prefetched_course_and_subsection_grades(course_key)
        api.clear_prefetched_course_grades(course_key)


def _grades(course_grade: Any) -> Grades:
    sections = []
    for category, subsections in course_grade.graded_subsections_by_format().items():
        for key, subsection in subsections.items():
            attempted = bool(subsection.attempted_graded or subsection.override)
            sections.append(Section(str(key), category, subsection.percent_graded, attempted))
    return Grades(course_grade.percent, tuple(sections))


def _person(user: Any) -> Person:
    profile = getattr(user, "profile", None)  # some service accounts have none
    name = (getattr(profile, "name", "") or "").strip()
    return Person(lms_user_id=user.id, username=user.username, email=user.email, name=name)


def _overview(course_key: str) -> Any:
    from openedx.core.djangoapps.content.course_overviews.api import get_course_overview_or_none

    overview = get_course_overview_or_none(CourseKey.from_string(course_key))
    if overview is None:
        raise UnknownContext(course_key)
    return overview


def _block(lesson_key: str) -> Any:
    from xmodule.modulestore.django import modulestore
    from xmodule.modulestore.exceptions import ItemNotFoundError

    try:
        return modulestore().get_item(UsageKey.from_string(lesson_key))
    except ItemNotFoundError as error:
        raise UnknownContext(lesson_key) from error


def _pathway(pathway_key: str) -> Any:
    try:
        from learning_paths.models import LearningPath
    except ImportError as error:
        raise Permanent("Install openedx-learning-paths in the LMS: pathways are asked of it.") from error

    try:
        return LearningPath.objects.get(key=pathway_key)
    except LearningPath.DoesNotExist as error:
        raise UnknownContext(pathway_key) from error
