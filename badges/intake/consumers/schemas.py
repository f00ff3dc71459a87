"""Avro: the schemas of a registry, each of which is fetched once and then kept, and those of the signals here."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import fastavro
import openedx_events
from django.conf import settings
from openedx_events.event_bus.avro.serializer import AvroSignalSerializer
from openedx_events.tooling import OpenEdxPublicSignal

from badges.exceptions import EventError, Retryable
from badges.intake.consumers.loop import ConsumerError

log = logging.getLogger(__name__)

Decoder = Callable[[bytes, int], Any]

# Bytes before the Avro data: a zero byte, then the id of the schema in four bytes.
WIRE_PREFIX = 5
SCHEMA_NOT_FOUND = 40403
# A schema that could not be had is asked for again after this time, because a registry may have replicas that lag.
RETRY_REFUSED_SECONDS = 60.0


class RegistryUnavailableError(Retryable):
    """The schema registry does not answer; nothing can be decoded until it does."""


class Schemas:
    """The schemas of one registry, by id, as functions that decode bytes into dictionaries."""

    def __init__(self) -> None:
        self._decoders: dict[int, Decoder] = {}
        self._refused: dict[int, tuple[str, float]] = {}
        self._client = _client()

    def close(self) -> None:
        """Close the connection to the registry."""
        self._client.close()

    def decoder(self, schema_id: int) -> Decoder:
        """
        Return the decoder of a schema.

        Raises EventError when the registry has no usable schema of that id, RegistryUnavailableError when it does not
        answer, and ConsumerError when it refuses the credentials.
        """
        decoder = self._decoders.get(schema_id)
        if decoder is None:
            reason, until = self._refused.get(schema_id, ("", 0.0))
            if time.monotonic() < until:
                raise EventError(reason)
            try:
                decoder = self._decoders[schema_id] = decoder_of(self._fetch(schema_id), schema_id)
            except EventError as error:
                self._refused[schema_id] = (str(error), time.monotonic() + RETRY_REFUSED_SECONDS)
                raise
        return decoder

    def decode(self, event_type: str, value: bytes) -> Any:
        """
        Return the data of a message, whose value begins with the id of its schema (Confluent's wire format).

        Raises what ``decoder`` raises, and EventError when it is not Avro of that schema.
        """
        if len(value) < WIRE_PREFIX or value[0] != 0:
            raise EventError("the value does not begin with a zero byte and a schema id")
        return self.decoder(int.from_bytes(value[1:WIRE_PREFIX], "big"))(value, WIRE_PREFIX)

    def _fetch(self, schema_id: int) -> Any:
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415 -- an extra

        try:
            return self._client.get_schema(schema_id)
        except SchemaRegistryError as error:
            # A bare 404 means that the address is not that of a registry: everything would become a dead letter.
            if error.error_code == SCHEMA_NOT_FOUND:
                raise EventError(f"the schema registry knows no schema with id {schema_id}") from None
            if error.http_status_code in (401, 403):
                raise ConsumerError(
                    "The schema registry refuses this consumer; correct EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY and "
                    "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET."
                ) from None
            raise RegistryUnavailableError(f"it answers with HTTP status {error.http_status_code}") from None
        except Exception as error:  # errors of its HTTP library, which the client does not document
            raise RegistryUnavailableError(f"{type(error).__name__} when asked for a schema") from error


class SignalSchemas:
    """
    The schemas of the public signals that are installed here, for a bus without a registry.

    A message does not say which schema it was written with. It must be that of the receiver, so both sides need
    releases of openedx-events that define the event type alike.
    """

    version = openedx_events.__version__

    def __init__(self) -> None:
        self._decoders: dict[str, Decoder] = {}

    def decode(self, event_type: str, value: bytes) -> Any:
        """Return the data of a message. Raises EventError when it is not Avro of the signal's schema."""
        if event_type not in self._decoders:
            self._decoders[event_type] = _signal_decoder(event_type)
        return self._decoders[event_type](value, 0)


def _signal_decoder(event_type: str) -> Decoder:
    try:
        signal = OpenEdxPublicSignal.get_signal_by_type(event_type)
    except KeyError:
        raise EventError(
            "an event type of this site comes as JSON: name the topic in LMS_BADGES_CONFIG['json_topics']"
        ) from None
    text = AvroSignalSerializer(signal).schema_string()
    return _decoder(fastavro.parse_schema(json.loads(text)), f"{event_type} as installed here")


def _client() -> Any:
    # The bus's own client tries four times with pauses of up to twenty seconds. The consumer would leave its group.
    from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415 -- an extra

    conf = {"url": settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL, "timeout": 10, "max.retries": 0}
    if key := getattr(settings, "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_KEY", ""):
        secret = getattr(settings, "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_API_SECRET", "")
        conf["basic.auth.user.info"] = f"{key}:{secret}"
    return SchemaRegistryClient(conf)


def decoder_of(schema: Any, schema_id: int) -> Decoder:
    """Return a function that decodes bytes of a registry's schema. Raises EventError when that is not Avro."""
    if (schema.schema_type or "AVRO").upper() != "AVRO":
        raise EventError(f"schema {schema_id} is {schema.schema_type}; events on the bus are Avro")
    try:
        parsed = fastavro.parse_schema(json.loads(schema.schema_str))
    except (fastavro.schema.SchemaParseException, fastavro.schema.UnknownType, ValueError, TypeError, KeyError):
        raise EventError(f"schema {schema_id} is not a complete Avro schema") from None
    return _decoder(parsed, f"schema {schema_id}")


def _decoder(parsed: Any, name: str) -> Decoder:
    """Return a function that decodes bytes of a schema; ``name`` is what error messages call it."""

    def decode(value: bytes, start: int) -> Any:
        stream = io.BytesIO(value)
        stream.seek(start)
        try:
            data = fastavro.schemaless_reader(stream, parsed, None)
        except Exception as error:  # fastavro raises many kinds of errors for wrong bytes: EOFError, IndexError, …
            raise EventError(f"not Avro of {name} ({type(error).__name__})") from None
        if stream.tell() != len(value):
            raise EventError(f"not Avro of {name}: bytes are left over")
        return data

    return decode
