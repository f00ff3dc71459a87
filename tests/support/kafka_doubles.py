"""A Kafka message and a schema registry, as far as reading a message needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from openedx_events.event_bus.avro.serializer import AvroSignalSerializer
from openedx_events.tooling import OpenEdxPublicSignal

from badges.exceptions import EventError
from badges.intake.consumers.kafka import message_of
from badges.intake.consumers.messages import Message
from badges.intake.consumers.schemas import Decoder, RegistryUnavailableError, Schemas, decoder_of


@dataclass
class FakeMessage:
    """What ``confluent_kafka`` gives for one message."""

    body: bytes | None
    header_pairs: Any = ()
    created: tuple[int, int] = (1, 1_772_357_400_123)

    def topic(self) -> str:
        return "learning"

    def partition(self) -> int:
        return 3

    def offset(self) -> int:
        return 1207

    def headers(self) -> Any:
        return self.header_pairs

    def value(self) -> bytes | None:
        return self.body

    def timestamp(self) -> tuple[int, int]:
        return self.created


def received(body: bytes | None, headers: Any = (), **message: Any) -> Message:
    """Return what is read from Kafka."""
    return message_of(FakeMessage(body, headers, **message))


@dataclass
class FakeRegistry(Schemas):
    """The schemas of a registry that answers, or does not."""

    signals: Mapping[int, OpenEdxPublicSignal] = field(default_factory=dict)
    is_away: bool = False

    def decoder(self, schema_id: int) -> Decoder:
        if self.is_away:
            raise RegistryUnavailableError("it is away")
        if schema_id not in self.signals:
            raise EventError(f"the schema registry knows no schema with id {schema_id}")
        text = AvroSignalSerializer(self.signals[schema_id]).schema_string()
        return decoder_of(SimpleNamespace(schema_type="AVRO", schema_str=text), schema_id)


def headers_of(event: Any, **changed: bytes | None) -> list[tuple[str, bytes]]:
    """Return the headers that event-bus-kafka gives to an event; None leaves one out."""
    headers = {
        "ce_type": event.signal.event_type.encode(),
        "ce_id": str(event.metadata.id).encode(),
        "ce_source": event.metadata.source.encode(),
        "ce_specversion": b"1.0",
        "ce_time": event.metadata.time.isoformat().encode(),
        **changed,
    }
    return [(name, value) for name, value in headers.items() if value is not None]
