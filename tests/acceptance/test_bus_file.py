"""
What an operator relies on when events come from a file: bad lines are named, good ones count, and a summary is printed.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges.testing.events import line_of, write_events
from tests.acceptance.bus_helpers import COURSES, assert_once_each, dead_letters, holders, passes, query, template
from tests.services.databases import test_database_url
from tests.services.processes import ROOT, Process

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


@pytest.fixture
def consume(run_manage: Callable[..., Process]) -> Callable[..., Process]:
    return lambda *options, **env: run_manage("consume_badge_events", "--bus", "file", *options, env=env)


def lines(*events: Any) -> str:
    return "".join(f"{line_of(*event)}\n" for event in events)


@pytest.mark.tables
def test_a_file_becomes_badges_and_the_same_file_changes_nothing(file: Path, consume: Callable[..., Process]) -> None:
    template()
    write_events(file, 3000, learners=1000, courses=[*COURSES])
    first = consume("--input", str(file))
    assert first.wait() == 0
    assert "3000 events in" in first.output()
    assert "1000 matched, 1000 awarded, 0 duplicates, 0 dead letters, 2000 ignored." in first.output()
    assert_once_each(1000, events=1000)
    again = consume("--input", str(file))
    assert again.wait() == 0
    assert "0 matched, 0 awarded, 1000 duplicates, 0 dead letters, 2000 ignored." in again.output()
    assert_once_each(1000, events=1000)


@pytest.mark.tables
def test_a_bad_line_is_named_and_the_rest_is_processed(file: Path, consume: Callable[..., Process]) -> None:
    template()
    odd = {**json.loads(line_of(*passes(9))), "time": "yesterday"}
    file.write_text(lines(passes(1)) + "\n houba \r\n" + lines(passes(2)) + json.dumps(odd) + "\n" + lines(passes(3)))
    process = consume("--input", str(file))
    assert process.wait() == 1
    assert holders() == [1, 2, 3]
    messages = [line for line in process.output().splitlines() if line.startswith("line ")]
    assert messages == [
        "line 3: not JSON: Expecting value at character 2",
        "line 5: time: expected a time with its offset, such as 2026-03-01T09:30:00Z",
    ]
    assert "2 of 5 lines could not be read; correct them and run the file again" in process.output()
    assert [place for place, _ in dead_letters()] == ["file:events.jsonl:3", "file:events.jsonl:5"]


def test_the_garbage_collector_leaves_alone_what_was_there_before_the_first_event(file: Path) -> None:
    template()
    write_events(file, 1000, learners=1000, courses=[*COURSES])
    frozen: list[int] = []

    def note(phase: str, info: dict[str, int]) -> None:
        if max(frozen, default=0) <= 10_000:  # counting them takes as long as a collection
            frozen.append(gc.get_freeze_count())

    gc.callbacks.append(note)
    try:
        call_command("consume_badge_events", "--bus", "file", "--input", str(file))
    finally:
        gc.callbacks.remove(note)

    assert max(frozen) > 10_000
    assert gc.get_freeze_count() == 0


def test_a_corrected_line_counts_although_its_id_was_seen_in_a_bad_one(file: Path) -> None:
    template()
    good = line_of(*passes(1))
    file.write_text(good.replace('"is_passing": true', '"is_passing": "perhaps"'))
    with pytest.raises(CommandError):
        call_command("consume_badge_events", "--bus", "file", "--input", str(file))
    assert holders() == []
    file.write_text(good)
    call_command("consume_badge_events", "--bus", "file", "--input", str(file))
    assert holders() == [1]


def test_after_twenty_bad_lines_only_their_number_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("houba\n" * 50)
    with pytest.raises(CommandError, match="50 of 50 lines"):
        call_command("consume_badge_events", "--bus", "file", "--input", str(file))
    messages = capsys.readouterr().err.splitlines()
    assert [line for line in messages if line.startswith("line ")][-1].startswith("line 20: ")
    assert "… and 30 more lines." in messages


def test_standard_input_is_read() -> None:
    template()
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "consume_badge_events", "--bus", "file", "--input", "-"],
        input=lines(passes(1), passes(2)),
        env={"DATABASE_URL": test_database_url(), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 awarded" in done.stdout
    assert holders() == [1, 2]


def test_sigterm_ends_it_between_batches_and_it_can_be_run_again(file: Path, consume: Callable[..., Process]) -> None:
    template()
    write_events(file, 20_000, learners=20_000, courses=[COURSES[0]])
    process = consume("--input", str(file), "--batch-size", "10")
    process.wait_until(holders, what="a first holder")
    assert process.terminate() == 1
    done = len(holders())
    assert 0 < done < 20_000
    assert done % 10 == 0
    assert f"Stopped after line {done}." in process.output()


@pytest.mark.tables
def test_names_of_every_script_are_kept(file: Path) -> None:
    template()
    names = {1: "فاطمة الفهري", 2: "祖冲之", 3: "José", 4: "Jose", 5: "Ада Лавлейс 🎓"}
    file.write_text(lines(*[passes(learner, name=name) for learner, name in names.items()]), encoding="utf-8")
    call_command("consume_badge_events", "--bus", "file", "--input", str(file))
    rows = query(
        "SELECT learner.lms_user_id, first_name, last_name FROM auth_user account "
        "JOIN lms_badges_learner learner ON learner.user_id = account.id"
    )
    assert {learner: f"{first} {last}".strip() for learner, first, last in rows} == names


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        ([], "Say where the events are"),
        (["--bus", "kafka"], r"Name a topic \(-t\)"),
        (["--bus", "kafka", "-t", "learning"], r"Name a consumer group \(-g\)"),
        (["--bus", "kafka", "-t", "learning", "-g", "badges"], 'EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:9092"'),
        (["--bus", "kafka", "-t", "a", "-g", "b", "--input", "c"], "--input belongs to --bus file"),
        (["--bus", "redis", "-t", "learning", "-g", "badges"], 'EVENT_BUS_REDIS_CONNECTION_URL = "redis://'),
        (["--bus", "redis", "-t", "a", "-g", "b", "--input", "c"], "Redis has topics"),
        (["--bus", "file"], "Name the file of events"),
        (["--bus", "file", "--input", "x", "-t", "learning"], "-t and -g belong to --bus kafka"),
        (["--bus", "file", "--input", "no-such-file"], "cannot be read"),
        (["--bus", "file", "--input", "."], "is a folder"),
        (["--bus", "file", "--input", "x", "--batch-size", "0"], "not a whole number of at least 1"),
        (["--bus", "pigeon"], "invalid choice: 'pigeon'"),
    ],
)
def test_arguments_that_do_not_go_together_say_what_to_type(arguments: list[str], remedy: str) -> None:
    with pytest.raises(CommandError, match=remedy):
        call_command("consume_badge_events", *arguments)


@pytest.mark.parametrize("bus", ["kafka", "redis"])
def test_without_a_bus_the_events_are_on_the_bus_of_the_host(settings: Any, bus: str) -> None:
    settings.EVENT_BUS_CONSUMER = f"edx_event_bus_{bus}.{bus.capitalize()}EventConsumer"
    with pytest.raises(CommandError, match=f"{bus.capitalize()} is not configured"):
        call_command("consume_badge_events", "-t", "learning", "-g", "badges")


@pytest.mark.parametrize("bus", ["kafka", "redis"])
def test_consumers_that_are_switched_off_stay_off(settings: Any, bus: str) -> None:
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "127.0.0.1:9"
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = "http://127.0.0.1:9"
    settings.EVENT_BUS_REDIS_CONNECTION_URL = "redis://127.0.0.1:9/0"
    setting = f"EVENT_BUS_{bus.upper()}_CONSUMERS_ENABLED"
    setattr(settings, setting, False)
    with pytest.raises(CommandError, match=f"remove {setting} = False"):
        call_command("consume_badge_events", "--bus", bus, "-t", "learning", "-g", "badges")


@pytest.mark.parametrize(("bus", "module"), [("kafka", "confluent_kafka"), ("redis", "edx_event_bus_redis")])
def test_without_the_client_of_a_bus_the_line_that_installs_it_is_printed(
    tmp_path: Path, bus: str, module: str
) -> None:
    # A module with this name is found before the real one, and cannot be imported.
    (tmp_path / f"{module}.py").write_text("raise ImportError('not installed')")
    done = subprocess.run(
        [sys.executable, "manage.py", "consume_badge_events", "--bus", bus, "-t", "learning", "-g", "badges"],
        cwd=ROOT,
        env={"DATABASE_URL": test_database_url(), "PATH": "", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 1
    assert f"pip install 'lms-badges[{bus}]'" in done.stderr
