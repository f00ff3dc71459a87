"""A kind of run for tests that names people in its parameters and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from badges.runs.kinds import Job, RunKind, Step
from badges.runs.models import RunMode


class Listing(RunKind):
    """Lists the people whom its parameter ``people`` names; ``before_result`` is called before it does."""

    label = "listing"
    modes = (RunMode.APPLY,)
    people = ("people", "person")
    content: bytes | None = None

    def before_result(self) -> None:
        """Replaced by tests."""

    def subject(self, parameters: Mapping[str, Any]) -> str:
        return str(parameters.get("n", ""))

    def apply(self, job: Job) -> Iterator[Step]:
        yield Step(cursor=1, done=1)

    def result(self, job: Job) -> tuple[str, bytes]:
        people = [str(person) for person in job.parameters["people"]]
        self.before_result()
        return "people.csv", self.content if self.content is not None else "\n".join(["name", *people]).encode()
