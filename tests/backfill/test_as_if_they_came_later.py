"""
What a designer relies on: a backfill ends as if the same events had arrived after the template.

One template is there before the events, which arrive in any order. Another one, which demands the same, is saved when
some or all of them have arrived, and then decides the past by a backfill.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any, NamedTuple

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from badges import pipeline
from badges.catalog.api import archive_template
from badges.conf import PASSING_STATUS
from badges.intake.events import Event
from badges.models import BackfilledBadge, BadgeProgress, Fulfillment, InboxMessage, LoggedEvent, UserCredential
from tests.backfill.running import done, planned
from tests.factories import make_passing, make_template, penalty, requirement, rule

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

COURSES = {"a": "course-v1:Uni+Algebra+1", "b": "course-v1:Uni+Botany+2", "c": "course-v1:Uni+Cello+3"}
NOON = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
numbers = itertools.count(1_000)

few = settings(
    max_examples=12, phases=[Phase.generate], deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Happening(NamedTuple):
    """Somebody passes or fails a course, in a minute."""

    course: str
    passes: bool
    minute: int

    def event(self, person: int) -> Event:
        time = NOON + dt.timedelta(minutes=self.minute)
        named = {"lms_user_id": person, "username": f"learner{person}"}
        return make_passing(course_key=COURSES[self.course], is_passing=self.passes, time=time, **named)


happenings = st.lists(
    st.builds(Happening, st.sampled_from("aabc"), st.booleans(), st.integers(0, 4)), min_size=1, max_size=8
)


def _criteria(course: str, number: int) -> dict[str, Any]:
    wanted = {"is_passing": True, "course.course_key": COURSES[course], "$eventCount": {"$gte": number}}
    return {"event": PASSING_STATUS, "criteria": wanted}


@st.composite
def templates(draw: Any) -> dict[str, Any]:
    """Draw what a template demands: courses, alternatives, penalties by failing or by passing, perhaps a document."""
    keys = draw(st.lists(st.sampled_from(sorted(COURSES)), unique=True, max_size=3))
    criteria = draw(st.none() | st.builds(_criteria, st.sampled_from("abc"), st.integers(1, 2)))
    if not keys and criteria is None:
        keys = ["a"]
    groups = {key: draw(st.sampled_from([None, "either"])) for key in keys}
    resettable = [*keys, *(["criteria"] if criteria is not None else [])]
    penalties = []
    for course, passing in draw(st.sets(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=2)):
        rules = [rule("is_passing", "eq", passing), rule("course.course_key", "eq", COURSES[course])]
        reset = draw(st.lists(st.sampled_from(resettable), unique=True, min_size=1))
        penalties.append(penalty(*reset, rules=rules))
    return {
        "requirements": [requirement(key, course=COURSES[key], group=groups[key]) for key in keys],
        "criteria": criteria,
        "penalties": penalties,
    }


def save(demanded: dict[str, Any], *, is_first: bool = False) -> Any:
    """Save a template. With the first one of an example, what happened in the examples before is forgotten."""
    if is_first:
        LoggedEvent.objects.all().delete()
    return make_template(slug=f"star-{next(numbers)}", **demanded)


def arrive(events: list[Event], data: Any) -> None:
    """Let events arrive in batches, and let the checks become due that follow from them."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(events)), max_size=3)) | {0, len(events)}) if events else []
    for begin, end in itertools.pairwise(cuts):
        pipeline.handle(events[begin:end])
    later = timezone.now() + dt.timedelta(days=1)
    while InboxMessage.objects.filter(state="pending", due_at__lte=later).exists():
        pipeline.process_pending(now=later)


def is_held(template: Any) -> bool:
    complete = BadgeProgress.objects.filter(template=template).exclude(completed_at=None).exists()
    held = UserCredential.objects.filter(template=template, status="awarded").count()
    assert complete is bool(held)
    return bool(held)


def fulfilled(template: Any) -> dict[str, Any]:
    """Return the newest facts of the fulfilled requirements, by key; of the document only that it is fulfilled."""
    rows = Fulfillment.objects.filter(progress__template=template, active_key="active").select_related("requirement")
    return {
        row.requirement.key: row.requirement.key == "criteria" or row.newest_event_time or row.cause_event_time
        for row in rows
    }


def gains(run: Any) -> list[Any]:
    columns = ("person", "template_id", "event_source", "event_id", "event_time", "events")
    return list(BackfilledBadge.objects.filter(run=run).order_by("person", "template").values_list(*columns))


@few
@given(templates(), happenings, st.data())
def test_a_backfill_ends_as_if_the_events_had_arrived_after_the_template(demanded, happened, data):
    person, live = next(numbers), save(demanded, is_first=True)
    events = data.draw(st.permutations([each.event(person) for each in happened]))
    arrive(events, data)
    later = save(demanded)

    plan = planned(later)
    run = done(later)

    assert (is_held(later), fulfilled(later)) == (is_held(live), fulfilled(live))
    assert gains(run) == gains(plan)
    assert not UserCredential.objects.filter(template=later).exclude(status="awarded").exists()
    assert gains(done(later)) == []
    for template in (live, later):
        archive_template(template, author=None, now=NOON)


@few
@given(templates(), happenings, happenings, st.data())
def test_events_before_and_after_the_template_count_together_and_nobody_loses_a_badge(demanded, before, after, data):
    person, live = next(numbers), save(demanded, is_first=True)
    arrive([each.event(person) for each in before], data)
    later = save(demanded)
    arrive([each.event(person) for each in after], data)
    held_before, fulfilled_before = is_held(later), fulfilled(later)
    was_complete = BadgeProgress.objects.filter(template=later).exclude(completed_at=None).exists()

    plan = planned(later)
    run = done(later)

    assert is_held(later) is (is_held(live) or held_before)
    facts, live_facts = fulfilled(later), fulfilled(live)
    if was_complete:
        assert facts.keys() == live_facts.keys() | fulfilled_before.keys()
    else:
        assert facts.keys() == live_facts.keys()
    assert {key: facts[key] for key in live_facts.keys() - fulfilled_before.keys()} == {
        key: fact for key, fact in live_facts.items() if key not in fulfilled_before
    }
    assert gains(run) == gains(plan)
    for template in (live, later):
        archive_template(template, author=None, now=NOON)
