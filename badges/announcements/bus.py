"""
Publishing on the event bus, and knowing that it arrived.

The bus's producers fire and forget: their ``send`` logs every failure and returns. A row of the outbox may only be
finished once the broker has the event. So a confirmation stands in for the producer's client during one ``send``. It
sees what the client is asked to do and how that ends. What the producer would log about a failure quotes the whole
event, and so a learner. We keep the name of the error and nothing else.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import threading
from collections.abc import Iterator, Sequence
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
    event = {"signal": signal, "event_key_field": event_key_field, "event_data": data, "event_metadata": metadata}
    kind = _kind_of(producer)
    if kind is None:
        producer.send(topic=topic, **event)
        return
    confirmation = _CONFIRMATIONS[kind.__name__](producer)
    with _discreetly(logging.getLogger(kind.__module__)) as problems:
        confirmation.in_place(producer).send(topic=topic, **event)
        confirmation.raise_if_refused(topic, problems)


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


# Packages whose errors say that somebody cannot be reached, and not that there is something wrong with the event.
_WIRES = frozenset({"confluent_kafka", "httpx", "httpcore", "redis", "requests", "urllib3"})


def _not_sent(what: str, problems: Sequence[object]) -> Retryable:
    """Return what to raise when the client was never asked to do anything."""
    problem = problems[-1] if problems else None
    is_wire = isinstance(problem, OSError) or type(problem).__module__.partition(".")[0] in _WIRES
    return Retryable(f"{what} ({type(problem).__name__}).", circuit=is_wire)


class DeliveryConfirmation:
    """Stands in for a producer's client during one ``send``. Everything it does not watch goes to the client itself."""

    attribute: str

    def __init__(self, producer: EventBusProducer):
        self._client = getattr(producer, self.attribute)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def in_place(self, producer: EventBusProducer) -> EventBusProducer:
        """Return a copy of the producer that talks to us. Others may be using the original at the same time."""
        watched = copy.copy(producer)
        setattr(watched, self.attribute, self)
        return watched

    def raise_if_refused(self, topic: str, problems: Sequence[object]) -> None:
        """Raise Retryable unless the broker has the event. ``problems`` are the errors that the producer met."""
        raise NotImplementedError


class _KafkaConfirmation(DeliveryConfirmation):
    """In place of the ``confluent_kafka.Producer`` of a ``KafkaEventProducer``."""

    attribute = "producer"

    def __init__(self, producer: EventBusProducer):
        super().__init__(producer)
        self._client = _kafka_client(config.delivery["bus_timeout"]) or self._client
        self._asked = False
        self._outcomes: list[Any] = []

    def produce(self, topic: str, *, on_delivery: Any = None, **arguments: Any) -> None:
        def heard(error: Any, message: Any) -> None:
            self._outcomes.append(error)
            if on_delivery:
                on_delivery(error, message)

        self._client.produce(topic, on_delivery=heard, **arguments)
        self._asked = True

    def raise_if_refused(self, topic: str, problems: Sequence[object]) -> None:
        if not self._asked:
            raise _not_sent(f"Nothing was sent to {topic}: is the schema registry up?", problems)
        seconds = config.delivery["bus_timeout"]
        # The client gives up by itself in that time, and then tells; a little later nothing more is to be heard.
        self._client.flush(seconds + 1)
        error = self._outcomes[-1] if self._outcomes else None
        if error is not None:
            words = f"Kafka does not take events on {topic} ({error.name()}). Are the broker and the topic there?"
            raise Retryable(words, circuit=True)
        if not self._outcomes:
            words = f"Kafka has not confirmed an event on {topic} in {seconds:g} s: is the broker up?"
            raise Retryable(words, circuit=True)


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
    if common is None:
        return None
    impatient = {"message.timeout.ms": int(seconds * 1000), "enable.idempotence": True}
    # What becomes of an event is told by its row; the client's lines about each refused connection are not needed.
    return Producer({**common, **impatient, "log_level": 2})


@receiver(setting_changed)
def _forget_kafka_client(**_changed: Any) -> None:
    _kafka_client.cache_clear()


class _RedisConfirmation(DeliveryConfirmation):
    """In place of the client of a ``RedisEventProducer``: adding to a stream answers at once, or raises."""

    attribute = "client"

    def __init__(self, producer: EventBusProducer):
        super().__init__(producer)
        self._added = False

    def Stream(self, key: str) -> Any:
        return _Stream(self._client.Stream(key), self)

    def noticed(self) -> None:
        self._added = True

    def raise_if_refused(self, topic: str, problems: Sequence[object]) -> None:
        if not self._added:
            raise _not_sent(f"Nothing was added to the stream {topic}: is Redis up?", problems)


class _Stream:
    """A stream that tells its confirmation when something was added."""

    def __init__(self, stream: Any, confirmation: _RedisConfirmation):
        self._stream = stream
        self._witness = confirmation

    def add(self, *arguments: Any, **options: Any) -> Any:
        added = self._stream.add(*arguments, **options)
        self._witness.noticed()
        return added


_CONFIRMATIONS: dict[str, type[DeliveryConfirmation]] = {
    "KafkaEventProducer": _KafkaConfirmation,
    "RedisEventProducer": _RedisConfirmation,
}


def _kind_of(producer: EventBusProducer) -> type | None:
    """Return the class of a producer that we know how to watch. By name, since neither package need be installed."""
    return next((kind for kind in type(producer).__mro__ if kind.__name__ in _CONFIRMATIONS), None)


# --- discretion --------------------------------------------------------------------------------------------------

_sending = threading.local()


class _Discretion(logging.Filter):
    """Holds back the errors that a producer logs while this thread sends, and remembers what they were."""

    def filter(self, record: logging.LogRecord) -> bool:
        problems = getattr(_sending, "problems", None)
        if problems is None or record.levelno < logging.ERROR:
            return True
        raised = record.exc_info[1] if record.exc_info else None
        # The producers wrap the error in one of their own.
        problems.append(raised.args[0] if raised and raised.args else raised)
        return False


_discretion = _Discretion()


@contextlib.contextmanager
def _discreetly(logger: logging.Logger) -> Iterator[list[object]]:
    logger.addFilter(_discretion)
    _sending.problems = []
    try:
        yield _sending.problems
    finally:
        _sending.problems = None
