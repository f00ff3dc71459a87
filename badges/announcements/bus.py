"""
Publishing on the event bus, and knowing that it arrived.

The bus's producers fire and forget: their ``send`` logs every failure and returns. A row of the outbox may only be
finished once the broker has the event, so a witness stands in for the producer's client during one ``send``: it sees
what the client is asked to do and how that ends.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver
from openedx_events.data import EventsMetadata
from openedx_events.event_bus import EventBusProducer, NoEventBusProducer, get_producer
from openedx_events.tooling import OpenEdxPublicSignal

from badges.conf import config
from badges.exceptions import Retryable


def publish(
    signal: OpenEdxPublicSignal, *, topic: str, event_key_field: str, data: dict[str, Any], metadata: EventsMetadata
) -> None:
    """
    Put an event on a topic and return once the broker has it; Retryable when that cannot be told.

    Does nothing in a host without a producer. A producer of a kind that is not known here is taken at its word.
    """
    producer = _producer()
    if producer is None:
        return
    witness = _witness_of(producer)
    if witness is not None:
        producer = witness.between(producer)
    producer.send(signal=signal, topic=topic, event_key_field=event_key_field, event_data=data, event_metadata=metadata)
    if witness is not None:
        witness.insist(topic)


def is_configured() -> bool:
    """Say whether this host publishes on an event bus at all."""
    return bool(getattr(settings, "EVENT_BUS_PRODUCER", None))


def _producer() -> EventBusProducer | None:
    if not is_configured():
        return None
    producer = get_producer()
    if isinstance(producer, NoEventBusProducer):
        raise Retryable(
            f"EVENT_BUS_PRODUCER ({settings.EVENT_BUS_PRODUCER}) could not be made. "
            "Check the EVENT_BUS_ settings and restart the workers."
        )
    return producer


def _down(message: str) -> Retryable:
    """What to raise when the bus as a whole seems down."""
    return Retryable(message, circuit=True)


class _Witness:
    """Stands in for a producer's client during one ``send``. Everything it does not watch goes to the client itself."""

    attribute: str

    def __init__(self, client: Any):
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def between(self, producer: EventBusProducer) -> EventBusProducer:
        """Return a copy of the producer that talks to us. Others may be using the original at the same time."""
        watched = copy.copy(producer)
        setattr(watched, self.attribute, self)
        return watched

    def insist(self, topic: str) -> None:
        """Raise Retryable unless the broker has the event."""
        raise NotImplementedError


class _KafkaWitness(_Witness):
    """In place of the ``confluent_kafka.Producer`` of a ``KafkaEventProducer``."""

    attribute = "producer"

    def __init__(self, client: Any):
        super().__init__(_kafka_client(config.delivery["bus_timeout"]) or client)
        self._asked = False
        self._outcomes: list[Any] = []

    def produce(self, topic: str, *, on_delivery: Any = None, **arguments: Any) -> None:
        def heard(error: Any, message: Any) -> None:
            self._outcomes.append(error)
            if on_delivery:
                on_delivery(error, message)

        self._client.produce(topic, on_delivery=heard, **arguments)
        self._asked = True

    def insist(self, topic: str) -> None:
        if not self._asked:
            raise _down(f"Nothing was sent to {topic}: is the schema registry up? The worker's log says more.")
        seconds = config.delivery["bus_timeout"]
        # The client gives up by itself in that time, and then tells; a little later nothing more is to be heard.
        self._client.flush(seconds + 1)
        error = self._outcomes[-1] if self._outcomes else None
        if error is not None:
            raise _down(f"Kafka does not take events on {topic} ({error.name()}). Are the broker and the topic there?")
        if not self._outcomes:
            raise _down(f"Kafka has not confirmed an event on {topic} in {seconds:g} s: is the broker up?")


@functools.cache
def _kafka_client(seconds: float) -> Any:
    """
    Return a client of our own, which drops what the broker does not take in time; None when there cannot be one.

    The producer's client would keep it for five minutes and send it after all, besides what our next tries send.
    """
    try:
        # Reads settings when imported: never at the top of a module.
        from confluent_kafka import Producer  # noqa: PLC0415
        from edx_event_bus_kafka.internal.config import load_common_settings  # noqa: PLC0415
    except ImportError:
        return None
    common = load_common_settings()
    return common and Producer({**common, "message.timeout.ms": int(seconds * 1000), "enable.idempotence": True})


@receiver(setting_changed)
def _forget_kafka_client(**_changed: Any) -> None:
    _kafka_client.cache_clear()


class _RedisWitness(_Witness):
    """Between ``RedisEventProducer`` and its client: adding to a stream answers at once, or raises into the log."""

    attribute = "client"

    def __init__(self, client: Any):
        super().__init__(client)
        self._added = False

    def Stream(self, key: str) -> Any:
        return _Stream(self._client.Stream(key), self)

    def noticed(self) -> None:
        self._added = True

    def insist(self, topic: str) -> None:
        if not self._added:
            raise Retryable(
                f"Nothing was added to the stream {topic}: is Redis up? The worker's log says more.", circuit=True
            )


class _Stream:
    """A stream that tells its witness when something was added."""

    def __init__(self, stream: Any, witness: _RedisWitness):
        self._stream = stream
        self._witness = witness

    def add(self, *arguments: Any, **options: Any) -> Any:
        added = self._stream.add(*arguments, **options)
        self._witness.noticed()
        return added


_WITNESSES = {"KafkaEventProducer": _KafkaWitness, "RedisEventProducer": _RedisWitness}


def _witness_of(producer: EventBusProducer) -> _Witness | None:
    """Return the witness for this kind of producer. By name, since neither package need be installed."""
    for kind in type(producer).__mro__:
        if witness := _WITNESSES.get(kind.__name__):
            return witness(getattr(producer, witness.attribute))
    return None
