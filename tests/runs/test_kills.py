"""What an operator relies on when a machine dies: a run goes on where it was, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from badges.outbox.models import Circuit
from badges.runs import queue, worker
from badges.runs.models import Run, RunMode, RunState
from tests.services.processes import ROOT, Process

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

PLUGINS = Path(__file__).with_name("plugins")


def names() -> list[str]:
    return sorted(Circuit.objects.values_list("name", flat=True))


@pytest.fixture
def drain(run_manage: Callable[..., Process], settings: Any) -> Callable[[], Process]:
    """Start ``badges_drain`` with the kind installed, as any plug-in is."""
    env = {"PYTHONPATH": f"{PLUGINS}:{ROOT}", "DATA_DIR": str(settings.MEDIA_ROOT)}
    return lambda: run_manage("badges_drain", env=env)


def test_a_worker_killed_in_the_middle_of_a_step_is_taken_over(drain: Callable[[], Process]) -> None:
    run = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 12, "seconds": 2})
    process = drain()
    process.wait_until(lambda: Circuit.objects.exists(), what="the first step")
    process.kill()
    run.refresh_from_db()
    assert run.state == RunState.OPEN
    assert 0 < len(names()) == run.done < 12
    assert worker.work() == 0  # the lease of the killed worker has not ended
    Run.objects.update(parameters='{"number": 12, "name": "row"}')
    worker.work(now=lambda: timezone.now() + timedelta(hours=1))
    run.refresh_from_db()
    assert (run.state, run.done, run.read_counts()) == (RunState.DONE, 12, {"written": 12})
    assert names() == sorted(f"row {number}" for number in range(12))


def test_the_command_carries_out_runs_and_says_so(drain: Callable[[], Process]) -> None:
    run = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 7})
    process = drain()
    assert process.wait() == 0
    run.refresh_from_db()
    assert run.state == RunState.DONE
    assert "turns at runs: 1" in process.log.read_text()
