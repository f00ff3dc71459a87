"""
What an operator who sizes a machine relies on: a consumer needs no more memory for 100,000 events than for 25,000.
"""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import psutil
import pytest
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer, serialize_event_data_to_bytes

from badges.testing.events import passing_status, passing_status_lines, write_events
from tests.acceptance.bus_helpers import COURSES, count, start_consumer, template
from tests.services.processes import Process
from tests.support.event_bus import Bus

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

EVENTS = 100_000
ALLOWED_MIB = 12


def growth_in_mib(process: Process, number: int = EVENTS, *, seconds: float = 400) -> float:
    """Watch a consumer until it ends; return how much its memory grew after a quarter of its ``number`` of events."""
    watched = psutil.Process(process.pid)
    samples: list[tuple[int, int]] = []
    deadline = time.monotonic() + seconds
    while process.running:
        assert time.monotonic() < deadline, process.error("takes too long")
        reports = re.findall(r"^(\d+) events", process.output(), re.MULTILINE)
        try:
            samples.append((int(reports[-1]) if reports else 0, watched.memory_info().rss))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.2)
    assert process.wait() == 0
    early = [rss for events, rss in samples if 0 < events <= number // 4] or [samples[len(samples) // 4][1]]
    return (max(rss for _, rss in samples) - max(early)) / 1024**2


def test_a_hundred_thousand_events_of_a_file(tmp_path: Path, run_manage: Callable[..., Process]) -> None:
    template()
    file = tmp_path / "events.jsonl"
    write_events(file, EVENTS, learners=2000, courses=[*COURSES, *[f"course-v1:Demo+Other{n}+2026" for n in range(97)]])
    process = run_manage("consume_badge_events", "--bus", "file", "--input", str(file))
    assert growth_in_mib(process) < ALLOWED_MIB
    assert count("SELECT COUNT(*) FROM lms_badges_usercredential") == 2000


def test_many_events_of_a_broker(bus: Bus, run_manage: Callable[..., Process]) -> None:
    number = EVENTS if bus.name == "kafka" else EVENTS // 3
    template()
    bus.create_topic(partitions=4)
    courses = [*COURSES, *[f"course-v1:Demo+Other{n}+2026" for n in range(97)]]
    bus.send_lines(passing_status_lines(number, learners=2000, courses=courses), _writer(bus))
    process = start_consumer(run_manage, bus, "--until-idle")
    assert growth_in_mib(process, number) < ALLOWED_MIB
    assert count("SELECT COUNT(*) FROM lms_badges_usercredential") > 500
    assert bus.acknowledged() == number


def _writer(bus: Bus) -> Callable[[dict[str, Any]], bytes]:
    """Return a function that encodes an event's data as the bus does, without making the objects first."""
    event = passing_status()
    schema = fastavro.parse_schema(json.loads(AvroSignalSerializer(event.signal).schema_string()))
    # What is before the Avro data, which Redis does not have.
    prefix = bus.wire(event).removesuffix(serialize_event_data_to_bytes(event.data, event.signal))

    def write(data: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, schema, data)
        return prefix + out.getvalue()

    return write
