"""Fulfilments end the same in every order in which facts and resets arrive."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.catalog.causes import Cause, CauseKind
from badges.catalog.learner_template_ids import learner_template_id
from badges.progress import states
from badges.progress.models import Fulfillment
from badges.progress.states import Change, ProgressState
from tests.factories import GEOMETRY, NOON, LearnerFactory, make_template, requirement

A, B, REVISION = 11, 12, 7
ALTERNATIVES = ((A, None), (B, None))


def at(minute: int) -> dt.datetime:
    return NOON + dt.timedelta(minutes=minute)


def fact(minute: int, number: int = 0) -> Cause:
    """Return an event as a cause."""
    return Cause(
        CauseKind.EVENT, event_source="lms", event_id=f"event-{number}", event_type="passed", event_time=at(minute)
    )


def penalty(minute: int) -> Cause:
    return Cause(CauseKind.EVENT, event_source="lms", event_id="penalty", event_type="failed", event_time=at(minute))


# (what, requirement, minute, number)
steps = st.tuples(st.sampled_from(["fact", "reset"]), st.sampled_from([A, B]), st.integers(0, 6), st.integers(0, 3))


def apply(state: ProgressState, step: tuple[str, int, int, int]) -> None:
    what, requirement_id, minute, number = step
    if what == "fact":
        state.fulfill(requirement_id, cause=fact(minute, number), revision_id=REVISION, now=NOON)
    else:
        state.reset(requirement_id, cause=penalty(minute), at=at(minute), revision_id=REVISION, now=NOON)


def in_order_of_time(given_steps: list[tuple[str, int, int, int]]) -> dict[int, tuple[dt.datetime, str]]:
    """Return the newest fact of each requirement whose last reset is older, without looking at the arrival."""
    newest: dict[int, tuple[dt.datetime, str]] = {}
    void = {key: max([at(s[2]) for s in given_steps if s[:2] == ("reset", key)], default=None) for key in (A, B)}
    for what, key, minute, number in given_steps:
        if what == "fact" and (void[key] is None or at(minute) > void[key]):
            newest[key] = max(newest.get(key, (at(-1), "")), (at(minute), f"event-{number}"))
    return newest


@given(st.lists(steps, max_size=12))
def test_the_end_is_that_of_the_facts_in_order_of_time_in_whatever_order_they_arrive(arrived):
    state = ProgressState(uuid.uuid4())
    for step in arrived:
        apply(state, step)

    found = {key: (active.newest_time, active.newest.event_id) for key, active in state.fulfilled.items()}
    assert found == in_order_of_time(arrived)
    assert all(active.first_time <= active.newest_time for active in state.fulfilled.values())


@given(st.lists(steps, max_size=12))
def test_nothing_is_deleted_and_each_requirement_has_at_most_one_active_row(arrived):
    state = ProgressState(uuid.uuid4())
    for step in arrived:
        apply(state, step)

    active = [row.requirement_id for row in state.new if row.active_key]
    assert sorted(active) == sorted(state.fulfilled)
    for row in state.new:
        assert (row.reset_at is None, row.reset_kind is None) == (row.active_key is not None,) * 2


@given(st.lists(steps, max_size=12))
def test_progress_is_complete_when_the_facts_in_order_of_time_say_so(arrived):
    state = ProgressState(uuid.uuid4())
    changes = []
    for step in arrived:
        apply(state, step)
        changes.append(state.recompute(ALTERNATIVES, now=NOON))

    complete = in_order_of_time(arrived).keys() == {A, B}
    assert (state.completed_at is not None) == complete
    if complete:
        assert [change for change in changes if change][-1] is Change.COMPLETED


def test_a_reset_between_two_facts_leaves_the_requirement_fulfilled_by_the_newer_one():
    state = ProgressState(uuid.uuid4())
    assert state.fulfill(A, cause=fact(1, 1), revision_id=REVISION, now=NOON)
    assert not state.fulfill(A, cause=fact(3, 3), revision_id=REVISION, now=NOON)

    assert not state.reset(A, cause=penalty(2), at=at(2), revision_id=REVISION, now=at(60))

    old, new = state.new
    assert (old.cause_event_id, old.active_key, old.reset_event_id, old.reset_at) == (
        "event-1",
        None,
        "penalty",
        at(60),
    )
    assert (new.cause_event_id, new.active_key, new.newest_event_id) == ("event-3", "active", None)


def test_a_reset_takes_only_facts_at_or_before_its_time():
    state = ProgressState(uuid.uuid4())
    state.fulfill(A, cause=fact(2), revision_id=REVISION, now=NOON)

    assert not state.reset(A, cause=penalty(1), at=at(1), revision_id=REVISION, now=NOON)
    assert A in state.fulfilled
    assert state.reset(A, cause=penalty(2), at=at(2), revision_id=REVISION, now=NOON)
    assert not state.fulfill(A, cause=fact(2), revision_id=REVISION, now=NOON)
    assert state.fulfilled == {}


def test_a_template_that_demands_more_takes_nothing_away():
    state = ProgressState(uuid.uuid4())
    state.fulfill(A, cause=fact(1), revision_id=REVISION, now=NOON)
    assert state.recompute([(A, None)], now=NOON) is Change.COMPLETED

    state.fulfill(A, cause=fact(2), revision_id=REVISION, now=NOON)

    assert state.recompute(ALTERNATIVES, now=NOON) is None
    assert state.completed_at == NOON


# --- stored ----------------------------------------------------------------------------------------------------------


class World:
    """A learner and a template with two requirements, and the state as each batch loads and stores it."""

    def __init__(self) -> None:
        self.learner = LearnerFactory()
        self.template = make_template(requirements=[requirement("a"), requirement("b", course=GEOMETRY)])
        self.a, self.b = self.template.requirements.order_by("key").values_list("id", flat=True)
        self.key = learner_template_id(self.learner.pk, self.template.pk)
        self.revision = self.template.current_revision_id

    def load(self) -> ProgressState:
        return states.load([self.key])[self.key]

    def store(self, state: ProgressState) -> None:
        states.store([(state, self.learner.pk, self.template.pk)], now=NOON)

    def fulfill(self, minute: int) -> None:
        state = self.load()
        state.fulfill(self.a, cause=fact(minute, minute), revision_id=self.revision, now=NOON)
        self.store(state)

    def reset(self, minute: int) -> None:
        state = self.load()
        state.reset(self.a, cause=penalty(minute), at=at(minute), revision_id=self.revision, now=NOON)
        self.store(state)

    def rows(self) -> list[tuple[Any, ...]]:
        rows = Fulfillment.objects.filter(requirement_id=self.a).order_by("cause_event_time")
        return list(rows.values_list("cause_event_id", "newest_event_id", "active_key", "reset_event_id"))


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_the_newest_fact_is_stored_beside_the_first_one(world: World):
    world.fulfill(1)
    assert world.rows() == [("event-1", None, "active", None)]
    world.fulfill(5)
    world.fulfill(3)
    assert world.rows() == [("event-1", "event-5", "active", None)]
    assert world.load().fulfilled[world.a].newest_time == at(5)


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_a_stored_fulfilment_that_is_reset_stays_as_history_and_can_be_fulfilled_again(world: World):
    world.fulfill(1)
    world.reset(2)
    assert world.rows() == [("event-1", None, None, "penalty")]
    assert world.load().fulfilled == {}
    world.fulfill(3)
    assert world.rows() == [("event-1", None, None, "penalty"), ("event-3", None, "active", None)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_a_stored_fulfilment_with_a_newer_fact_makes_room_for_that_fact(world: World):
    world.fulfill(1)
    world.fulfill(3)
    world.reset(2)
    assert world.rows() == [("event-1", None, None, "penalty"), ("event-3", None, "active", None)]
    (row,) = Fulfillment.objects.filter(active_key="active")
    assert (row.cause_event_type, row.cause_event_source, row.cause_event_time) == ("passed", "lms", at(3))


@pytest.mark.django_db(transaction=True)
@pytest.mark.tables
def test_storing_takes_one_statement_for_each_kind_of_change(world: World, django_assert_num_queries: Any):
    world.fulfill(1)
    state = world.load()
    state.fulfill(world.a, cause=fact(4), revision_id=world.revision, now=NOON)
    state.fulfill(world.b, cause=fact(4), revision_id=world.revision, now=NOON)
    with django_assert_num_queries(2):
        world.store(state)
    again = world.load()
    again.fulfill(world.a, cause=fact(2), revision_id=world.revision, now=NOON)
    with django_assert_num_queries(0):
        world.store(again)
