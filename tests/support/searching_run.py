"""A kind of run for tests that cannot go on at a cursor: it looks for people again from the beginning."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from badges.exceptions import Permanent
from badges.outbox.models import Circuit
from badges.runs.kinds import Ending, Job, RunKind, RunLimits, Step
from badges.runs.models import RunMode, RunState

TASK = "tests.search"
LIMITS = RunLimits(lease_seconds=900, max_attempts=2, base_delay=60, max_delay=3600, keep_days=7)


class Searching(RunKind):
    """
    Finds the names in the parameter ``names``, one in a step, and writes a row for each that has none.

    ``wait`` is why the time has not come; ``broken`` is what fails it. When it fails it writes the row ``failed``.
    """

    label = "searching"
    modes = (RunMode.APPLY,)
    task = TASK
    starts_over = True
    is_started_by_staff = False

    def limits(self) -> RunLimits:
        return LIMITS

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters.get("subject", ""))

    def page(self, run_id: uuid.UUID) -> str:
        return f"/admin/searches/{run_id}/"

    def apply(self, job: Job) -> Iterator[Step]:
        if job.parameters.get("wait"):
            yield Step(cursor=None, ends=lambda counts: Ending(RunState.SKIPPED, job.parameters["wait"]))
        if job.parameters.get("broken"):
            raise Permanent(job.parameters["broken"])
        for name in job.parameters["names"]:
            yield Step(cursor=None, done=1, work=lambda name=name: self._write(name))
        yield Step(cursor=None, ends=lambda counts: Ending(note=f"Found {counts.get('found', 0)}."))

    def failed(self, job: Job, note: str) -> None:
        Circuit.objects.create(name="failed")

    def _write(self, name: str) -> dict[str, int]:
        return {"found": int(Circuit.objects.get_or_create(name=name)[1])}
