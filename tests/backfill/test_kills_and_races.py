"""What an operator relies on: a killed backfill goes on, and events that arrive beside it are counted once."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from badges import pipeline
from badges.backfill import people
from badges.backfill.run_kinds import KIND
from badges.catalog import event_types
from badges.conf import PASSING_STATUS
from badges.history.event_log import row_of
from badges.inserts import insert
from badges.models import (
    BackfilledBadge,
    Fulfillment,
    Learner,
    LoggedEvent,
    OutboxMessage,
    Run,
    RunMode,
    RunState,
    UserCredential,
)
from badges.runs import queue, worker
from tests.factories import ALGEBRA, GEOMETRY, make_passing, make_template, penalty, requirement
from tests.services.processes import Process
from tests.support.threads import outcomes_at_once

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

NOON = dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC)


def passing(person: int, course: str = ALGEBRA, *, passes: bool = True, minute: int = 0) -> Any:
    time = NOON + dt.timedelta(minutes=minute)
    return make_passing(
        course_key=course, is_passing=passes, time=time, lms_user_id=person, username=f"learner{person}"
    )


def log(crowd: int) -> None:
    """Log that each of many people passed."""
    sent, definition = passing(1), event_types.get(PASSING_STATUS)
    insert(
        row_of(definition, person=person, source="test", id=f"{person}", time=NOON, data=sent.data, now=NOON)
        for person in range(1, crowd + 1)
    )


def test_a_backfill_that_is_killed_again_and_again_gives_every_badge_once(
    run_manage: Callable[..., Process], settings: Any
) -> None:
    crowd = 4 * people.PEOPLE
    log(crowd)
    make_template(slug="star")
    run = queue.start(KIND, mode=RunMode.APPLY, parameters={"templates": ["star"]})
    for _ in range(2):
        before = UserCredential.objects.count()
        process = run_manage(
            "badges_backfill", "--template", "star", "--apply", env={"DATA_DIR": str(settings.MEDIA_ROOT)}
        )
        process.wait_until(lambda before=before: UserCredential.objects.count() > before, what="some awards")
        process.kill()
        run.refresh_from_db()
        assert UserCredential.objects.count() == BackfilledBadge.objects.count() == run.done
        Run.objects.filter(pk=run.pk, state=RunState.OPEN).update(due_at=timezone.now())  # as if its lease had ended

    worker.work(now=lambda: timezone.now() + dt.timedelta(hours=1))

    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts()) == (RunState.DONE, crowd, {"star: gained": crowd})
    assert UserCredential.objects.values("learner").distinct().count() == UserCredential.objects.count() == crowd
    assert OutboxMessage.objects.filter(channel="announce").count() == crowd
    assert Learner.objects.count() == crowd


def test_a_cancelled_backfill_keeps_what_it_has_given_and_goes_on_where_it_was() -> None:
    log(people.PEOPLE + 3)
    make_template(slug="star")
    run = queue.start(KIND, mode=RunMode.APPLY, parameters={"templates": ["star"]})
    claimed = queue.claim(now=timezone.now())
    assert claimed is not None
    worker.carry_out(claimed, on_progress=lambda changed: changed.done and queue.cancel(changed))
    run.refresh_from_db()
    assert (run.state, UserCredential.objects.count()) == (RunState.CANCELLED, people.PEOPLE)
    queue.resume(run)
    worker.work()
    assert UserCredential.objects.count() == people.PEOPLE + 3


@pytest.mark.parametrize("seed", range(2))
def test_events_that_arrive_beside_a_backfill_count_with_those_of_the_past(seed: int, monkeypatch: Any) -> None:
    monkeypatch.setattr(people, "PEOPLE", 7)
    rng, crowd = random.Random(seed), range(1, 61)
    pipeline.handle([passing(person, ALGEBRA) for person in crowd])
    pipeline.handle([passing(person, ALGEBRA, passes=False, minute=-1) for person in crowd if person % 5 == 0])
    make_template(
        slug="both",
        requirements=[requirement("a"), requirement("b", course=GEOMETRY)],
        penalties=[penalty("a")],
    )
    late = [passing(person, GEOMETRY) for person in crowd]
    late += [passing(person, passes=False, minute=5) for person in crowd if person % 3 == 0]
    rng.shuffle(late)
    queue.start(KIND, mode=RunMode.APPLY, parameters={"templates": ["both"]})

    def consume() -> None:
        for begin in range(0, len(late), 4):
            result = pipeline.handle(late[begin : begin + 4])
            assert (result.dead, result.rescheduled) == (0, 0)

    outcomes = outcomes_at_once([consume, worker.work])

    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)], outcomes
    run = Run.objects.get()
    assert run.state == RunState.DONE, run.note
    held = UserCredential.objects.filter(status="awarded").values_list("learner__lms_user_id", flat=True)
    assert sorted(held) == [person for person in crowd if person % 3]
    assert Learner.objects.count() == len(crowd)
    assert LoggedEvent.objects.count() == len(late) + 72
    active = Fulfillment.objects.filter(active_key="active").values_list("requirement__key", "progress__learner")
    assert len(set(active)) == len(active)
