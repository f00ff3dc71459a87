"""What people rely on who ask for long work: it is done once, goes on after a fault, and can be cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.utils import timezone

from badges import tasks
from badges.exceptions import Permanent
from badges.outbox.models import Circuit
from badges.runs import queue, worker
from badges.runs.models import Run, RunMode, RunState
from tests.factories import UserFactory
from tests.support.constraints import again, refused

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

LATER = timedelta(hours=1)


def start(number: int = 8, *, mode: RunMode = RunMode.APPLY, **parameters: Any) -> Run:
    return queue.start("counting", mode=mode, parameters={"number": number, **parameters})


def work_later(hours: int = 1, **options: Any) -> int:
    return worker.work(now=lambda: timezone.now() + hours * LATER, **options)


def stop_after(steps: int) -> Any:
    asked = iter([False] * steps)
    return lambda: next(asked, True)


def written(name: str = "row") -> int:
    return Circuit.objects.filter(name__startswith=name).count()


def test_a_run_is_applied_with_its_progress_its_counts_and_its_result() -> None:
    person = UserFactory(username="gaston")
    run = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 8, "name": "tail"}, person=person)
    assert (run.state, run.subject, run.asked_by) == (RunState.OPEN, "tail", person)
    assert worker.work() == 1
    run.refresh_from_db()
    assert (run.state, run.done, run.total, run.read_counts()) == (RunState.DONE, 8, 8, {"written": 8})
    assert run.started_at <= run.finished_at
    assert run.result.name.endswith("/counted.txt")
    with run.result.open() as file:
        assert file.read() == b"tail: {'written': 8}"
    assert written("tail") == 8
    assert worker.work() == 0


def test_a_plan_changes_nothing_and_tells_what_would_be_changed() -> None:
    run = start(7, mode=RunMode.PLAN)
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.read_counts(), written()) == (RunState.DONE, {"would write": 7}, 0)


def test_a_worker_that_is_asked_to_stop_leaves_the_rest_to_the_next_one() -> None:
    run = start(8)
    worker.work(should_stop=stop_after(2))
    run.refresh_from_db()
    assert (run.state, run.done, written(), run.claim, run.attempts) == (RunState.OPEN, 6, 6, None, 0)
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts(), written()) == (RunState.DONE, 8, {"written": 8}, 8)


def test_one_run_of_a_kind_and_subject_is_open_and_others_may_be_open_too() -> None:
    first = start(name="tail")
    start(name="nose")
    with pytest.raises(queue.RunRefused, match=r"of the kind counting about tail is open\. Wait for it, or cancel it"):
        start(name="tail")
    refused(again(first))
    worker.work()
    start(name="tail")


def test_a_run_that_nobody_carries_out_is_cancelled_at_once() -> None:
    run = start()
    queue.cancel(run)
    run.refresh_from_db()
    assert (run.state, run.is_open) == (RunState.CANCELLED, False)
    assert worker.work() == 0
    with pytest.raises(queue.RunRefused, match="nothing to cancel"):
        queue.cancel(run)


def test_a_run_that_is_carried_out_is_cancelled_after_the_step_at_hand_and_can_be_resumed() -> None:
    run = start(8)

    def cancel_after_the_first_step() -> bool:
        if Run.objects.get().done == 3 and Run.objects.get().is_open:
            queue.cancel(run)
        return False

    worker.work(should_stop=cancel_after_the_first_step)
    run.refresh_from_db()
    assert (run.state, run.done, written()) == (RunState.CANCELLED, 3, 3)
    queue.resume(run)
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts(), written()) == (RunState.DONE, 8, {"written": 8}, 8)


def test_a_run_cannot_be_resumed_while_another_one_is_open_or_when_it_is_done() -> None:
    cancelled = start()
    queue.cancel(cancelled)
    other = start()
    with pytest.raises(queue.RunRefused, match="is open"):
        queue.resume(cancelled)
    worker.work()
    with pytest.raises(queue.RunRefused, match="Only a cancelled or failed run"):
        queue.resume(other)


def test_a_step_that_fails_changes_nothing_and_is_tried_again_later() -> None:
    run = start(8, fails_at=4, fails="retryable")
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.done, written(), run.note) == (RunState.OPEN, 3, 3, "The LMS does not answer.")
    assert run.due_at > timezone.now()
    Run.objects.update(parameters='{"number": 8, "name": "row"}')
    work_later()
    run.refresh_from_db()
    assert (run.state, written()) == (RunState.DONE, 8)


def test_a_permanent_error_fails_the_run_with_what_to_do_and_it_goes_on_when_it_is_resumed() -> None:
    run = start(8, fails_at=7, fails="permanent")
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.done, run.note) == (RunState.FAILED, 6, "Correct the list.")
    Run.objects.update(parameters='{"number": 8, "name": "row"}')
    queue.resume(run)
    worker.work()
    run.refresh_from_db()
    assert (run.state, run.note, written()) == (RunState.DONE, "", 8)


def test_an_unforeseen_error_is_stored_without_its_message_and_given_up_in_the_end(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"runs": {"max_attempts": 2}}
    run = start(8, fails_at=0, fails="unforeseen")
    worker.work()
    run.refresh_from_db()
    assert run.note.startswith("ValueError at 0")
    assert "marsupilami" not in run.note
    work_later()
    run.refresh_from_db()
    assert (run.state, written()) == (RunState.FAILED, 0)
    assert run.note.startswith("Given up after 2 tries")


def test_a_run_is_undone_once_by_another_run() -> None:
    run = start(8)
    with pytest.raises(queue.RunRefused):
        queue.undo(run)
    worker.work()
    run.refresh_from_db()
    undoing = queue.undo(run)
    worker.work()
    undoing.refresh_from_db()
    assert (undoing.state, undoing.read_counts(), written()) == (RunState.DONE, {"deleted": 8}, 0)
    assert run.undone_by == undoing
    with pytest.raises(queue.RunRefused):
        queue.undo(run)


def test_a_worker_that_was_too_slow_changes_nothing_any_more() -> None:
    run = start(8)
    slow = queue.claim(now=timezone.now())
    assert slow is not None
    work_later()
    worker.carry_out(slow)
    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts(), written()) == (RunState.DONE, 8, {"written": 8}, 8)


def test_wrong_parameters_and_unknown_kinds_are_refused() -> None:
    with pytest.raises(Permanent, match="number: expected a whole number"):
        queue.start("counting", mode=RunMode.APPLY, parameters={"number": "eight"})
    with pytest.raises(Permanent, match="No kind of run 'houba' is installed"):
        queue.start("houba", mode=RunMode.APPLY, parameters={})
    assert not Run.objects.exists()


def test_a_run_whose_kind_is_gone_fails_with_the_remedy() -> None:
    run = start()
    Run.objects.update(kind="houba")
    worker.work()
    run.refresh_from_db()
    assert run.state == RunState.FAILED
    assert "Install the package that brings it" in run.note


def test_closed_runs_are_deleted_with_their_results(settings: Any) -> None:
    old, recent, waiting = start(1, name="old"), start(1, name="recent"), start(1, name="waiting")
    for run in (old, recent):
        worker.carry_out(queue.claims.claim(Run.objects.filter(pk=run.pk), limit=1, now=timezone.now(), lease=60)[0])
    Run.objects.filter(pk=old.pk).update(finished_at=timezone.now() - timedelta(days=91))
    old.refresh_from_db()
    recent.refresh_from_db()
    assert tasks.delete_old_data().runs == 1
    assert set(Run.objects.all()) == {recent, waiting}
    assert (default_storage.exists(old.result.name), default_storage.exists(recent.result.name)) == (False, True)


def test_the_celery_task_carries_out_runs() -> None:
    run = start()
    tasks.carry_out_runs()
    run.refresh_from_db()
    assert run.state == RunState.DONE


def test_a_plan_that_is_done_is_applied_with_its_parameters() -> None:
    plan = start(7, mode=RunMode.PLAN, name="tail")
    with pytest.raises(queue.RunRefused, match="Only a plan that is done"):
        queue.apply_plan(plan)
    worker.work()
    plan.refresh_from_db()
    run = queue.apply_plan(plan)
    assert (run.mode, run.read_parameters()) == (RunMode.APPLY, plan.read_parameters())
    worker.work()
    assert written("tail") == 7
    with pytest.raises(queue.RunRefused, match="Only a plan that is done"):
        queue.apply_plan(run)


def test_a_run_that_was_undone_cannot_be_resumed() -> None:
    run = start(8)
    worker.work(should_stop=stop_after(1))
    queue.cancel(run)
    run.refresh_from_db()
    assert queue.can_resume(run)
    queue.undo(run)
    worker.work()
    assert not queue.can_resume(run)
    with pytest.raises(queue.RunRefused, match="was undone"):
        queue.resume(run)
