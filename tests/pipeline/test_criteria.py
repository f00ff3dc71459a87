"""What an operator relies on: criteria read no more than they may; failures award nothing twice and lose no check."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import OperationalError

from badges import api, pipeline
from badges.awarding.models import UserCredential
from badges.catalog import figures, interests
from badges.catalog.interests import Interest
from badges.conf import PASSING_STATUS
from badges.history import batches
from badges.history.models import LoggedEvent
from badges.intake import inbox
from badges.intake.events import Event
from badges.intake.models import InboxMessage, Learner
from badges.pipeline import steps
from badges.progress.models import Fulfillment
from badges.rules import event_digest
from badges.rules.criteria import earning
from tests.factories import LearnerFactory, LoggedEventFactory, make_template
from tests.pipeline.test_races import at_once

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

NOON = dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC)
WEEK = dt.timedelta(days=7)
DUE = NOON + WEEK + dt.timedelta(minutes=5)
THRICE = {"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": 3}}}
# Passed, and then nothing for a week.
REST = {
    "$and": [
        {"event": PASSING_STATUS},
        {"$timeWindow": {"last": "7d", "flow": {"$not": {"event": PASSING_STATUS}}}},
    ]
}


def criteria(document: Any, slug: str = "earned") -> None:
    make_template(slug=slug, requirements=[], criteria=document)


@pytest.fixture
def passes(passing: Callable[..., Event]) -> Callable[..., Event]:
    def make(number: int = 5, *, after: float = 0, **given: Any) -> Event:
        return passing(time=NOON + dt.timedelta(days=after), lms_user_id=number, username=f"spirou{number}", **given)

    return make


def remember(number: int, person: int = 5, **given: Any) -> None:
    """Write earlier events of a person to the log."""
    rows = [LoggedEventFactory.build(person=person, **given) for _ in range(number)]
    for position, row in enumerate(rows):
        row.event_id = f"old-{person}-{position}"
        row.digest = event_digest(row.event_source, row.event_id)
        row.occurred_at = NOON - dt.timedelta(minutes=1 + position)
    LoggedEvent.objects.bulk_create(rows)


def awarded() -> int:
    return UserCredential.objects.filter(status="awarded").count()


# --- what is read ----------------------------------------------------------------------------------------------------


def test_of_one_person_the_newest_events_are_read_and_no_more(passes, monkeypatch):
    monkeypatch.setattr(batches, "MAX_EVENTS", 4)
    criteria({"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 6}}})
    criteria({"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 5}}}, "five")
    remember(20)

    pipeline.handle([passes()])

    assert [each.template.slug for each in UserCredential.objects.all()] == ["five"]


def test_a_batch_whose_people_have_too_many_events_is_decided_in_parts(passes, monkeypatch):
    monkeypatch.setattr(batches, "EVENTS_AT_ONCE", 5)
    criteria(THRICE)
    for person in (5, 6, 7, 8):
        remember(2, person)

    result = pipeline.handle([passes(number) for number in (5, 6, 7, 8)])

    assert (result.awarded, result.dead, result.rescheduled) == (4, 0, 0)


def test_one_person_with_very_long_events_is_decided_over_the_newest(passes, monkeypatch):
    data = json.dumps({"course_passing_status": {"is_passing": True, "x": "y" * 20}})
    monkeypatch.setattr(batches, "CHARACTERS_OF_A_PERSON", 2 * len(data) + 5)
    criteria(THRICE)
    criteria({"event": PASSING_STATUS, "criteria": {"is_passing": True, "$eventCount": {"$gte": 4}}}, "four")
    remember(10, data=data)

    pipeline.handle([passes()])

    assert [each.template.slug for each in UserCredential.objects.all()] == ["earned"]


def test_a_logged_event_that_cannot_be_read_satisfies_nothing_and_stops_nobody(passes):
    criteria({"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 3}}})
    remember(1, data="{")
    remember(1, person=6, data="{")

    assert pipeline.handle([passes(after=0), passes(after=1)]).awarded == 1


def test_events_that_a_learner_had_before_the_lms_user_id_was_known_are_read(passes):
    learner = LearnerFactory(lms_user_id=5)
    criteria(THRICE)
    remember(2, person=-learner.pk)

    assert pipeline.handle([passes()]).awarded == 1


def test_what_is_not_read_is_not_asked(passes, monkeypatch):
    """A document that is fulfilled reads nothing any more."""
    criteria(THRICE)
    pipeline.handle([passes(after=day) for day in (0, 1, 2)])
    monkeypatch.setattr(batches.BatchHistory, "read", lambda *_, **__: pytest.fail("the log was read"))

    pipeline.handle([passes(after=3)])

    assert Fulfillment.objects.count() == 1


def test_personal_data_is_not_seen(passes):
    criteria({"event": PASSING_STATUS, "criteria": {"user.pii.username": {"$startsWith": "spirou"}}})

    pipeline.handle([passes()])

    assert awarded() == 0


# --- figures ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def experience() -> Iterator[list[Any]]:
    """A source of figures: the learner with the LMS user id 6 has 50 points."""
    asked: list[Any] = []

    def source(learner_ids: Any, names: Any, *, now: dt.datetime) -> dict[int, dict[str, int]]:
        asked.append((len(learner_ids), sorted(names)))
        return {pk: {"xp": 50} for pk in learner_ids if Learner.objects.get(pk=pk).lms_user_id == 6}

    before = figures.register(source)
    yield asked
    figures.register(before)


def test_figures_come_from_whoever_keeps_them_and_are_asked_for_when_a_document_wants_them(passes, experience):
    criteria({"$and": [{"event": PASSING_STATUS}, {"$stat": {"xp": {"$gte": 50}}}]})
    criteria(THRICE, "thrice")

    pipeline.handle([passes(5), passes(6), passes(7)])

    assert [each.learner.lms_user_id for each in UserCredential.objects.all()] == [6]
    assert experience == [(3, ["xp"])]


def test_explanations_ask_the_same_source_of_figures(passes, experience):
    criteria({"$and": [{"event": PASSING_STATUS}, {"$stat": {"xp": {"$gte": 60}}}]})
    pipeline.handle([passes(5), passes(6)])
    experience.clear()

    few, none = (api.explain(number, "earned").criteria for number in (6, 5))

    assert few.result.missing() == ["xp 50, needs 60"]
    assert none.result.missing() == ["no xp, needs 60"]
    assert experience == [(1, ["xp"])] * 2
    assert not api.explain(4711, "earned").criteria.result.satisfied, "somebody without a learner has no figures"


# --- resets ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Reset(Interest):
    """Somebody fails: what a penalty is interested in."""

    @classmethod
    def of_template(cls, document: Any, template: Any, compile_rules: Any) -> Iterator[Interest]:
        fails = {"path": "is_passing", "operator": "eq", "value": False}
        yield cls(PASSING_STATUS, compile_rules(PASSING_STATUS, [fails]), template)


class ResetCriteria(steps.Step):
    kind = Reset

    def apply(self, match: Any, found: Any, learner: Any) -> None:
        for interest in found:
            progress, cause = self.work.touch(learner, interest.template), match.cause()
            given = {"revision_id": interest.template.revision_id, "now": self.work.now}
            progress.state.reset(interest.template.criteria_id, cause=cause, at=match.event.time, **given)


@pytest.fixture
def penalty() -> Iterator[None]:
    interests.register(Reset)
    steps.register(ResetCriteria)
    yield
    interests.unregister(Reset)
    steps.unregister(ResetCriteria)


def test_a_document_that_was_reset_is_asked_again_over_events_that_had_arrived_already(passes, penalty):
    criteria(THRICE)
    pipeline.handle([passes(after=day) for day in (0, 1, 2)], now=NOON)
    pipeline.handle([passes(after=day) for day in (4, 5, 6)], now=NOON)

    pipeline.handle([passes(after=3, is_passing=False)], now=NOON)
    assert Fulfillment.objects.filter(active_key="active").count() == 0
    pipeline.process_pending(now=DUE)

    assert Fulfillment.objects.get(active_key="active").cause_event_time > NOON + dt.timedelta(days=3)


def test_events_of_one_batch_up_to_a_penalty_do_not_count(passes, penalty):
    criteria(THRICE)

    pipeline.handle([*(passes(after=day) for day in (0, 1, 3)), passes(after=2, is_passing=False)], now=NOON)
    assert awarded() == 0


def test_explanations_leave_out_the_events_up_to_a_reset(passes, penalty):
    criteria(THRICE)
    make_template("both", {"key": "never", "course": "course-v1:Uni+Never+1"}, criteria=THRICE)
    pipeline.handle([passes(after=day) for day in (0, 1, 2)], now=NOON)
    pipeline.handle([passes(after=3, is_passing=False)], now=NOON)
    remember(1, person=5)
    LoggedEvent.objects.filter(event_id="old-5-0").update(occurred_at=NOON + dt.timedelta(days=4))

    explained = api.explain(5, "earned", at=DUE).criteria

    assert (explained.number, explained.result.satisfied, explained.earned) == (1, False, None)
    assert explained.result.missing() == ["1 of 3 events"]
    (progress,) = api.progress_of(5).filter(template__slug="both")
    assert api.missing_criteria([progress], at=DUE) == {progress.pk: ["1 of 3 events"]}
    then = api.explain(5, "earned", at=NOON + dt.timedelta(days=2.5)).criteria
    assert (then.number, then.result.satisfied) == (3, True), "it had not been reset"


# --- failures, kills and races ---------------------------------------------------------------------------------------


def test_a_check_whose_worker_was_killed_is_found_again_and_awards_once(passes):
    criteria(REST)
    pipeline.handle([passes()], now=NOON)

    # The claim is committed, and the worker does not come back.
    assert len(inbox.claim(10, DUE, lease=120)) == 1
    assert pipeline.process_pending(now=DUE + dt.timedelta(seconds=60)).seen == 0
    assert pipeline.process_pending(now=DUE + dt.timedelta(seconds=121)).seen == 1

    assert awarded() == Fulfillment.objects.count() == 1


def test_an_event_from_long_ago_does_not_forget_the_moments_that_were_left_for_later(passes, monkeypatch):
    twice = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2}}}
    criteria({"$and": [{"$timeWindow": {"last": "8d", "flow": twice}}, REST["$and"][1]]})
    now = NOON + dt.timedelta(days=20)
    with monkeypatch.context() as patched:
        patched.setattr(earning, "MAX_LOOKS", -1)  # everything is left for the background
        pipeline.handle([passes(), passes(after=0.1), passes(after=20)], now=now)
    pipeline.handle([passes(after=-10)], now=now)
    assert not awarded()

    pipeline.process_pending(now=now + dt.timedelta(minutes=1))
    assert awarded() == 1
    assert Fulfillment.objects.get().cause_event_time == NOON + dt.timedelta(days=7.1, microseconds=1)


def test_a_check_that_fails_is_tried_again_and_loses_nothing(passes, monkeypatch):
    criteria(REST)
    pipeline.handle([passes()], now=NOON)
    read = batches.BatchHistory.read
    monkeypatch.setattr(batches.BatchHistory, "read", lambda *_, **__: 1 / 0)

    pipeline.process_pending(now=DUE)
    row = InboxMessage.objects.get(kind="criteria")
    assert (row.state, row.attempts, awarded()) == ("pending", 1, 0)

    monkeypatch.setattr(batches.BatchHistory, "read", read)
    pipeline.process_pending(now=row.due_at)
    assert awarded() == 1


def test_a_transient_error_while_events_are_read_is_no_attempt(passes, monkeypatch):
    criteria(THRICE)
    read, failures = batches.BatchHistory.read, [OperationalError("database is locked")]

    def failing(*given: Any, **more: Any) -> None:
        if failures:
            raise failures.pop()
        read(*given, **more)

    monkeypatch.setattr("badges.database.is_transient", lambda error: isinstance(error, OperationalError))
    monkeypatch.setattr(batches.BatchHistory, "read", failing)

    assert pipeline.handle([passes(after=day) for day in (0, 1, 2)]).awarded == 1


def test_an_event_takes_a_check_from_the_worker_that_has_claimed_it(passes):
    criteria(REST)
    pipeline.handle([passes()], now=NOON)
    claimed = inbox.claim(10, DUE, lease=120)

    pipeline.handle([passes(after=6)], now=DUE)

    assert inbox.finish(claimed, state="processed", now=DUE) == 0
    row = InboxMessage.objects.get(kind="criteria")
    assert (row.state, row.claim, row.attempts, row.due_at) == ("pending", None, 0, DUE)
    while not awarded():
        pipeline.process_pending(now=InboxMessage.objects.get(kind="criteria").due_at)
    cause = Fulfillment.objects.get().cause_event_time
    assert cause == NOON + 6 * dt.timedelta(days=1) + WEEK + dt.timedelta(microseconds=1)


@pytest.mark.parametrize("round_", range(3))
def test_two_workers_and_an_event_at_once_award_once(passes, round_):
    criteria(REST)
    pipeline.handle([passes(number) for number in (5, 6, 7)], now=NOON)
    late = [passes(number, after=6) for number in (5, 6, 7)]

    at_once(
        lambda: pipeline.process_pending(now=DUE),
        lambda: pipeline.process_pending(now=DUE),
        lambda: pipeline.handle(late, now=DUE),
    )
    pipeline.process_pending(now=DUE + WEEK)
    pipeline.process_pending(now=DUE + 2 * WEEK)

    assert sorted(UserCredential.objects.values_list("learner__lms_user_id", flat=True)) == [5, 6, 7]
    assert Fulfillment.objects.count() == 3


@pytest.mark.parametrize("round_", range(3))
def test_events_of_one_new_learner_in_concurrent_consumers_count_together(passes, round_):
    criteria(THRICE)
    events = [passes(after=day) for day in (0, 1, 2)]

    at_once(*(lambda event=event: pipeline.handle([event]) for event in events))  # type: ignore[misc]

    assert awarded() == Fulfillment.objects.count() == 1
