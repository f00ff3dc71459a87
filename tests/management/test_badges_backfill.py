"""``badges_backfill`` as an operator uses it: plan first, then apply."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges import pipeline
from badges.models import Run, RunMode, UserCredential
from badges.runs import queue
from tests.factories import UserFactory, make_passing, make_template

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


def badges_backfill(*arguments: object) -> list[str]:
    out = StringIO()
    call_command("badges_backfill", *map(str, arguments), stdout=out)
    return out.getvalue().splitlines()


def test_a_plan_is_the_default_and_says_how_to_give_the_badges(tmp_path: Path) -> None:
    pipeline.handle([make_passing(lms_user_id=41)])
    make_template(slug="star")
    file = tmp_path / "plan.csv"
    lines = badges_backfill("--template", "star", "--result", file)
    assert lines == [
        f"Run {Run.objects.get().pk}: star: would gain: 1.",
        f"Who gains what is in {file}.",
        "Nothing was given. To give the badges, give the same command with --apply.",
    ]
    assert ",41,," in file.read_text()
    assert not UserCredential.objects.exists()


def test_the_badges_are_given_with_apply() -> None:
    pipeline.handle([make_passing(lms_user_id=41)])
    UserFactory(username="boss")
    make_template(slug="star")
    assert badges_backfill("--template", "star", "--apply", "--by", "boss") == [
        f"Run {Run.objects.get().pk}: star: gained: 1."
    ]
    assert Run.objects.get().asked_by.username == "boss"
    assert UserCredential.objects.count() == 1


def test_the_same_command_goes_on_with_an_open_run() -> None:
    make_template(slug="star")
    run = queue.start("backfill", mode=RunMode.APPLY, parameters={"templates": ["star"]})
    assert "goes on" in badges_backfill("--template", "star", "--apply")[0]
    run.refresh_from_db()
    assert run.state == "done"


def test_a_wrong_template_or_another_open_run_is_refused_with_the_remedy() -> None:
    with pytest.raises(CommandError, match="no badge template with the slug star"):
        badges_backfill("--template", "star")
    make_template(slug="star")
    queue.start("backfill", mode=RunMode.PLAN, parameters={"templates": ["star"]})
    with pytest.raises(CommandError, match="Wait for it, or cancel it"):
        badges_backfill("--template", "star", "--apply")
