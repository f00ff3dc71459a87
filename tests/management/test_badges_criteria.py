"""badges_criteria: checking documents and packs, and explaining what a learner's logged events say."""

from __future__ import annotations

import datetime as dt
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges.conf import PASSING_STATUS
from tests.factories import ALGEBRA, GEOMETRY, NOON, LearnerFactory, LoggedEventFactory, make_template, template_entry

pytestmark = [pytest.mark.django_db]

TWO = {"event": PASSING_STATUS, "criteria": {"$eventCount": {"$gte": 2, "distinct": "course.course_key"}}}


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("badges_criteria", *arguments, stdout=output)
    return output.getvalue()


def refused(*arguments: str) -> str:
    with pytest.raises(CommandError) as error:
        run(*arguments)
    assert error.value.returncode == 1
    return str(error.value)


def written(folder: Path, name: str, content: Any) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return str(path)


def logs(person: int, course: str, day: int) -> None:
    data = {"course_passing_status": {"is_passing": True, "course": {"course_key": course}}}
    LoggedEventFactory(person=person, data=json.dumps(data), occurred_at=f"2026-03-{day:02d}T10:00:00Z")


# check


def test_a_document_is_told_in_words(tmp_path: Path) -> None:
    file = written(tmp_path, "two.json", TWO)
    expected = f"earned when: at least 2 different values of course.course_key in '{PASSING_STATUS}' events"
    assert run("check", file) == f"{file}: {expected}\n"
    assert run("check", written(tmp_path, "two.yaml", f"event: {PASSING_STATUS}\n")).endswith("event\n")


def test_a_document_may_come_from_standard_input(monkeypatch: Any) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(TWO).encode())))
    assert run("check", "-").startswith("-: earned when: ")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"steps": []}', "unsupported_format at /steps: 'steps' is not part of criteria; write"),
        ('{"event": "a", "event": "b"}', "invalid_json at /event: the key 'event' is written twice; write it once"),
        ('{"event": "a"} // why', "invalid_json at /: "),
        ('{"$and": [{"event": "nope"}]}', "invalid_criteria at /$and/0/event: there is no event type nope; write"),
        ("", "invalid_json at /: "),
        ("null", "invalid_criteria at /: "),
        ("[" * 200_000, "limit at /: "),
    ],
)
def test_a_problem_has_its_kind_its_place_and_the_remedy(tmp_path: Path, content: str, expected: str) -> None:
    message = refused("check", written(tmp_path, "wrong.json", content))
    assert expected in message
    assert "wrong.json: one problem." in message


def test_a_pack_is_checked_with_all_its_documents(tmp_path: Path) -> None:
    good = template_entry(slug="two", criteria=TWO)
    bad = template_entry(slug="bad", criteria={"$or": []})
    output = run("check", written(tmp_path, "pack.json", {"pack": 1, "templates": [good, template_entry()]}))
    assert output.startswith("two: earned when: at least 2")
    assert len(output.splitlines()) == 1
    message = refused("check", written(tmp_path, "pack.json", {"pack": 1, "templates": [good, bad, {"slug": "x"}]}))
    assert "3 problems." in message
    assert "invalid_criteria at templates[1].criteria/$or: write a list of at least one entry" in message


def test_a_pack_without_documents_and_a_file_that_is_not_there_are_said_to_be_so(tmp_path: Path) -> None:
    file = written(tmp_path, "pack.json", {"pack": 1, "templates": [template_entry()]})
    assert run("check", file) == f"{file}: no template of this pack has criteria.\n"
    assert refused("check", str(tmp_path / "gone.json")).endswith("No such file or directory.")
    (tmp_path / "latin.json").write_bytes(b'{"event": "caf\xe9"}')
    assert "not UTF-8" in refused("check", str(tmp_path / "latin.json"))


# explain


def test_the_verdict_each_step_and_what_is_missing_are_told() -> None:
    make_template(slug="two", requirements=[], criteria=TWO)
    LearnerFactory(lms_user_id=417, user__username="spirou")
    logs(417, ALGEBRA, 3)
    lines = run("explain", "--learner", "spirou", "--template", "two", "--at", "2026-03-10T00:00:00Z").splitlines()
    assert lines[0].startswith("earned when: at least 2 different values")
    assert lines[1:] == [
        "not satisfied at 2026-03-10T00:00:00Z, with 1 logged events",
        "missing: 1 of 2 different values",
        f"- /: event '{PASSING_STATUS}'",
        "  - /criteria/$eventCount/$gte: $gte 2 (1 of 2 different values)",
    ]


def test_it_is_told_when_a_document_was_earned_which_does_not_hold_any_more() -> None:
    within = {"$timeWindow": {"last": "7d", "flow": TWO}}
    make_template(slug="week", criteria=within)
    logs(52, ALGEBRA, 3)
    logs(52, GEOMETRY, 5)
    output = run("explain", "--learner", "52", "--template", "week", "--at", "2026-05-01T00:00:00Z")
    assert "not satisfied at 2026-05-01" in output
    assert "It held first at 2026-03-05T10:00:00Z." in output


def test_events_from_before_the_lms_user_id_was_known_count() -> None:
    make_template(slug="two", criteria=TWO)
    learner = LearnerFactory(lms_user_id=417)
    logs(417, ALGEBRA, 3)
    logs(-learner.pk, GEOMETRY, 4)
    output = run("explain", "--learner", str(learner.uuid), "--template", "two")
    assert "satisfied at" in output
    assert "not satisfied" not in output


def test_events_that_arrived_before_the_document_was_saved_are_counted_apart() -> None:
    make_template(slug="two", criteria=TWO, now=NOON + dt.timedelta(hours=1))
    logs(417, ALGEBRA, 3)
    logs(417, GEOMETRY, 4)
    lines = run("explain", "--learner", "417", "--template", "two", "--at", "2026-03-20T00:00:00Z").splitlines()
    assert lines[1:4] == [
        "not satisfied at 2026-03-20T00:00:00Z, with 0 logged events",
        "2 more do not count: they arrived before 2026-03-14T13:00:00Z.",
        "missing: 0 of 2 different values",
    ]


def test_what_cannot_be_explained_says_why() -> None:
    make_template(slug="plain")
    make_template(slug="two", criteria=TWO)
    assert refused("explain", "--learner", "1", "--template", "plain").startswith("plain has no criteria document")
    assert refused("explain", "--learner", "1", "--template", "nope").startswith("There is no template nope.")
    assert "--at: write a time" in refused("explain", "--learner", "1", "--template", "two", "--at", "now")
    assert "Nothing is logged of this person" in run("explain", "--learner", "1", "--template", "two")
