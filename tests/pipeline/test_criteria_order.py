"""
What a designer relies on: whether a learner earns a badge by its criteria does not depend on how the events arrive.

``tests/rules/criteria/test_earning.py`` asks many documents of all kinds. Here a few go through the tables.
"""

from __future__ import annotations

import datetime as dt
import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from badges import pipeline, rules
from badges.awarding.models import UserCredential
from badges.catalog.api import archive_template
from badges.conf import PASSING_STATUS
from badges.intake.events import Event, parse_event
from badges.intake.models import InboxMessage
from badges.rules import parse_criteria
from badges.testing.events import enrollment, passing_status
from tests.factories import LearnerFactory, make_template
from tests.rules.criteria.naive import naive
from tests.support.examples import examples

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

ENROLLED = "org.openedx.learning.course.enrollment.created.v1"
CONFIG = {"events": [PASSING_STATUS, ENROLLED], "learner_paths": {ENROLLED: "enrollment.user"}}
NOON = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)
numbers = itertools.count(1)

few = examples(12, suppress_health_check=[HealthCheck.function_scoped_fixture])

types = st.sampled_from([PASSING_STATUS, ENROLLED])
picks = st.one_of(
    types.map(lambda name: {"event": name}),
    st.booleans().map(lambda passing: {"event": PASSING_STATUS, "criteria": {"is_passing": passing}}),
    st.integers(2, 3).map(lambda number: {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": number}}}),
    st.lists(types, min_size=2, max_size=2).map(lambda names: {"$sequence": {"sequence": names}}),
)


def _windows(inner: Any) -> Any:
    return st.tuples(st.sampled_from(["1d", "3d"]), inner).map(
        lambda pair: {"$timeWindow": {"last": pair[0], "flow": pair[1]}}
    )


def _lists(inner: Any) -> Any:
    return st.tuples(st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=2)).map(
        lambda pair: {pair[0]: pair[1]}
    )


growing = st.recursive(picks, lambda inner: _windows(inner) | _lists(inner), max_leaves=3)
documents = st.recursive(
    picks,
    lambda inner: _windows(inner) | _lists(inner) | inner.map(lambda document: {"$not": document}),
    max_leaves=3,
)
happenings = st.lists(st.tuples(types, st.integers(-5, 0), st.booleans()), min_size=1, max_size=5)


@pytest.fixture(autouse=True)
def configured(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, **CONFIG}


def events_of(drawn: list[tuple[str, int, bool]], person: int) -> list[Event]:
    """Return events of one learner, some at the same time, twelve hours apart."""
    made = []
    for name, position, flag in drawn:
        given: dict[str, Any] = {
            "time": NOON + position * dt.timedelta(hours=12),
            "lms_user_id": person,
            "username": f"learner{person}",
        }
        sent = passing_status(is_passing=flag, **given) if name == PASSING_STATUS else enrollment(**given)
        made.append(parse_event(sent.line, received_from="test"))
    return made


def is_awarded(document: dict[str, Any], batches: list[list[Event]], person: int) -> bool:
    """Let batches arrive, each right after its newest event, then time pass."""
    template = make_template(slug=f"star-{next(numbers)}", requirements=[], criteria=document)
    for batch in batches:
        pipeline.handle(batch, now=max(event.time for event in batch))
    while InboxMessage.objects.filter(kind="criteria", due_at__lte=NOON + dt.timedelta(days=9)).exists():
        pipeline.process_pending(now=NOON + dt.timedelta(days=9))
    archive_template(template, author=None, now=NOON)
    return UserCredential.objects.filter(template=template, learner__lms_user_id=person).exists()


def expected(document: dict[str, Any], events: list[Event]) -> bool:
    """Ask a simple evaluation at the times of all events and, up to some days after them, when windows end."""
    criteria = parse_criteria(document)
    history = [_as_rules_see(event) for event in events]
    moments = {event.time for event in events}
    if criteria.needs_recheck:
        first = min(moments)
        steps = [first + hours * dt.timedelta(hours=12) for hours in range(30)]
        moments |= {step + tick for step in steps for tick in (dt.timedelta(), dt.timedelta(microseconds=1))}
    return any(naive(document, [one for one in history if one.occurred_at <= when], when) for when in moments)


def _as_rules_see(event: Event) -> Any:
    (subject,) = event.data.values()
    return rules.Event(str(rules.event_digest(event.source, event.id)), event.type, event.time, subject)


@few
@given(growing, happenings, st.data())
def test_documents_that_more_events_never_make_false_are_earned_in_any_order_of_arrival(document, drawn, data):
    person = next(numbers)
    events = events_of(drawn, person)
    arriving = data.draw(st.permutations([*events, *data.draw(st.lists(st.sampled_from(events), max_size=2))]))
    cut = data.draw(st.integers(0, len(arriving)))
    batches = [batch for batch in (arriving[:cut], *([one] for one in arriving[cut:])) if batch]

    assert is_awarded(document, batches, person) is expected(document, events)


@few
@given(documents, happenings, st.data())
def test_every_document_is_earned_as_it_says_when_events_arrive_in_the_order_of_time(document, drawn, data):
    person = next(numbers)
    events = sorted(events_of(drawn, person), key=lambda event: event.time)
    moments = [list(group) for _, group in itertools.groupby(events, key=lambda event: event.time)]
    cut = data.draw(st.integers(0, len(moments)))
    batches = [batch for batch in (list(itertools.chain(*moments[:cut])), *moments[cut:]) if batch]
    if parse_criteria(document).satisfied_without_events:
        # Only events of somebody who is a learner are asked about.
        LearnerFactory(lms_user_id=person)

    assert is_awarded(document, batches, person) is expected(document, events)
