"""What kinds of runs rely on that begin anew with each worker, end by themselves, and have a task of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import transaction
from django.utils import timezone

from badges import api, tasks
from badges.outbox.models import Circuit
from badges.runs import kinds, queue, worker
from badges.runs.models import Run, RunMode, RunState
from tests.factories import UserFactory
from tests.support.searching_run import TASK, Searching

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

HOUR = timedelta(hours=1)
NAMES = ["spirou", "fantasio", "spip"]


@pytest.fixture(autouse=True)
def searching() -> Iterator[None]:
    kinds.register("searching", Searching())
    yield
    kinds.unregister("searching")


def search(**parameters: Any) -> Run:
    return queue.start("searching", mode=RunMode.APPLY, parameters={"names": NAMES, **parameters})


def work(*, hours: int = 0, **options: Any) -> int:
    return worker.work(now=lambda: timezone.now() + hours * HOUR, task=TASK, **options)


def join(subject: str, **options: Any) -> Run | None:
    with transaction.atomic():
        return api.join_run("searching", subject=subject, **options)


def raises(error: BaseException, *, after: int = 1) -> Callable[[Run], None]:
    """Return an ``on_progress`` that raises an error after some steps."""
    left = iter(range(after - 1))

    def on_progress(run: Run) -> None:
        if next(left, None) is None:
            raise error

    return on_progress


def claimed(*, hours: int = 0) -> Run:
    run = queue.claim(now=timezone.now() + hours * HOUR, task=TASK)
    assert run is not None
    return run


def test_a_run_ends_in_the_transaction_of_its_last_step_with_what_that_says() -> None:
    run = search()
    assert work() == 1
    run.refresh_from_db()
    assert (run.state, run.note, run.done, run.read_counts()) == (RunState.DONE, "Found 3.", 3, {"found": 3})
    assert (run.claim, run.due_at, run.active_key) == (None, None, None)


def test_a_run_whose_time_has_not_come_is_skipped_and_says_why() -> None:
    run = search(wait="The course starts in May.")
    work()
    run.refresh_from_db()
    assert (run.state, run.note, run.done) == (RunState.SKIPPED, "The course starts in May.", 0)
    with pytest.raises(queue.RunRefused):
        queue.resume(run)


def test_the_next_worker_begins_anew_and_counts_nobody_twice() -> None:
    run = search()
    worker.carry_out(claimed(), on_progress=raises(ValueError("spirou"), after=2))
    run.refresh_from_db()
    assert (run.done, run.read_counts(), run.state) == (2, {"found": 2}, RunState.OPEN)
    assert "spirou" not in run.note
    work(hours=1)
    run.refresh_from_db()
    assert (run.done, run.read_counts(), run.note) == (3, {"found": 1}, "Found 1.")


def test_a_worker_that_is_interrupted_gives_the_run_back_at_once_and_the_attempt_counts() -> None:
    run = search()
    for error in (SoftTimeLimitExceeded(), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            worker.carry_out(claimed(), on_progress=raises(error))
        run.refresh_from_db()
        assert (run.state, run.claim, run.note) == (RunState.OPEN, None, "")
    work()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert run.note.startswith("Its worker was killed, or had to stop")


def test_a_kind_does_what_it_has_to_when_its_run_fails() -> None:
    run = search(broken="Upload the list.")
    work()
    run.refresh_from_db()
    assert (run.state, run.note) == (RunState.FAILED, "Upload the list.")
    assert Circuit.objects.filter(name="failed").exists()


def test_only_the_workers_of_its_task_carry_a_run_out() -> None:
    search()
    counting = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 2})
    tasks.carry_out_runs()
    assert Run.objects.get(state=RunState.OPEN).kind == "searching"
    counting.refresh_from_db()
    assert counting.state == RunState.DONE
    assert work() == 1


def test_a_kind_has_limits_of_its_own() -> None:
    run = search()
    assert claimed().pk == run.pk
    assert queue.claim(now=timezone.now() + timedelta(seconds=880), task=TASK) is None
    work(hours=1)
    Run.objects.update(finished_at=timezone.now() - timedelta(days=6))
    assert tasks.delete_old_data().runs == 0
    Run.objects.update(finished_at=timezone.now() - timedelta(days=8))
    assert tasks.delete_old_data().runs == 1


def test_the_run_that_waits_longest_is_claimed_first() -> None:
    later, earlier = search(subject="later"), search(subject="earlier")
    Run.objects.filter(pk=earlier.pk).update(due_at=timezone.now() - HOUR)
    assert [claimed().pk, claimed().pk] == [earlier.pk, later.pk]


def test_who_asks_for_an_open_run_joins_it_and_the_first_person_is_noted() -> None:
    spirou, zorglub = UserFactory(username="spirou"), UserFactory(username="zorglub")
    run = search(subject="star")
    assert join("moon") is None
    for person in (None, spirou, zorglub):
        joined = join("star", person=person)
        assert joined is not None
        assert joined.pk == run.pk
    run.refresh_from_db()
    assert run.asked_by == spirou
    work()
    assert join("star") is None
