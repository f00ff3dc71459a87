"""Staff see runs and their progress over REST; others do not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from badges import pipeline
from badges.models import UserCredential
from badges.runs import kinds, queue, worker
from badges.runs.models import RunMode
from tests.factories import make_passing, make_template
from tests.support.counting_run import Counting

pytestmark = pytest.mark.django_db(transaction=True)

RUNS = "/api/badges/v1/runs/"


@pytest.fixture
def media(settings: Any, tmp_path: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


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


@pytest.mark.usefixtures("media")
def test_a_backfill_is_planned_and_applied_over_rest(staff_client: Any) -> None:
    pipeline.handle([make_passing(lms_user_id=41)])
    make_template(slug="star")
    client = staff_client("backfill_badgetemplate", "view_run")
    body = {"kind": "backfill", "mode": "plan", "parameters": {"templates": ["star"]}}
    answer = client.post(RUNS, body, content_type="application/json")
    assert (answer.status_code, answer.json()["subject"]) == (201, "star")
    again = client.post(RUNS, body, content_type="application/json")
    assert (again.status_code, "is open" in again.json()["detail"]) == (409, True)
    worker.work()
    assert client.get(answer["Location"]).json()["counts"] == {"star: would gain": 1}
    assert client.post(RUNS, body | {"mode": "apply"}, content_type="application/json").status_code == 201
    worker.work()
    assert UserCredential.objects.count() == 1


def test_wrong_runs_are_refused_with_the_field_and_the_remedy(staff_client: Any) -> None:
    client = staff_client("backfill_badgetemplate", "add_run")
    body = {"kind": "backfill", "mode": "plan", "parameters": {"templates": ["houba"]}}
    for change, field, words in (
        ({}, "parameters", "no badge template with the slug houba"),
        ({"kind": "houba"}, "kind", "No kind of run"),
        ({"mode": "undo"}, "mode", ""),
        ({"parameters": []}, "parameters", ""),
    ):
        answer = client.post(RUNS, body | change, content_type="application/json")
        assert answer.status_code == 400, change
        (error,) = answer.json()["errors"]
        assert error["field"] == field
        assert words in error["detail"]
    assert client.post(RUNS, body | {"kind": "bulk_award"}, content_type="application/json").status_code == 403


def test_starting_needs_the_permission_of_the_kind(staff_client: Any) -> None:
    make_template(slug="star")
    backfill = {"kind": "backfill", "mode": "plan", "parameters": {"templates": ["star"]}}
    counting = {"kind": "counting", "mode": "plan", "parameters": {"number": 1}}
    for permission, allowed, refused in (
        ("backfill_badgetemplate", backfill, counting),
        ("add_run", counting, backfill),
    ):
        client = staff_client(permission)
        assert client.post(RUNS, refused, content_type="application/json").status_code == 403
        assert client.post(RUNS, allowed, content_type="application/json").status_code == 201
