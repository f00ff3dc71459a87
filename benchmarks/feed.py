"""Events for the benchmarks: one for each learner, each about one template; in a file, on Kafka or on Redis."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.catalog import course_of

KINDS = ("no match", "match", "completes")
TYPE = "org.openedx.learning.course.passing.status.updated.v1"
TIME = "2026-10-01T10:00:00+00:00"
_IDS = uuid.UUID("be900000-0000-4000-8000-000000000000")


def number(kind: str, learners: int) -> int:
    """
    Return the number of events of a kind.

    Events that match nothing are decided so fast that more of them are needed.
    """
    return learners * 5 if kind == "no match" else learners


def events(kind: str, *, learners: int, templates: int) -> Iterator[dict[str, Any]]:
    """Yield event envelopes of a kind, about one learner after the other; the order of templates is scattered."""
    for position in range(number(kind, learners)):
        template = (position * 7919) % templates
        course, name = course_of(template, 2 if kind == "completes" else 1)
        if kind == "no match":
            name, course = "elsewhere", "course-v1:Other+Course+1"
        learner = position % learners + 1
        pii = {"username": f"learner{learner}", "email": f"learner{learner}@example.com", "name": "L R"}
        yield {
            "id": str(uuid.uuid5(_IDS, f"{kind} {position}")),
            "type": TYPE,
            "time": TIME,
            "data": {
                "course_passing_status": {
                    "is_passing": True,
                    "course": {"course_key": course, "display_name": name, "start": None, "end": None},
                    "user": {"id": learner, "is_active": True, "pii": pii},
                }
            },
        }


def write_file(path: Path, kind: str, *, learners: int, templates: int) -> None:
    """Write events to a file, one a line."""
    with path.open("w", encoding="utf-8") as file:
        for event in events(kind, learners=learners, templates=templates):
            file.write(json.dumps(event) + "\n")


def produce(topic: str, kind: str, *, servers: str, registry: str, learners: int, templates: int) -> None:
    """Put events on Kafka in the bus's own wire format: the signal's Avro schema, its id before the value, headers."""
    import fastavro  # noqa: PLC0415 -- only when Kafka is measured
    from confluent_kafka import Producer  # noqa: PLC0415
    from confluent_kafka.schema_registry import Schema, SchemaRegistryClient  # noqa: PLC0415
    from openedx_events.event_bus.avro.serializer import AvroSignalSerializer  # noqa: PLC0415
    from openedx_events.learning.signals import COURSE_PASSING_STATUS_UPDATED  # noqa: PLC0415

    text = AvroSignalSerializer(COURSE_PASSING_STATUS_UPDATED).schema_string()
    schema_id = SchemaRegistryClient({"url": registry}).register_schema(f"{topic}-value", Schema(text, "AVRO"))
    schema = fastavro.parse_schema(json.loads(text))
    producer = Producer({"bootstrap.servers": servers, "linger.ms": 50})
    for event in events(kind, learners=learners, templates=templates):
        value = io.BytesIO(b"\0" + schema_id.to_bytes(4, "big"))
        value.seek(5)
        fastavro.schemaless_writer(value, schema, event["data"])
        headers = {
            "ce_type": TYPE,
            "ce_id": event["id"],
            "ce_time": event["time"],
            "ce_source": "openedx/lms/web",
            "ce_sourcehost": "bench",
            "ce_minorversion": "0",
            "ce_sourcelib": "10.5.0",
            "ce_specversion": "1.0",
            "ce_datacontenttype": "application/avro",
            "content-type": "application/avro",
        }
        producer.produce(topic, value=value.getvalue(), headers=[(key, text.encode()) for key, text in headers.items()])
        producer.poll(0)
    producer.flush(60)


def add_to_stream(stream: str, kind: str, *, url: str, learners: int, templates: int) -> None:
    """Add events to a stream of Redis as the bus does: the signal's Avro in one field, the attributes in others."""
    import fastavro  # noqa: PLC0415 -- only when Redis is measured
    from openedx_events.event_bus.avro.serializer import AvroSignalSerializer  # noqa: PLC0415
    from openedx_events.learning.signals import COURSE_PASSING_STATUS_UPDATED  # noqa: PLC0415
    from redis import Redis  # noqa: PLC0415

    text = AvroSignalSerializer(COURSE_PASSING_STATUS_UPDATED).schema_string()
    schema = fastavro.parse_schema(json.loads(text))
    with Redis.from_url(url) as client, client.pipeline(transaction=False) as pipe:
        for event in events(kind, learners=learners, templates=templates):
            value = io.BytesIO()
            fastavro.schemaless_writer(value, schema, event["data"])
            fields = {
                "type": TYPE,
                "id": event["id"],
                "source": "openedx/lms/web",
                "time": event["time"],
                "minorversion": "0",
                "sourcehost": "bench",
                "sourcelib": "10.5.0",
                "event_data": value.getvalue(),
            }
            pipe.xadd(stream, fields)
            if len(pipe) == 1_000:
                pipe.execute()
        pipe.execute()
