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
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import NoEventBusProducer, get_producer
from openedx_events.tooling import OpenEdxPublicSignal

from badges.announcements.kafka import KafkaClient, full_topic, not_sent
from badges.conf import config
from badges.exceptions import Retryable


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
    """Messages like those of ``edx_event_bus_redis``. Adding to a stream answers at once, or raises."""

    def __init__(self) -> None:
        from edx_event_bus_redis.internal.config import load_common_settings  # noqa: PLC0415
        from walrus import Database  # noqa: PLC0415

        common = load_common_settings()
        if common is None:
            raise Retryable("EVENT_BUS_REDIS_CONNECTION_URL is not set. Set it and restart the workers.")
        self._client = Database.from_url(common["url"])

    def send(
        self,
        signal: OpenEdxPublicSignal,
        *,
        topic: str,
        event_key_field: str,
        data: dict[str, Any],
        metadata: EventsMetadata,
    ) -> None:
        from edx_event_bus_redis.internal.config import get_full_topic  # noqa: PLC0415
        from edx_event_bus_redis.internal.message import RedisMessage  # noqa: PLC0415
        from edx_event_bus_redis.internal.producer import STREAM_MAX_LEN  # noqa: PLC0415
        from openedx_events.event_bus.avro.serializer import serialize_event_data_to_bytes  # noqa: PLC0415

        try:
            stream = get_full_topic(topic)
            content = serialize_event_data_to_bytes(data, signal)
            message = RedisMessage(topic=stream, event_data=content, event_metadata=metadata)
            self._client.Stream(stream).add(message.to_binary_dict(), maxlen=STREAM_MAX_LEN, approximate=True)
        except Exception as error:
            raise not_sent(f"Nothing was added to the stream {topic}: is Redis up?", error) from None


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
        if package == "edx_event_bus_redis":
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
