"""Events for tests and benchmarks are what the LMS would have sent."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from opaque_keys.edx.keys import CourseKey
from openedx_events.data import EventsMetadata
from openedx_events.event_bus.avro.deserializer import AvroSignalDeserializer
from openedx_events.learning.data import CourseData, PersistentCourseGradeData
from openedx_events.learning.signals import PERSISTENT_GRADE_SUMMARY_CHANGED

from badges.testing import events
from badges.testing.events import enrollment, line_of, passing_status, user, write_events

NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)


def test_a_passing_status_says_who_passes_what():
    event = passing_status(
        lms_user_id=17,
        username="fatima",
        name="فاطمة الفهري",
        email="f@example.com",
        course_key="course-v1:Uni+Geo+1",
        is_passing=False,
        time=NOON,
        event_id="12345678-0000-1000-8000-000000000001",
    )
    line = json.loads(event.line)

    assert line["id"] == "12345678-0000-1000-8000-000000000001"
    assert line["type"] == "org.openedx.learning.course.passing.status.updated.v1"
    assert datetime.fromisoformat(line["time"]) == NOON
    status = line["data"]["course_passing_status"]
    assert status["is_passing"] is False
    assert status["course"]["course_key"] == "course-v1:Uni+Geo+1"
    person = {"username": "fatima", "name": "فاطمة الفهري", "email": "f@example.com"}
    assert status["user"] == {"id": 17, "is_active": True, "pii": person}
    assert "فاطمة" in event.line


def test_an_enrolment_made_by_staff_names_both_people():
    staff = user(lms_user_id=3, username="teacher")
    data = json.loads(enrollment(lms_user_id=17, username="fatima", created_by=staff, time=NOON).line)["data"][
        "enrollment"
    ]
    assert (data["user"]["pii"]["username"], data["created_by"]["pii"]["username"]) == ("fatima", "teacher")
    assert data["created_by"]["pii"]["email"] != data["user"]["pii"]["email"]
    assert json.loads(enrollment().line)["data"]["enrollment"]["created_by"] is None


def test_a_person_can_be_sent_without_personal_data():
    line = json.loads(passing_status(lms_user_id=17, with_pii=False).line)
    assert line["data"]["course_passing_status"]["user"] == {"id": 17, "is_active": True, "pii": None}


@pytest.mark.parametrize("event", [passing_status(name="Ada"), enrollment(created_by=user(lms_user_id=2))])
def test_the_bus_reads_back_what_the_line_says(event):
    data = json.loads(event.line)["data"]
    assert AvroSignalDeserializer(event.signal).from_dict(data) == event.data


def test_any_signal_becomes_a_line():
    grade = PersistentCourseGradeData(
        user_id=5,
        course=CourseData(course_key=CourseKey.from_string("course-v1:A+B+C")),
        course_edited_timestamp=NOON,
        course_version="v1",
        grading_policy_hash="x",
        percent_grade=0.8,
        letter_grade="B",
        passed_timestamp=NOON,
    )
    metadata = EventsMetadata(
        event_type=PERSISTENT_GRADE_SUMMARY_CHANGED.event_type, time=NOON, source="s", sourcehost="h"
    )

    line = json.loads(line_of(PERSISTENT_GRADE_SUMMARY_CHANGED, metadata, {"grade": grade}))

    assert (line["id"], line["data"]["grade"]["percent_grade"]) == (str(metadata.id), 0.8)
    assert set(line["data"]["grade"]) == {field.name for field in attrs.fields(PersistentCourseGradeData)}


def test_two_events_have_two_ids():
    assert passing_status().metadata.id != passing_status().metadata.id


def test_a_line_of_the_long_file_is_the_line_of_the_real_event(tmp_path):
    """The fast way and the true way write the same bytes."""
    path = tmp_path / "events.jsonl"
    write_events(path, 45, learners=11, courses=["course-v1:A+1+x", "course-v1:B+2+y"], failing_every=4, start=NOON)

    lines = path.read_text(encoding="utf-8").splitlines()

    assert len(lines) == 45
    for number, line in enumerate(lines):
        learner = number % 11 + 1
        real = passing_status(
            lms_user_id=learner,
            username=f"learner{learner:06d}",
            email=f"learner{learner:06d}@example.com",
            name=events.NAMES[learner % len(events.NAMES)],
            course_key=["course-v1:A+1+x", "course-v1:B+2+y"][number // 11 % 2],
            course_name="Demo course",
            is_passing=number % 4 != 3,
            time=NOON + timedelta(seconds=number),
            event_id=json.loads(line)["id"],
        )
        assert line == real.line


def test_every_learner_meets_every_course_once(tmp_path):
    path = tmp_path / "events.jsonl"
    assert write_events(path, 60, learners=12, courses=5) == 60
    seen = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    status = [line["data"]["course_passing_status"] for line in seen]
    assert len({(one["user"]["id"], one["course"]["course_key"]) for one in status}) == 60
    assert {one["course"]["course_key"] for one in status} == set(events.course_keys(5))
    assert len({line["id"] for line in seen}) == 60
    assert {one["is_passing"] for one in status} == {True}


def test_the_same_facts_can_be_written_under_other_ids(tmp_path):
    write_events(tmp_path / "a", 5)
    write_events(tmp_path / "b", 5)
    write_events(tmp_path / "c", 5, first_event=5)
    a, b, c = ([json.loads(line) for line in (tmp_path / name).read_text("utf-8").splitlines()] for name in "abc")
    assert a == b
    assert [line["data"] for line in a] == [line["data"] for line in c]
    assert not {line["id"] for line in a} & {line["id"] for line in c}


def test_times_are_spelled_as_they_were_given(tmp_path):
    start = datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    write_events(tmp_path / "a", 1, start=start)
    assert datetime.fromisoformat(json.loads((tmp_path / "a").read_text("utf-8"))["time"]) == start


def test_no_settings_are_needed():
    script = "from badges.testing.events import *; print(passing_status().line, enrollment(created_by=user()).line)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.count('"type"') == 2
