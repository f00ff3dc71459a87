"""Staff see runs and their progress over REST; others do not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from badges.runs import kinds, queue
from badges.runs.models import RunMode
from tests.support.counting_run import Counting

pytestmark = pytest.mark.django_db

RUNS = "/api/badges/v1/runs/"


@pytest.fixture(autouse=True)
def counting() -> Iterator[None]:
    kinds.register("counting", Counting())
    yield
    kinds.unregister("counting")


def test_staff_list_and_filter_runs(staff_client: Any) -> None:
    client = staff_client("view_run")
    cancelled = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 8})
    queue.cancel(cancelled)
    planned = queue.start("counting", mode=RunMode.PLAN, parameters={"number": 9})
    assert [row["id"] for row in client.get(RUNS).json()["results"]] == [str(planned.pk), str(cancelled.pk)]
    (row,) = client.get(RUNS, {"state": "cancelled"}).json()["results"]
    assert (row["kind"], row["mode"], row["subject"], row["done"]) == ("counting", "apply", "row", 0)
    assert row["parameters"] == {"name": "row", "number": 8}
    assert client.get(RUNS, {"state": "houba"}).status_code == 400
    assert client.get(f"{RUNS}{planned.pk}/").json()["mode"] == "plan"
    assert client.get(f"{RUNS}{uuid.uuid4()}/").status_code == 404


def test_others_see_no_runs(learner_client: Any) -> None:
    assert learner_client.get(RUNS).status_code == 403
    assert learner_client.get(f"{RUNS}{uuid.uuid4()}/").status_code == 403
