"""The Redis client of the consumer. It takes the settings of the Open edX event bus, so Redis is configured once."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from badges.common import redis_client
from badges.common.redis_client import URL_EXAMPLE, URL_SETTING, RedisURLError
from badges.intake.consumers.loop import ConsumerError

# Longer than the longest read that waits for new entries.
ANSWER_SECONDS = 10.0
# What tells that Redis will answer again, besides lost connections and what the client has classes for: its disk is
# full, it has too few replicas, it runs a script, it became a replica while a read waited.
_TRANSIENT_CODES = ("MISCONF", "NOREPLICAS", "BUSY ", "UNBLOCKED force unblock")
_MISSING_CODES = ("NOGROUP", "UNBLOCKED the stream key", "no such key")


def check_ready() -> None:
    """Raise ConsumerError when Redis cannot be used here; its message has the command to run or the setting to add."""
    if not redis_client.is_installed():
        raise ConsumerError(f"The Redis client is not installed. Run: {redis_client.INSTALL}")
    if not getattr(settings, URL_SETTING, None):
        raise ConsumerError(f"Redis is not configured. Add to the host's settings, for example:\n{URL_EXAMPLE}")
    if getattr(settings, "EVENT_BUS_REDIS_CONSUMERS_ENABLED", True) is False:
        raise ConsumerError("Consumers are switched off here; remove EVENT_BUS_REDIS_CONSUMERS_ENABLED = False.")
    make_client()


def make_client() -> Any:
    """Return a ``redis.Redis`` that is not connected yet. Raises ConsumerError when its URL cannot be used."""
    try:
        return redis_client.make_client(getattr(settings, URL_SETTING), seconds=ANSWER_SECONDS)
    except RedisURLError as error:
        raise ConsumerError(str(error)) from None


def full_topics(topics: list[str]) -> list[str]:
    """Return the names of the streams of topics, with the host's prefix."""
    # Imported here: the package reads Django settings when it is imported.
    from edx_event_bus_redis.internal.config import get_full_topic  # noqa: PLC0415

    return [get_full_topic(topic) for topic in dict.fromkeys(topics)]


def is_missing(error: Exception) -> bool:
    """Return whether an error says that a stream or its group is not there."""
    from redis.exceptions import ResponseError  # noqa: PLC0415 -- an extra

    return isinstance(error, ResponseError) and _answer_in(error).startswith(_MISSING_CODES)


def is_transient(error: Exception) -> bool:
    """Return whether an error says that Redis cannot serve now, and will later."""
    from redis import exceptions  # noqa: PLC0415 -- an extra

    if isinstance(error, exceptions.AuthenticationError):  # which is a ConnectionError
        return False
    transient = (
        *(exceptions.ConnectionError, exceptions.TimeoutError, exceptions.ReadOnlyError, OSError),
        *(exceptions.OutOfMemoryError, exceptions.ClusterDownError, exceptions.TryAgainError),
    )
    return isinstance(error, transient) or _answer_in(error).startswith(_TRANSIENT_CODES)


def _answer_in(error: Exception) -> str:
    """Return what Redis said. The client puts the command before it when it was one of several in a pipeline."""
    return str(error).rpartition("of pipeline caused error: ")[2]


def refusal(error: Exception) -> ConsumerError:
    """Return what ends the consumer when Redis refuses it."""
    return ConsumerError(
        f"Redis refuses this consumer: {error}. Correct {URL_SETTING} or the topic, then start again. The user needs "
        "the commands XREADGROUP, XAUTOCLAIM, XCLAIM, XACK, XGROUP, XINFO and XPENDING; Redis has to be version 7 or "
        "later."
    )
