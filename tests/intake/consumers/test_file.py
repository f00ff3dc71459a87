"""Events from a file: unreadable lines are reported by their number, all others are handled."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from badges.common.stopping import StopRequest
from badges.conf import PASSING_STATUS
from badges.exceptions import Retryable
from badges.intake.consumers.file import FileBus
from badges.intake.consumers.loop import Consumer, ConsumerError
from badges.intake.events import Event, Unreadable
from badges.testing.events import enrollment, passing_status, write_events


class Reading:
    """One reading of a file, and what came of it."""

    def __init__(self, path: Path | str, **options):
        self.batches: list[list[Event | Unreadable]] = []
        self.line_errors: list[tuple[int, str]] = []
        self.stop = StopRequest()
        self.bus = FileBus(str(path), report_error=lambda *error: self.line_errors.append(error))
        self.consumer = Consumer(
            self.bus,
            handle=options.pop("handle", self.batches.append),
            stop=self.stop,
            until_idle=True,
            **options,
        )

    def run(self) -> Reading:
        self.consumer.run()
        return self

    @property
    def items(self) -> list[Event | Unreadable]:
        return [item for batch in self.batches for item in batch]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def test_events_are_handled_in_the_order_of_their_lines(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("badges.intake.consumers.file.GATHER_SECONDS", 3600)  # full, however slow this machine is
    write_events(file, 1250, learners=100, courses=3)
    reading = Reading(file, batch_size=500).run()
    assert [len(batch) for batch in reading.batches] == [500, 500, 250]
    ids = [json.loads(line)["id"] for line in file.read_text().splitlines()]
    assert [item.id for item in reading.items] == ids
    assert reading.items[16].received_from == "file:events.jsonl:17"
    assert (reading.consumer.finished, reading.consumer.counts.read) == (True, 1250)


def test_time_counts_from_the_first_event_to_the_last_that_is_decided(file: Path) -> None:
    write_events(file, 100, learners=100, courses=3)
    before = time.monotonic()
    reading = Reading(file).run()
    assert 0 < reading.consumer.counts.seconds <= time.monotonic() - before

    file.write_text("\n\n")
    assert Reading(file).run().consumer.counts.seconds == 0


def test_bad_lines_are_reported_and_the_others_are_handled(file: Path) -> None:
    good = [passing_status(lms_user_id=number).line for number in range(1, 4)]
    broken = json.loads(good[0])
    broken["data"]["course_passing_status"]["is_passing"] = "marsupilami"
    lines = [good[0], "houba", "", good[1], json.dumps(broken), '{"id": "x"}', good[2]]
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    reading = Reading(file).run()
    assert [item.id for item in reading.items if isinstance(item, Event)] == [json.loads(line)["id"] for line in good]
    assert reading.line_errors == [
        (2, "not JSON: Expecting value at character 1"),
        (5, "data.course_passing_status.is_passing: expected a boolean, got text"),
        (6, "not an event: type, time, data missing"),
    ]
    dead = [item for item in reading.items if isinstance(item, Unreadable)]
    assert [item.received_from for item in dead] == [f"file:events.jsonl:{number}" for number in (2, 5, 6)]
    assert [item.type for item in dead] == ["", PASSING_STATUS, ""]
    assert [item.body for item in dead] == ["houba", json.dumps(broken), '{"id": "x"}']
    assert len({item.id for item in dead}) == 3


def test_a_corrected_line_is_new_and_the_same_line_is_not(file: Path) -> None:
    file.write_text("houba\n")
    first, second = Reading(file).run().items[0], Reading(file).run().items[0]
    file.write_text("houba houba\n")
    third = Reading(file).run().items[0]
    assert first.id == second.id != third.id


def test_each_line_that_is_too_big_is_reported_although_its_number_was_reported_before(
    file: Path, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {"intake": {"event_bytes": 10}}
    ids = []
    for line in ("houba houba houba", "houba houba houba", "houba houba"):
        file.write_text(line)
        ids.append(Reading(file).run().items[0].id)
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("line", "reason", "body"),
    [
        (b'{"a": "\xff"}', "not UTF-8 at byte 8", "eyJhIjogIv8ifQ=="),  # Base64, since it is no text
        (b"houba\0", "not JSON: Expecting value at character 1", "aG91YmEA"),  # PostgreSQL stores no NUL
    ],
)
def test_what_cannot_be_stored_as_text_is_kept_as_base64(file: Path, line: bytes, reason: str, body: str) -> None:
    file.write_bytes(line)
    dead = Reading(file).run().items[0]
    assert (dead.reason, dead.body) == (reason, body)


def test_an_event_that_is_too_big_is_a_dead_letter_without_its_body(file: Path) -> None:
    lines = [passing_status(name="x" * size).line for size in (10, 2_000_000, 20)]
    file.write_text("\n".join(lines))
    reading = Reading(file).run()
    assert [type(item) for item in reading.items] == [Event, Unreadable, Event]
    assert reading.items[1].body is None
    assert reading.line_errors[0][0] == 2
    assert "event_bytes" in reading.line_errors[0][1]


def test_a_batch_is_bounded_in_bytes_as_well(file: Path) -> None:
    file.write_text("\n".join(passing_status(name="x" * 900_000).line for _ in range(10)))
    reading = Reading(file).run()
    assert [len(batch) for batch in reading.batches] == [4, 4, 2]  # a fifth would make it more than 4 MiB


@pytest.mark.django_db
def test_types_that_are_not_configured_are_counted_and_unknown_types_are_dead_letters(file: Path) -> None:
    unknown = {**json.loads(passing_status().line), "type": "org.example.unheard.of.v1"}
    file.write_text("\n".join([enrollment().line, passing_status().line, enrollment().line, json.dumps(unknown)]))
    reading = Reading(file).run()
    assert [type(item) for item in reading.items] == [Event, Unreadable]
    assert reading.consumer.counts.skipped == {(enrollment().signal.event_type, "not configured"): 2}
    assert reading.line_errors == [
        (
            4,
            "The event type org.example.unheard.of.v1 is not configured here: no installed package defines it, and "
            "this site has no event type of this name.",
        )
    ]


def test_it_ends_after_the_number_of_events_wanted(file: Path) -> None:
    write_events(file, 100)
    reading = Reading(file, max_events=30, batch_size=20).run()
    assert [len(batch) for batch in reading.batches] == [20, 10]
    assert reading.consumer.finished


def test_asked_to_stop_it_finishes_its_batch(file: Path) -> None:
    write_events(file, 100)
    batches: list[object] = []

    def handle(batch) -> None:
        batches.append(batch)
        reading.stop.request()

    reading = Reading(file, batch_size=20, handle=handle)
    reading.run()
    assert len(batches) == 1
    assert (reading.consumer.finished, reading.bus.lines_decided) == (False, 20)


def test_a_database_that_stays_down_ends_it(file: Path) -> None:
    write_events(file, 100)

    def handle(batch) -> None:
        raise Retryable("The database did not answer.")

    reading = Reading(file, handle=handle)
    with pytest.raises(Retryable):
        reading.run()


def test_events_of_a_pipe_need_not_wait_for_a_full_batch(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    handed_on = threading.Event()
    batches: list[list[object]] = []

    def handle(batch) -> None:
        batches.append(batch)
        handed_on.set()

    def run() -> None:
        Reading(pipe, handle=handle).run()

    reader = threading.Thread(target=run)
    reader.start()
    with pipe.open("w") as writer:
        writer.write(passing_status().line + "\n")
        writer.flush()
        assert handed_on.wait(60)  # although the pipe is still open
        writer.write(passing_status().line + "\n")
    reader.join(60)
    assert [len(batch) for batch in batches] == [1, 1]


@pytest.mark.parametrize(("path", "reason"), [("missing.jsonl", "No such file"), (".", "is a folder")])
def test_a_file_that_cannot_be_opened_is_an_error_with_the_reason(tmp_path: Path, path: str, reason: str) -> None:
    with pytest.raises(ConsumerError, match=reason):
        Reading(tmp_path / path)
