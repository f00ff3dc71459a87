"""
What a designer relies on: badges and fulfilments end the same in every order of arrival, also with penalties.

They end as the facts in the order of their times say, which a simple function works out (``folded``).
"""

from __future__ import annotations

import datetime as dt
import itertools
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.catalog.api import archive_template
from badges.intake.events import Event
from badges.intake.models import Learner
from badges.progress.models import BadgeProgress, Fulfillment
from tests.factories import make_passing, make_template, penalty, requirement, rule
from tests.support.examples import examples
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

A, B, C = "course-v1:Uni+Algebra+1", "course-v1:Uni+Botany+2", "course-v1:Uni+Cello+3"
NOON = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
people = itertools.count(1_000)

few = examples(40, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Happening(NamedTuple):
    """Somebody passes or fails a course, in a minute."""

    course: str
    passes: bool
    minute: int

    def event(self, person: int) -> Event:
        """Return an event with an id of its own."""
        time = NOON + dt.timedelta(minutes=self.minute)
        named = {"lms_user_id": person, "username": f"learner{person}"}
        return make_passing(course_key=self.course, is_passing=self.passes, time=time, **named)


# What each happening means for the template below. Passing Cello is a requirement, and takes Algebra at the same time.
FULFILS = {(A, True): "a", (B, True): "b", (C, True): "c"}
RESETS = {(A, False): ("a",), (B, False): ("a", "b"), (C, False): ("c",), (C, True): ("a",)}
GROUPS = (("a",), ("b", "c"))


def make_star() -> Any:
    """Algebra, and Botany or Cello."""
    passes_cello = [rule("is_passing", "eq", True), rule("course.course_key", "eq", C)]
    return make_template(
        slug=f"star-{next(people)}",
        requirements=[
            requirement("a", course=A),
            requirement("b", course=B, group="either"),
            requirement("c", course=C, group="either"),
        ],
        penalties=[
            penalty("a", course=A),
            penalty("a", "b", course=B),
            penalty("c", course=C),
            penalty("a", rules=passes_cello),
        ],
    )


def folded(happenings: Iterable[Happening]) -> tuple[bool, dict[str, int]]:
    """Return whether the badge is held in the end, and what is fulfilled by a fact of which minute."""
    fulfilled: dict[str, int] = {}
    for minute, group in itertools.groupby(sorted(happenings, key=lambda each: each.minute), lambda each: each.minute):
        at_once = list(group)
        fulfilled |= {FULFILS[key]: minute for each in at_once if (key := each[:2]) in FULFILS}
        for each in at_once:
            for key in RESETS.get(each[:2], ()):
                fulfilled.pop(key, None)
    return all(any(key in fulfilled for key in group) for group in GROUPS), fulfilled


def stored(person: int) -> tuple[bool, dict[str, int]]:
    """Return the same of what is stored about a person."""
    held = UserCredential.objects.filter(learner__lms_user_id=person, status="awarded").count()
    rows = Fulfillment.objects.filter(progress__learner__lms_user_id=person, active_key="active")
    newest = {
        row.requirement.key: round(((row.newest_event_time or row.cause_event_time) - NOON).total_seconds() / 60)
        for row in rows.select_related("requirement")
    }
    complete = BadgeProgress.objects.filter(learner__lms_user_id=person).exclude(completed_at=None).exists()
    assert complete is bool(held)
    return bool(held), newest


happenings = st.lists(
    st.builds(Happening, st.sampled_from([A, A, B, C]), st.booleans(), st.integers(0, 4)), min_size=1, max_size=8
)


@few
@given(happenings, st.data())
def test_badges_and_fulfilments_end_as_the_facts_in_order_of_time_say_in_every_order_of_arrival(happened, data):
    template, person = make_star(), next(people)
    events = [each.event(person) for each in happened]
    repeated = data.draw(st.lists(st.sampled_from(events), max_size=2))
    arriving = data.draw(st.permutations([*events, *repeated]))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(arriving)), max_size=4)) | {0, len(arriving)})

    for begin, end in itertools.pairwise(cuts):
        pipeline.handle(arriving[begin:end])

    archive_template(template, author=None, now=NOON)
    assert stored(person) == folded(happened)


@pytest.mark.parametrize("seed", range(3))
def test_eight_consumers_at_once_end_as_the_facts_in_order_of_time_say(seed):
    make_star()
    rng = random.Random(seed)
    happened = {
        person: [
            Happening(rng.choice([A, A, B, C]), rng.random() < 0.6, rng.randrange(12)) for _ in range(rng.randint(3, 9))
        ]
        for person in range(1, 13)
    }
    events = [each.event(person) for person, facts in happened.items() for each in facts]
    events += rng.sample(events, 10)  # delivered twice
    rng.shuffle(events)
    shares = [events[number::8] for number in range(8)]

    outcomes = outcomes_at_once([_handling(share, rng.randint(1, 5)) for share in shares])

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    assert {person: stored(person) for person in happened} == {
        person: folded(facts) for person, facts in happened.items()
    }
    assert Learner.objects.count() == len(
        [facts for facts in happened.values() if any(each[:2] in FULFILS for each in facts)]
    ), "only requirements create learners"


def _handling(events: Sequence[Event], size: int) -> Callable[[], object]:
    """Return a consumer that handles events in batches."""

    def handle() -> None:
        for begin in range(0, len(events), size):
            result = pipeline.handle(events[begin : begin + size])
            assert (result.dead, result.rescheduled) == (0, 0)

    return handle


@pytest.mark.parametrize("round_", range(4))
def test_a_penalty_and_an_older_fulfilment_of_somebody_unknown_at_once(round_):
    template = make_template(requirements=[requirement(course=A)], penalties=[penalty(course=A)])
    crowd = range(1, 41)
    fails = [Happening(A, False, 5).event(person) for person in crowd]
    passes = [Happening(A, True, 3).event(person) for person in crowd]
    passes.reverse()

    outcomes_at_once([lambda: pipeline.handle(fails), lambda: pipeline.handle(passes)])

    assert not UserCredential.objects.filter(template=template, status="awarded").exists()
    assert not Fulfillment.objects.filter(active_key="active").exists()
