"""The Kafka client. It takes the settings of the Open edX event bus, so an operator configures Kafka only once."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from badges.conf import config
from badges.intake.consumers.loop import ConsumerError

log = logging.getLogger(__name__)

INSTALL = "The Kafka client is not installed. Run: pip install 'lms-badges[kafka]'"
REGISTRY_SETTING = "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL"
REQUIRED_SETTINGS = {
    "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    REGISTRY_SETTING: "http://localhost:8081",
}
# LMS_BADGES_CONFIG["kafka_client"] may not set these. That only decided events are committed depends on them.
PROTECTED = ("group.id", "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "error_cb", "logger")


def check_ready(*, needs_registry: bool = True) -> None:
    """
    Raise ConsumerError when Kafka cannot be used here; its message has the command to run or the setting to add.

    ``needs_registry``: whether the schema registry has to be configured. Topics of JSON do not need it.
    """
    try:
        import confluent_kafka  # noqa: F401, PLC0415 -- an extra
        import edx_event_bus_kafka  # noqa: F401, PLC0415 -- an extra, and it reads settings when imported
    except ImportError:
        raise ConsumerError(INSTALL) from None
    lines = [
        f'{name} = "{example}"'
        for name, example in REQUIRED_SETTINGS.items()
        if not getattr(settings, name, None) and (needs_registry or name != REGISTRY_SETTING)
    ]
    if lines:
        raise ConsumerError("\n".join(["Kafka is not configured. Add to the host's settings, for example:", *lines]))
    if getattr(settings, "EVENT_BUS_KAFKA_CONSUMERS_ENABLED", True) is False:
        raise ConsumerError("Consumers are switched off here; remove EVENT_BUS_KAFKA_CONSUMERS_ENABLED = False.")
    given = config.kafka_client
    if not isinstance(given, dict):
        raise ConsumerError("LMS_BADGES_CONFIG['kafka_client'] must be a dict of the Kafka client's settings.")
    if taken := sorted(set(PROTECTED) & set(given)):
        raise ConsumerError(f"LMS_BADGES_CONFIG['kafka_client'] may not set {', '.join(taken)}; remove it.")


def full_topics(topics: list[str]) -> list[str]:
    """Return the names of topics as the broker knows them, with the host's prefix."""
    # Imported here, like everything of the bus: its modules read Django settings when they are imported.
    from edx_event_bus_kafka.internal.config import get_full_topic  # noqa: PLC0415

    return [get_full_topic(topic) for topic in dict.fromkeys(topics)]


def make_consumer(group: str, *, on_error: Any) -> Any:
    """
    Return a new ``confluent_kafka.Consumer`` of a group, which has subscribed to nothing yet.

    ``on_error`` gets the client's errors. Raises ConsumerError when the client refuses its configuration.
    """
    from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415 -- an extra
    from edx_event_bus_kafka.internal.config import load_common_settings  # noqa: PLC0415

    conf = {**(load_common_settings() or {}), **_defaults(), **config.kafka_client, **_fixed_settings(group, on_error)}
    try:
        return Consumer(conf, logger=_ClientLog())
    except KafkaException as error:
        raise ConsumerError(
            f"The Kafka client refuses its configuration: {error.args[0].str()}. "
            "Correct LMS_BADGES_CONFIG['kafka_client'] or the EVENT_BUS_KAFKA_… settings."
        ) from None


def _defaults() -> dict[str, Any]:
    intake = config.intake
    return {
        # A new group gets what was sent before it was created; the bus's own consumer would skip that.
        "auto.offset.reset": "earliest",
        # While the database is down, a batch may wait twice: for its events and for its dead letters.
        "max.poll.interval.ms": (2 * intake["give_up_seconds"] + 120) * 1000,
        # Limits what is fetched in advance, so that memory does not depend on the consumer's lag. The limit is in
        # bytes. At a limit in messages the client pauses for a second, so it reads no more than that number a second.
        "queued.max.messages.kbytes": 16 * 1024,
        "fetch.max.bytes": 8 * 1024 * 1024,
        # How soon a new topic or partition is found.
        "topic.metadata.refresh.interval.ms": 10_000,
        "reconnect.backoff.max.ms": 5_000,
    }


def _fixed_settings(group: str, on_error: Any) -> dict[str, Any]:
    return {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "error_cb": on_error,
    }


class _ClientLog:
    """
    Writes the client's own log lines to our log, and failed connections at the level DEBUG.

    The consumer reports once that the broker does not answer. The client reports it at every attempt to connect.
    """

    def log(self, level: int, template: str, *values: Any) -> None:
        connecting = bool(values) and values[0] == "FAIL"
        log.log(logging.DEBUG if connecting else level, template, *values)
