"""
Learning events for tests, the demo and benchmarks: real openedx-events objects, and the event-file lines made from
them.

``passing_status(…)`` and ``enrollment(…)`` give a ``LearningEvent``; ``line_of(*event)`` writes any event of any
signal as a line of the event file. ``write_events`` writes a long file without making an object per event: it cuts
*one* line that ``line_of`` made into its constant pieces and fills the gaps, so the shape is that of the real thing
by construction.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid1

import attrs
from opaque_keys.edx.keys import CourseKey
from openedx_events.data import EventsMetadata
from openedx_events.event_bus.avro.custom_serializers import BaseCustomTypeAvroSerializer
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer
from openedx_events.learning.data import (
    CourseData,
    CourseEnrollmentData,
    CoursePassingStatusData,
    PersistentCourseGradeData,
    UserData,
    UserPersonalData,
)
from openedx_events.learning.signals import (
    COURSE_ENROLLMENT_CREATED,
    COURSE_PASSING_STATUS_UPDATED,
    PERSISTENT_GRADE_SUMMARY_CHANGED,
)

if TYPE_CHECKING:
    from openedx_events.tooling import OpenEdxPublicSignal

COURSE = "course-v1:Demo+Algebra+2026"
# Given with every event, so that no setting is read and no host name finds its way into a file.
SOURCE = "openedx/lms/web"
SOURCE_HOST = "lms.example.org"

# Names as they come: two words and one, several scripts, an apostrophe, and a quote that JSON must escape.
NAMES = (
    "Ada Lovelace",
    "Srinivasa Ramanujan",
    "فاطمة الفهري",
    "祖冲之",
    "Sofja Kowalewskaja",
    "José Adem",
    "Hypatia",
    "Caoimhe O'Brien",
    'Grace "Amazing" Hopper',
    "Нина Бари",
)


class LearningEvent(NamedTuple):
    """An event as a producer has it: the arguments of ``line_of``."""

    signal: OpenEdxPublicSignal
    metadata: EventsMetadata
    data: dict[str, Any]

    @property
    def line(self) -> str:
        """The event as a line of the event file, without the line break."""
        return line_of(*self)


def user(
    *,
    lms_user_id: int = 1,
    username: str = "ada",
    name: str = "Ada Lovelace",
    email: str | None = None,
    is_active: bool = True,
    with_pii: bool = True,
) -> UserData:
    """Make the person an event is about; ``with_pii=False`` leaves everything out but the id."""
    pii = None
    if with_pii:
        pii = UserPersonalData(username=username, email=email or f"{username}@example.com", name=name)
    return UserData(id=lms_user_id, is_active=is_active, pii=pii)


def passing_status(
    *,
    course_key: str = COURSE,
    course_name: str = "Algebra",
    is_passing: bool = True,
    time: datetime | None = None,
    event_id: UUID | str | None = None,
    **person: Any,
) -> LearningEvent:
    """Say that somebody (the arguments of ``user``) passes a course now, or no longer does."""
    data = CoursePassingStatusData(
        is_passing=is_passing,
        course=CourseData(course_key=CourseKey.from_string(course_key), display_name=course_name),
        user=user(**person),
    )
    return _event(COURSE_PASSING_STATUS_UPDATED, {"course_passing_status": data}, time=time, event_id=event_id)


def enrollment(
    *,
    course_key: str = COURSE,
    course_name: str = "Algebra",
    mode: str = "audit",
    is_active: bool = True,
    created_by: UserData | None = None,
    time: datetime | None = None,
    event_id: UUID | str | None = None,
    **person: Any,
) -> LearningEvent:
    """Say that somebody (the arguments of ``user``) was enrolled, by themselves or ``created_by`` a member of staff."""
    time = time or datetime.now(UTC)
    data = CourseEnrollmentData(
        user=user(**person),
        course=CourseData(course_key=CourseKey.from_string(course_key), display_name=course_name),
        mode=mode,
        is_active=is_active,
        creation_date=time,
        created_by=created_by,
    )
    return _event(COURSE_ENROLLMENT_CREATED, {"enrollment": data}, time=time, event_id=event_id)


def grade_changed(
    *,
    percent_grade: float,
    lms_user_id: int = 1,
    course_key: str = COURSE,
    course_name: str = "Algebra",
    letter_grade: str = "",
    time: datetime | None = None,
    event_id: UUID | str | None = None,
) -> LearningEvent:
    """Return the event that a grade in a course changed. It holds no more of the learner than the LMS user id."""
    time = time or datetime.now(UTC)
    data = PersistentCourseGradeData(
        user_id=lms_user_id,
        course=CourseData(course_key=CourseKey.from_string(course_key), display_name=course_name),
        course_edited_timestamp=time,
        course_version="5f0e",
        grading_policy_hash="a1b2",
        percent_grade=percent_grade,
        letter_grade=letter_grade,
        passed_timestamp=time,
    )
    return _event(PERSISTENT_GRADE_SUMMARY_CHANGED, {"grade": data}, time=time, event_id=event_id)


def line_of(signal: OpenEdxPublicSignal, metadata: EventsMetadata, data: dict[str, Any]) -> str:
    """Write an event of any signal as a line of the event file, in the form its data has on the bus."""
    return json.dumps(
        {
            "id": str(metadata.id),
            "source": metadata.source,
            "type": signal.event_type,
            "time": metadata.time.isoformat(),
            "data": _Serializer(signal).to_dict({name: _with_empty_pii(value) for name, value in data.items()}),
        },
        ensure_ascii=False,
    )


class _Nobody:
    """Stands for personal data that is missing."""


class _NobodySerializer(BaseCustomTypeAvroSerializer):
    cls = _Nobody
    field_type = "null"

    @staticmethod
    def serialize(obj: object) -> Any:
        return None

    @staticmethod
    def deserialize(data: str) -> object:
        return None


class _Serializer(AvroSignalSerializer):
    """
    The bus's serializer, which also takes a person without personal data.

    ``UserData.pii`` may be ``None`` in a process, but the bus's own serializer raises then. A file can hold it.
    """

    def custom_type_serializers(self) -> list[type[BaseCustomTypeAvroSerializer]]:
        return [_NobodySerializer]


def _with_empty_pii(value: Any) -> Any:
    if isinstance(value, UserData) and value.pii is None:
        return attrs.evolve(value, pii=_Nobody())
    if not attrs.has(type(value)):
        return value
    return attrs.evolve(
        value, **{one.name: _with_empty_pii(getattr(value, one.name)) for one in attrs.fields(type(value))}
    )


def course_keys(count: int) -> list[str]:
    """Name as many courses as wanted, the same ones each time."""
    return [f"course-v1:Demo+C{number:04d}+2026" for number in range(count)]


def write_events(
    path: str | os.PathLike[str],
    n: int,
    *,
    learners: int = 1000,
    courses: int | Sequence[str] = 10,
    failing_every: int = 0,
    start: datetime | None = None,
    seconds_apart: float = 1.0,
    first_learner: int = 1,
    first_event: int = 0,
) -> int:
    """
    Write ``n`` passing-status events to a file, one a line, the same ones for the same arguments.

    The events go round the learners, then on to the next course: ``learners * courses`` events are every learner
    passing every course once. Every ``failing_every``-th event says that the course is *not* passed. Event ids are
    numbered on from ``first_event``: another file with other ids about the same facts, or the same ids again, is a
    matter of that argument. Returns ``n``.
    """
    lines = passing_status_lines(
        n,
        learners=learners,
        courses=courses,
        failing_every=failing_every,
        start=start,
        seconds_apart=seconds_apart,
        first_learner=first_learner,
        first_event=first_event,
    )
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
    return n


def passing_status_lines(
    n: int,
    *,
    learners: int = 1000,
    courses: int | Sequence[str] = 10,
    failing_every: int = 0,
    start: datetime | None = None,
    seconds_apart: float = 1.0,
    first_learner: int = 1,
    first_event: int = 0,
) -> Iterator[str]:
    """Give the lines of ``write_events``, one at a time."""
    keys = course_keys(courses) if isinstance(courses, int) else list(courses)
    start = start or datetime(2026, 1, 1, tzinfo=UTC)
    names = [json.dumps(name, ensure_ascii=False) for name in NAMES]
    template = _line_template()
    for number in range(n):
        learner = first_learner + number % learners
        failing = failing_every and number % failing_every == failing_every - 1
        yield template % {
            "id": f"{first_event + number:08x}-de30-11f1-8000-00000000cafe",
            "time": (start + timedelta(seconds=number * seconds_apart)).isoformat(),
            "course_key": keys[number // learners % len(keys)],
            "is_passing": "false" if failing else "true",
            "lms_user_id": learner,
            "username": f"learner{learner:06d}",
            "email": f"learner{learner:06d}@example.com",
            "name": names[learner % len(names)],
        }


def _line_template() -> str:
    """Cut a real line into its constant pieces: each value that varies becomes a ``%`` gap with its name."""
    event = passing_status(
        event_id="00000000-0000-1000-8000-00000000dead",
        time=datetime(1999, 12, 31, tzinfo=UTC),
        course_key="course-v1:Gap+Gap+Gap",
        is_passing=True,
        lms_user_id=987654321,
        username="gap-username",
        email="gap-email",
        name="gap-name",
        course_name="Demo course",
    )
    gaps = {
        "00000000-0000-1000-8000-00000000dead": "%(id)s",
        "1999-12-31T00:00:00+00:00": "%(time)s",
        "course-v1:Gap+Gap+Gap": "%(course_key)s",
        '"is_passing": true': '"is_passing": %(is_passing)s',
        "987654321": "%(lms_user_id)d",
        "gap-username": "%(username)s",
        "gap-email": "%(email)s",
        '"gap-name"': "%(name)s",
    }
    line = event.line.replace("%", "%%")
    for value, gap in gaps.items():
        if line.count(value) != 1:
            raise RuntimeError(f"openedx-events has changed: {value} stands {line.count(value)} times in {line}")
        line = line.replace(value, gap)
    return line


def _event(
    signal: OpenEdxPublicSignal,
    data: dict[str, Any],
    *,
    time: datetime | None,
    event_id: UUID | str | None,
) -> LearningEvent:
    metadata = EventsMetadata(
        event_type=signal.event_type,
        id=UUID(str(event_id)) if event_id else uuid1(),
        time=time or datetime.now(UTC),
        source=SOURCE,
        sourcehost=SOURCE_HOST,
    )
    return LearningEvent(signal, metadata, data)
