"""A kind of run for tests: it writes a circuit for each number, and can be slow or fail."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from badges.exceptions import Permanent, Retryable
from badges.outbox.models import Circuit
from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import RunMode

NUMBERS_PER_STEP = 3


class Counting(RunKind):
    """
    Writes rows named ``<name> 0`` to ``<name> <number - 1>``, three in a step.

    ``seconds`` is how long each step takes. ``fails_at`` is the number at which it fails, in the way that ``fails``
    names. A run that does a step twice violates a unique constraint.
    """

    label = "counting"
    modes = (RunMode.PLAN, RunMode.APPLY, RunMode.UNDO)

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(parameters.get("number"), int):
            raise Permanent("number: expected a whole number.")
        return {"name": "row", **parameters}

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters["name"])

    def total(self, job: Job) -> int:
        return int(job.parameters["number"])

    def plan(self, job: Job) -> Iterator[Step]:
        for numbers in self._chunks(job):
            yield Step(
                cursor=numbers[-1] + 1, done=len(numbers), work=lambda chunk=numbers: {"would write": len(chunk)}
            )

    def apply(self, job: Job) -> Iterator[Step]:
        for numbers in self._chunks(job):
            yield Step(cursor=numbers[-1] + 1, done=len(numbers), work=lambda chunk=numbers: self._write(job, chunk))

    def undo(self, job: Job) -> Iterator[Step]:
        yield Step(cursor=job.parameters["number"], done=job.parameters["number"], work=lambda: self._delete(job))

    def result(self, job: Job) -> tuple[str, bytes]:
        return "counted.txt", f"{job.parameters['name']}: {dict(job.counts)}".encode()

    def _chunks(self, job: Job) -> Iterator[range]:
        for first in range(job.cursor or 0, job.parameters["number"], NUMBERS_PER_STEP):
            yield range(first, min(first + NUMBERS_PER_STEP, job.parameters["number"]))

    def _write(self, job: Job, numbers: range) -> dict[str, int]:
        Circuit.objects.bulk_create(Circuit(name=f"{job.parameters['name']} {number}") for number in numbers)
        time.sleep(job.parameters.get("seconds", 0))
        if job.parameters.get("fails_at") in numbers:
            raise {"retryable": Retryable("The LMS does not answer."), "permanent": Permanent("Correct the list.")}.get(
                job.parameters["fails"], ValueError("marsupilami")
            )
        return {"written": len(numbers)}

    def _delete(self, job: Job) -> dict[str, int]:
        return {"deleted": Circuit.objects.filter(name__startswith=job.parameters["name"]).delete()[0]}
