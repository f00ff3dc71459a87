"""The Kafka client: configured as the bus's own, so that an operator says everything once."""

from __future__ import annotations

import logging
from typing import Any

from django.conf import settings

from badges.conf import config
from badges.intake.consumers.basics import ConsumerError

log = logging.getLogger(__name__)

INSTALL = "The Kafka client is not installed. Run: pip install 'lms-badges[kafka]'"
NEEDED = {
    "EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS": "localhost:9092",
    "EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL": "http://localhost:8081",
}
# What BADGES_CONFIG["kafka_client"] may not change: the promise to commit only what was decided depends on it.
OURS = ("group.id", "enable.auto.commit", "enable.auto.offset.store", "enable.partition.eof", "error_cb", "logger")


def check_ready() -> None:
    """Raise ConsumerError, with the line to run or to add, when Kafka cannot be used as things are."""
    try:
        import confluent_kafka  # noqa: F401, PLC0415 -- an extra
        import edx_event_bus_kafka  # noqa: F401, PLC0415 -- an extra, and it reads settings when imported
    except ImportError:
        raise ConsumerError(INSTALL) from None
    lines = [f'{name} = "{example}"' for name, example in NEEDED.items() if not getattr(settings, name, None)]
    if lines:
        raise ConsumerError("\n".join(["Kafka is not configured. Add to the host's settings, for example:", *lines]))
    if getattr(settings, "EVENT_BUS_KAFKA_CONSUMERS_ENABLED", True) is False:
        raise ConsumerError("Consumers are switched off here; remove EVENT_BUS_KAFKA_CONSUMERS_ENABLED = False.")
    given = config.kafka_client
    if not isinstance(given, dict):
        raise ConsumerError("BADGES_CONFIG['kafka_client'] must be a dict of the Kafka client's settings.")
    if taken := sorted(set(OURS) & set(given)):
        raise ConsumerError(f"BADGES_CONFIG['kafka_client'] may not set {', '.join(taken)}; remove it.")


def full_topics(topics: list[str]) -> list[str]:
    """Return the names of topics as the broker knows them, with the host's prefix."""
    # Imported here, as everything of the bus: its modules read Django settings when they are imported.
    from edx_event_bus_kafka.internal.config import get_full_topic  # noqa: PLC0415

    return [get_full_topic(topic) for topic in dict.fromkeys(topics)]


def make_consumer(group: str, *, on_error: Any) -> Any:
    """Return a new consumer of a group; it has joined nothing yet."""
    from confluent_kafka import Consumer, KafkaException  # noqa: PLC0415 -- an extra
    from edx_event_bus_kafka.internal.config import load_common_settings  # noqa: PLC0415

    conf = {**(load_common_settings() or {}), **_defaults(), **config.kafka_client, **_promised(group, on_error)}
    try:
        return Consumer(conf, logger=_ClientLog())
    except KafkaException as error:
        raise ConsumerError(
            f"The Kafka client refuses its configuration: {error.args[0].str()}. "
            "Correct BADGES_CONFIG['kafka_client'] or the EVENT_BUS_KAFKA_… settings."
        ) from None


def _defaults() -> dict[str, Any]:
    intake = config.intake
    return {
        # A new group wants what was sent before it came; the bus's own consumer would skip it.
        "auto.offset.reset": "earliest",
        # A batch waits for a database that is down, once for its events and once for dead letters.
        "max.poll.interval.ms": (2 * intake["patience"] + 120) * 1000,
        # What is fetched ahead is bounded, so that memory does not depend on how far behind we are. Not by a number of
        # messages: the client pauses for a second when it has that many, and no more than that came in a second.
        "queued.max.messages.kbytes": 16 * 1024,
        "fetch.max.bytes": 8 * 1024 * 1024,
        # How soon a topic or partition that was not there yet is found.
        "topic.metadata.refresh.interval.ms": 10_000,
        "reconnect.backoff.max.ms": 5_000,
    }


def _promised(group: str, on_error: Any) -> dict[str, Any]:
    return {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,
        "error_cb": on_error,
    }


class _ClientLog:
    """
    Where the client's own log lines go: our log, with failed connections at a level that nobody reads by chance.

    The consumer says once that the broker is away; the client says it at every attempt to connect.
    """

    def log(self, level: int, template: str, *values: Any) -> None:
        connecting = bool(values) and values[0] == "FAIL"
        log.log(logging.DEBUG if connecting else level, template, *values)
