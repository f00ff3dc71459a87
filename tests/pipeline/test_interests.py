"""A kind of interests is a class and a step: the index and the matching know nothing of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from badges import pipeline
from badges.catalog import interests
from badges.catalog.interests import Interest
from badges.conf import PASSING_STATUS
from badges.intake.models import InboxMessage, Learner
from badges.pipeline import steps
from badges.pipeline.steps import Step
from badges.rules import RuleSet

pytestmark = [pytest.mark.django_db(transaction=True)]

ALGEBRA, BOTANY = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2"


@dataclass(slots=True, eq=False)
class Watch(Interest):
    """Watches a course; needs no learner and creates none."""

    creates_learner: ClassVar[bool] = False

    @classmethod
    def of_no_template(cls, definitions: Any) -> list[Interest]:
        definition = definitions[PASSING_STATUS]
        rule = definition.compile("course.course_key", "eq", BOTANY)
        return [cls(PASSING_STATUS, RuleSet([rule]), None)]


@dataclass(slots=True, eq=False)
class Everything(Interest):
    """Looks at every event of the type that something else keeps."""

    keeps_event: ClassVar[bool] = False
    creates_learner: ClassVar[bool] = False

    @classmethod
    def of_no_template(cls, definitions: Any) -> list[Interest]:
        return [cls(PASSING_STATUS, RuleSet(), None)]


@dataclass(slots=True, eq=False)
class Described(Interest):
    """Watches the course that the description of a template names."""

    @classmethod
    def of_template(cls, document: Any, template: Any, compile_rules: Any) -> Iterator[Interest]:
        if course := document["description"]:
            rules = compile_rules(PASSING_STATUS, [{"path": "course.course_key", "operator": "eq", "value": course}])
            yield cls(PASSING_STATUS, rules, template)


@pytest.fixture
def seen() -> Iterator[list[tuple[str, Any, Any, bool]]]:
    """Register the three kinds, with steps that note (kind, template, learner, whether it was stored)."""
    noted: list[tuple[str, Any, Any, bool]] = []

    def step_of(watched: type[Interest]) -> type[Step]:
        class Noting(Step):
            kind = watched

            def apply(self, match: Any, found: Any, learner: Any) -> None:
                for interest in found:
                    template = interest.template.slug if interest.template else None
                    noted.append((watched.__name__, template, learner and learner.lms_user_id))
                    if interest.template:
                        assert self.work.touch(learner, interest.template).state.begun is False

        return Noting

    made = [step_of(kind) for kind in (Watch, Everything, Described)]
    for step in made:
        interests.register(step.kind)
        steps.register(step)
    yield noted
    for step in made:
        interests.unregister(step.kind)
        steps.unregister(step)


def test_an_event_that_only_such_a_kind_meets_is_kept_and_creates_no_learner(seen, passing):
    result = pipeline.handle([passing(course_key=BOTANY, lms_user_id=5)])

    assert (result.matched, result.awarded) == (1, 0)
    assert seen == [("Watch", None, None), ("Everything", None, None)]
    assert InboxMessage.objects.get().state == "processed"
    assert not Learner.objects.exists()


def test_a_learner_who_is_known_is_handed_to_the_step(seen, template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})
    pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])
    seen.clear()

    pipeline.handle([passing(course_key=BOTANY, lms_user_id=5)])

    assert seen == [("Watch", None, 5), ("Everything", None, 5)]


def test_a_kind_that_keeps_no_events_sees_only_those_that_another_kind_keeps(seen, template, passing):
    template("star", {"key": "pass", "course": ALGEBRA})

    ignored = pipeline.handle([passing(course_key="course-v1:Uni+Other+3", lms_user_id=4)])
    assert (ignored.matched, dict(ignored.ignored)) == (0, {(PASSING_STATUS, "no match"): 1})
    assert seen == []
    assert not InboxMessage.objects.exists()

    kept = pipeline.handle([passing(course_key=ALGEBRA, lms_user_id=5)])
    assert (kept.matched, kept.awarded) == (1, 1)
    assert seen == [("Everything", None, 5)]


def test_a_kind_of_templates_creates_the_learner_and_has_the_progress_at_hand(seen, template, passing):
    template("star", {"key": "pass", "course": ALGEBRA}, description=BOTANY)

    result = pipeline.handle([passing(course_key=BOTANY, lms_user_id=5)])

    assert (result.matched, result.awarded) == (1, 0)
    assert ("Described", "star", 5) in seen
    assert Learner.objects.get().lms_user_id == 5
    assert not Learner.objects.get().progress.exists()
