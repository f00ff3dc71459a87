"""``badges_bulk`` as an operator uses it: plan first, then apply, and take it back as one."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from badges.bulk import uploads
from badges.bulk.uploads import BulkAction, BulkReasons
from badges.models import Run, RunMode, UserCredential
from badges.runs import queue
from tests.factories import LearnerFactory, UserFactory, make_template

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_template(slug="star")
    LearnerFactory(user__username="anna")
    path = tmp_path / "list.csv"
    path.write_text("learner,template\nanna,star\nanna,star\n", encoding="utf-8")
    return path


def badges_bulk(*arguments: object) -> list[str]:
    out = StringIO()
    call_command("badges_bulk", *map(str, arguments), stdout=out)
    return out.getvalue().splitlines()


def test_a_plan_says_what_would_happen_and_how_to_do_it(file: Path) -> None:
    run_line = "Run {}: duplicate: 1, would be awarded: 1."
    lines = badges_bulk("award", file)
    assert lines == [
        "Row 3 repeats row 2; nothing is done for it.",
        run_line.format(Run.objects.get().pk),
        "Nothing was awarded or revoked. To do it, give the same command with --apply.",
    ]
    assert not UserCredential.objects.exists()


def test_a_file_is_applied_and_taken_back(file: Path, tmp_path: Path) -> None:
    UserFactory(username="boss")
    result = tmp_path / "result.csv"
    lines = badges_bulk("award", file, "--apply", "--by", "boss", "--reason", "Season 3.", "--result", result)
    run = Run.objects.get()
    assert lines[-1] == f"To take all of it back: manage.py badges_bulk undo {run.pk}"
    credential = UserCredential.objects.get()
    assert (credential.cause_person.username, credential.cause_reason) == ("boss", "Season 3.")
    assert ",anna,star,awarded,," in result.read_text()
    undo = badges_bulk("undo", run.pk)
    assert undo == [f"Run {Run.objects.get(undoes=run).pk}: revoked: 1."]
    assert badges_bulk("undo", run.pk) == undo
    assert UserCredential.objects.get().status == "revoked"


def test_a_revocation_by_command_blocks_unless_told_otherwise(file: Path) -> None:
    badges_bulk("award", file, "--apply")
    badges_bulk("revoke", file, "--apply", "--public-reason", "A mistake.", "--no-block")
    credential = UserCredential.objects.get()
    assert (credential.status, credential.public_reason, credential.blocked) == ("revoked", "A mistake.", False)
    badges_bulk("award", file, "--apply")
    badges_bulk("revoke", file, "--apply")
    assert UserCredential.objects.order_by("awarded_at").last().blocked


def test_a_file_with_mistakes_names_them_and_nothing_is_changed(file: Path) -> None:
    file.write_text("learner,template\nnobody,star\nanna,moon\n", encoding="utf-8")
    err = StringIO()
    with pytest.raises(CommandError, match="2 mistakes; nothing was changed"):
        call_command("badges_bulk", "award", str(file), "--apply", stderr=err)
    assert [line.partition(":")[0] for line in err.getvalue().splitlines()] == ["Row 2", "Row 3"]
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["award", "no-such-file.csv"], "No such file or directory"),
        (["award", "{file}", "--by", "nobody"], "no account with this username"),
        (["award", "{file}", "--no-block"], "are for revoke"),
        (["award", "{file}", "--reason", "x" * 501], "Shorten it to 500"),
        (["undo", "17"], "no bulk run with this id"),
        (["undo", "0190e3c0-0000-7000-8000-000000000000"], "no bulk run with this id"),
    ],
)
def test_what_cannot_be_done_is_said(file: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        badges_bulk(*(argument.format(file=file) for argument in arguments))


def test_the_same_command_goes_on_with_a_run_that_was_left_open(file: Path) -> None:
    badges_bulk("award", file)
    plan = Run.objects.get()
    upload = uploads.read(file.read_bytes(), action=BulkAction.AWARD)
    left = uploads.start(upload, BulkReasons(), mode=RunMode.APPLY)
    lines = badges_bulk("award", file, "--apply")
    assert lines[1] == f"This file has an open run, {left.pk}, which goes on."
    assert set(Run.objects.all()) == {plan, left}
    assert UserCredential.objects.count() == 1


def test_a_run_that_somebody_cancels_ends_in_an_error(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def cancel(**given: Any) -> None:
        queue.cancel(Run.objects.get(), now=timezone.now())

    monkeypatch.setattr(queue, "claim", cancel)
    with pytest.raises(CommandError, match=r"The run is cancelled\..* The admin page Runs can resume it"):
        badges_bulk("award", file, "--apply")
