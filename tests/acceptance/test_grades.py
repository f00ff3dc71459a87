"""What a designer relies on: a grade of at least 80 % is a badge, although grade events hold only a user id."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from badges import pipeline
from badges.intake.consumers import messages
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.testing.events import LearningEvent, grade_changed
from tests.acceptance.bus_helpers import holders
from tests.factories import LearnerFactory, make_template, rule
from tests.services.processes import Process
from tests.support.kafka_doubles import FakeRegistry, headers_of, received
from tests.support.signal_samples import on_the_wire

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

GRADE = "org.openedx.learning.course.persistent_grade_summary.changed.v1"
CONFIG = {"events": [GRADE], "learner_paths": {GRADE: "grade.user_id"}}


@pytest.fixture
def good_grade(settings: Any) -> None:
    """A badge for a grade of at least 80 %, and two learners who are known."""
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, **CONFIG}
    requirement = {"key": "grade", "event_type": GRADE, "rules": [rule("percent_grade", "gte", "0.8")]}
    make_template(slug="good-grade", requirements=[requirement])
    for number in (17, 18):
        LearnerFactory(lms_user_id=number)


def grades() -> list[LearningEvent]:
    """The grades of two known learners and of a stranger."""
    return [
        grade_changed(lms_user_id=number, percent_grade=grade) for number, grade in ((17, 0.8), (18, 0.79), (19, 1))
    ]


def test_a_grade_of_at_least_80_percent_is_a_badge_from_the_file_bus(
    good_grade: None, tmp_path: Path, run_manage: Callable[..., Process]
) -> None:
    file = tmp_path / "grades.jsonl"
    file.write_text("".join(f"{event.line}\n" for event in grades()))

    consumer = run_manage(
        *("consume_badge_events", "--bus", "file", "--input", str(file)),
        env={"LMS_BADGES_CONFIG": json.dumps(CONFIG), "DJANGO_SETTINGS_MODULE": "tests.support.host_settings"},
    )

    assert consumer.wait() == 0, consumer.output()
    assert holders() == [17]
    assert not Learner.objects.filter(lms_user_id=19).exists()


def test_a_grade_of_at_least_80_percent_is_a_badge_from_avro(good_grade: None) -> None:
    events = []
    for sent in grades():
        body = on_the_wire(sent.signal, sent.data)
        read = messages.read(
            received(body, headers_of(sent)), FakeRegistry({1: sent.signal}).decode, event_bytes=1024 * 1024
        )
        assert isinstance(read, Event), read
        events.append(read)

    result = pipeline.handle(events)

    assert holders() == [17]
    assert result.ignored == {(GRADE, "no learner"): 1, (GRADE, "no match"): 1}
