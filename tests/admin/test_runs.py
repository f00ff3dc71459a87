"""What staff rely on who start long work: its page shows the progress, and has a button for what can be done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse

from badges.outbox.models import Circuit
from badges.runs import kinds, queue, worker
from badges.runs.models import Run, RunMode, RunState
from tests.support.counting_run import Counting
from tests.support.learner_factories import signed_in
from tests.support.searching_run import Searching

pytestmark = [pytest.mark.django_db(transaction=True)]

ADD = "/admin/lms_badges/run/add/"
LIST = "/admin/lms_badges/run/"


@pytest.fixture(autouse=True)
def counting(settings: Any, tmp_path: Any) -> Iterator[None]:
    settings.MEDIA_ROOT = tmp_path / "media"
    kinds.register("counting", Counting())
    kinds.register("searching", Searching())
    yield
    kinds.unregister("counting")
    kinds.unregister("searching")


@pytest.fixture
def operator(staff: Any) -> Any:
    permissions = [f"{verb}_run" for verb in ("view", "add", "change")]
    return signed_in(staff(*permissions, username="fantasio"))


def page_of(run: Run) -> str:
    return f"{LIST}{run.pk}/change/"


def click(client: Any, run: Run, verb: str) -> Any:
    return client.post(reverse("admin:lms_badges_run_do", args=[run.pk, verb]), follow=True)


def test_a_run_is_started_watched_and_its_result_downloaded(operator: Any) -> None:
    page = operator.post(ADD, {"kind": "counting", "mode": "apply", "parameters": '{"number": 8}'}, follow=True)
    run = Run.objects.get()
    assert page.redirect_chain == [(page_of(run), 302)]
    assert run.asked_by.username == "fantasio"
    assert 'http-equiv="refresh"' in page.content.decode()
    worker.work()
    page = operator.get(page_of(run)).content.decode()
    assert 'http-equiv="refresh"' not in page
    assert '<progress max="8" value="8">' in page
    assert "written: 8" in page
    result = operator.get(reverse("admin:lms_badges_run_result", args=[run.pk]))
    assert b"".join(result.streaming_content) == b"row: {'written': 8}"
    assert "8 of 8" in operator.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ('{"number": "eight"}', "number: expected a whole number."),
        ("[8]", "Write a JSON object"),
        ("{", "Enter a valid JSON."),
    ],
)
def test_wrong_parameters_are_refused_with_the_reason(operator: Any, parameters: str, error: str) -> None:
    page = operator.post(ADD, {"kind": "counting", "mode": "apply", "parameters": parameters})
    assert error in page.content.decode()
    assert not Run.objects.exists()


def test_a_run_is_cancelled_resumed_and_undone_by_its_buttons(operator: Any) -> None:
    run = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 8})
    click(operator, run, "cancel")
    run.refresh_from_db()
    assert run.state == RunState.CANCELLED
    assert ">Resume</button>" in operator.get(page_of(run)).content.decode()
    click(operator, run, "resume")
    worker.work()
    assert Circuit.objects.count() == 8
    page = click(operator, run, "undo")
    undoing = Run.objects.get(undoes=run)
    assert page.redirect_chain == [(page_of(undoing), 302)]
    worker.work()
    assert Circuit.objects.count() == 0
    page = operator.get(page_of(run)).content.decode()
    assert ">Undo</button>" not in page
    assert "is closed, so there is nothing to cancel" in click(operator, run, "cancel").content.decode()


def test_those_who_may_only_view_see_runs_and_change_nothing(staff: Any) -> None:
    viewer = signed_in(staff("view_run"))
    run = queue.start("counting", mode=RunMode.APPLY, parameters={"number": 8})
    assert ">Cancel</button>" not in viewer.get(page_of(run)).content.decode()
    assert click(viewer, run, "cancel").status_code == 403
    assert viewer.get(ADD).status_code == 403
    stranger = signed_in(staff("view_badgetemplate"))
    assert stranger.get(page_of(run)).status_code == 403
    assert stranger.get(reverse("admin:lms_badges_run_result", args=[run.pk])).status_code == 403


def test_a_run_that_code_starts_has_a_link_to_more_and_is_not_offered(operator: Any) -> None:
    run = queue.start("searching", mode=RunMode.APPLY, parameters={"names": []})
    assert f'href="/admin/searches/{run.pk}/"' in operator.get(page_of(run)).content.decode()
    form = operator.get(ADD).content.decode()
    assert 'value="counting"' in form
    assert 'value="searching"' not in form
