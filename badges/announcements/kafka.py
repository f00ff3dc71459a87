"""
A Kafka client that tells what became of each message.

It has the connection settings of the host's event bus. It drops what the broker does not take in time: a message that
was given up must not arrive later, beside the ones that the next attempts send.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from django.core.signals import setting_changed
from django.dispatch import receiver

from badges.conf import config
from badges.exceptions import Retryable

NOT_INSTALLED = "The Kafka client is not installed. Run: pip install 'lms-badges[kafka]', and restart the workers."
UNUSABLE_SETTINGS = (
    "Kafka's client does not take its settings ({error}). Correct the settings EVENT_BUS_KAFKA_… and "
    "LMS_BADGES_CONFIG['delivery']['bus_timeout'], and restart the workers."
)


class KafkaClient:
    """
    A connection to Kafka. ``seconds`` is how long the broker may take to confirm a message.

    Raises Retryable when the host has no usable settings for Kafka.
    """

    def __init__(self, seconds: float) -> None:
        # These packages are an extra, and one reads settings when it is imported: never at the top of a module.
        from confluent_kafka import Producer  # noqa: PLC0415
        from edx_event_bus_kafka.internal.config import load_common_settings  # noqa: PLC0415

        try:
            common = load_common_settings()
            own = {"message.timeout.ms": int(seconds * 1000), "enable.idempotence": True}
            # What becomes of an event is told by its row; the client's lines about each refused connection are not
            # needed.
            client = None if common is None else Producer({**common, **own, "log_level": 2})
        except Exception as error:
            # Its text may quote a setting, such as a password.
            raise Retryable(UNUSABLE_SETTINGS.format(error=type(error).__name__)) from None
        if client is None:
            raise Retryable("EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS is not set. Set it and restart the workers.")
        self._client = client
        self._seconds = seconds
        self.is_broken = False  # it takes no more messages; a new client has to be made

    def send(self, topic: str, *, key: bytes, value: bytes, headers: Any) -> None:
        """
        Send a message, and return once the broker has it. Raises Retryable when that cannot be told.

        ``topic`` is the name that the broker knows. The message of the error names the topic and nothing of the event.
        """
        outcomes: list[Any] = []
        try:
            self._client.produce(
                topic, key=key, value=value, headers=headers, on_delivery=lambda error, _sent: outcomes.append(error)
            )
        except Exception as error:
            self.is_broken = _is_fatal(error.args[0] if error.args else None)
            raise not_sent(f"Nothing was sent to {topic}", error) from None
        # The client gives up by itself in that time, and then tells; a little later nothing more is to be heard.
        self._client.flush(self._seconds + 1)
        if not outcomes:
            reason = f"Kafka has not confirmed an event on {topic} in {self._seconds:g} s: is the broker up?"
            raise Retryable(reason, circuit=True)
        if outcomes[-1] is not None:
            name = outcomes[-1].name()
            self.is_broken = _is_fatal(outcomes[-1])
            reason = f"Kafka does not take events on {topic} ({name}). Are the broker and the topic there?"
            raise Retryable(reason, circuit=True)


def full_topic(topic: str) -> str:
    """Return the name of a topic as the broker knows it, with the host's prefix."""
    from edx_event_bus_kafka.internal.config import get_full_topic  # noqa: PLC0415 -- reads settings when imported

    name: str = get_full_topic(topic)
    return name


def send_json(topic: str, *, key: str, content: str, headers: Sequence[tuple[str, bytes]]) -> None:
    """
    Send JSON text, and return once the broker has it. Raises Retryable otherwise.

    ``topic`` is named without the host's prefix.
    """
    try:
        client, name = _client(config.delivery["bus_timeout"]), full_topic(topic)
    except ImportError:
        raise Retryable(NOT_INSTALLED) from None
    try:
        client.send(name, key=key.encode(), value=content.encode(), headers=list(headers))
    finally:
        if client.is_broken:
            _client.cache_clear()


# Packages whose errors say that somebody cannot be reached, and not that there is something wrong with the event.
_NETWORK_PACKAGES = frozenset({"confluent_kafka", "httpx", "httpcore", "redis", "requests", "urllib3"})


def not_sent(reason: str, error: Exception) -> Retryable:
    """Return what to raise for an event that did not leave. Only the error's name is told: its text may quote it."""
    is_network = isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _NETWORK_PACKAGES
    return Retryable(f"{reason} ({type(error).__name__}).", circuit=is_network)


def _is_fatal(error: Any) -> bool:
    """Return whether an error of the Kafka package ends the life of its client."""
    fatal = getattr(error, "fatal", None)
    return bool(fatal and fatal())


@functools.cache
def _client(seconds: float) -> KafkaClient:
    return KafkaClient(seconds)


@receiver(setting_changed)
def _clear_client(**_changed: Any) -> None:
    _client.cache_clear()
