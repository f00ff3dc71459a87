"""
Publishing on the event bus, and knowing that it arrived.

The producers of the event bus packages do not say what becomes of an event: their ``send`` logs every failure, with the
whole event and so a learner, and returns. A row of the outbox may only be finished once the broker has the event. So
the producers here write the same messages with the functions of those packages, wait for the broker, and raise what
went wrong.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import NoEventBusProducer, get_producer
from openedx_events.tooling import OpenEdxPublicSignal

from badges.announcements import kafka, redis
from badges.announcements.kafka import KafkaClient, full_topic, not_sent
from badges.common.redis_client import URL_SETTING
from badges.conf import config
from badges.exceptions import Retryable

REDIS_PACKAGE = "edx_event_bus_redis"


def publish(
    signal: OpenEdxPublicSignal, *, topic: str, event_key_field: str, data: dict[str, Any], metadata: EventsMetadata
) -> None:
    """
    Put an event on a topic and return once the broker has it. Raises Retryable when that cannot be told.

    ``event_key_field`` is the path to the key inside of ``data``. Does nothing in a host without a producer. A producer
    that is not known here sends the event itself, and nobody learns whether it arrived.
    """
    if not is_configured():
        return
    producer = _confirming_producer(settings.EVENT_BUS_PRODUCER, config.delivery["bus_timeout"])
    if producer is not None:
        producer.send(signal, topic=topic, event_key_field=event_key_field, data=data, metadata=metadata)
        return
    other = get_producer()
    if isinstance(other, NoEventBusProducer):
        raise _cannot_be_made(settings.EVENT_BUS_PRODUCER)
    other.send(signal=signal, topic=topic, event_key_field=event_key_field, event_data=data, event_metadata=metadata)


def is_configured() -> bool:
    """Say whether this host publishes on an event bus at all."""
    return bool(getattr(settings, "EVENT_BUS_PRODUCER", None))


def is_redis() -> bool:
    """
    Say whether JSON events are published on Redis, and not on Kafka.

    That is the bus of ``EVENT_BUS_PRODUCER``. Without one it is the bus that is configured, and Kafka before Redis.
    """
    if producer := getattr(settings, "EVENT_BUS_PRODUCER", None):
        return str(producer).partition(".")[0] == REDIS_PACKAGE
    has_kafka = bool(getattr(settings, "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS", None))
    return not has_kafka and bool(getattr(settings, URL_SETTING, None))


def send_json(topic: str, *, key: str, content: str, headers: Sequence[tuple[str, bytes]]) -> None:
    """
    Put JSON text on a topic, and return once the broker has it. Raises Retryable when that cannot be told.

    ``topic`` is named without the host's prefix. On Kafka the ``key`` says which messages keep their order.
    """
    send = redis.send_json if is_redis() else kafka.send_json
    send(topic, key=key, content=content, headers=headers)


class ConfirmingProducer(ABC):
    """Sends an event and waits until the broker has it."""

    @abstractmethod
    def send(
        self,
        signal: OpenEdxPublicSignal,
        *,
        topic: str,
        event_key_field: str,
        data: dict[str, Any],
        metadata: EventsMetadata,
    ) -> None:
        """Return once the broker has the event. Raises Retryable otherwise."""


class KafkaProducer(ConfirmingProducer):
    """
    Messages like those of ``edx_event_bus_kafka``: Avro by the schema registry, the same key, headers and topic.

    Its client drops what the broker does not take within ``seconds``. The client of that package would keep an event
    for five minutes and send it after all, besides what our next tries send.
    """

    def __init__(self, seconds: float):
        self._client = KafkaClient(seconds)

    def send(
        self,
        signal: OpenEdxPublicSignal,
        *,
        topic: str,
        event_key_field: str,
        data: dict[str, Any],
        metadata: EventsMetadata,
    ) -> None:
        try:
            message = _kafka_message(signal, topic, event_key_field, data, metadata)
        except Exception as error:
            raise not_sent(f"Nothing was sent to {topic}: is the schema registry up?", error) from None
        self._client.send(**message)


class RedisProducer(ConfirmingProducer):
    """Entries like those of ``edx_event_bus_redis``: Avro without a registry, the same fields, stream and length."""

    def send(
        self,
        signal: OpenEdxPublicSignal,
        *,
        topic: str,
        event_key_field: str,
        data: dict[str, Any],
        metadata: EventsMetadata,
    ) -> None:
        redis.add(topic, _redis_fields(signal, data, metadata))


def _redis_fields(signal: OpenEdxPublicSignal, data: dict[str, Any], metadata: EventsMetadata) -> dict[bytes, bytes]:
    from edx_event_bus_redis.internal.utils import get_headers_from_metadata  # noqa: PLC0415
    from openedx_events.event_bus.avro.serializer import serialize_event_data_to_bytes  # noqa: PLC0415

    try:
        attributes: dict[bytes, bytes] = get_headers_from_metadata(metadata)
        return {**attributes, redis.VALUE_FIELD: serialize_event_data_to_bytes(data, signal)}
    except Exception as error:
        raise not_sent(f"The event {signal.event_type} could not be written as Avro", error) from None


def _kafka_message(
    signal: OpenEdxPublicSignal, topic: str, event_key_field: str, data: dict[str, Any], metadata: EventsMetadata
) -> dict[str, Any]:
    """Return what the client is to send: one HTTP call to the schema registry for a schema that is new here."""
    from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: PLC0415
    from edx_event_bus_kafka.internal.producer import extract_event_key, get_serializers  # noqa: PLC0415
    from edx_event_bus_kafka.internal.utils import _get_headers_from_metadata  # noqa: PLC0415

    name = full_topic(topic)
    headers = _get_headers_from_metadata(event_metadata=metadata)
    key_serializer, value_serializer = get_serializers(signal, event_key_field)
    key = extract_event_key(data, event_key_field)
    return {
        "topic": name,
        "key": key_serializer(key, SerializationContext(name, MessageField.KEY, headers)),
        "value": value_serializer(data, SerializationContext(name, MessageField.VALUE, headers)),
        "headers": headers,
    }


@functools.cache
def _confirming_producer(setting: str, seconds: float) -> ConfirmingProducer | None:
    """Return our producer for a host's ``EVENT_BUS_PRODUCER``; None for one that is not known here."""
    package = setting.partition(".")[0]
    try:
        if package == "edx_event_bus_kafka":
            return KafkaProducer(seconds)
        if package == REDIS_PACKAGE:
            import edx_event_bus_redis  # noqa: F401, PLC0415

            return RedisProducer()
    except ImportError:
        raise _cannot_be_made(setting) from None
    return None


def _cannot_be_made(setting: str) -> Retryable:
    return Retryable(
        f"EVENT_BUS_PRODUCER ({setting}) could not be made. Check the EVENT_BUS_ settings and restart the workers."
    )


@receiver(setting_changed)
def _clear_producers(**_changed: Any) -> None:
    _confirming_producer.cache_clear()
