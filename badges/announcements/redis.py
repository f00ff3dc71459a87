"""
Redis streams as the bus that events are published on.

Adding an entry answers when Redis has it. A client waits ``bus_timeout`` for the answer and sends nothing twice by
itself: an entry whose answer got lost may be there, and the next attempt adds it once more with the same event id.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.dispatch import receiver

from badges.announcements.kafka import not_sent
from badges.common import redis_client
from badges.common.redis_client import INSTALL, URL_SETTING, RedisURLError
from badges.conf import config
from badges.exceptions import Retryable

NOT_INSTALLED = f"The Redis client is not installed. Run: {INSTALL}, and restart the workers."
# How many entries the bus keeps on a stream, approximately, unless the host's setting says something else.
DEFAULT_LENGTH = 10_000
# The field of the value, as the bus names it.
VALUE_FIELD = b"event_data"


def add(topic: str, fields: Mapping[Any, Any]) -> None:
    """
    Add an entry to the stream of a topic, and return once Redis has it. Raises Retryable when that cannot be told.

    ``topic`` is named without the host's prefix. The message of the error names the topic and nothing of the event.
    """
    try:
        client, stream = _client(config.delivery["bus_timeout"]), _full_topic(topic)
    except ImportError:
        raise Retryable(NOT_INSTALLED) from None
    try:
        length = int(getattr(settings, "EVENT_BUS_REDIS_STREAM_MAX_LEN", DEFAULT_LENGTH))
        client.xadd(stream, dict(fields), maxlen=length, approximate=True)
    except Exception as error:
        client.connection_pool.disconnect()  # after a fail-over the next connection leads to another server
        raise not_sent(f"Nothing was added to the stream {topic}: is Redis up?", error) from None


def send_json(topic: str, *, key: str, content: str, headers: Sequence[tuple[str, bytes]]) -> None:
    """
    Add JSON text to the stream of a topic. Raises Retryable as ``add`` does.

    Entries of a stream have one order, so the ``key`` is not needed.
    """
    add(topic, {**dict(headers), VALUE_FIELD: content.encode()})


def _full_topic(topic: str) -> str:
    from edx_event_bus_redis.internal.config import get_full_topic  # noqa: PLC0415 -- reads settings when imported

    name: str = get_full_topic(topic)
    return name


@functools.cache
def _client(seconds: float) -> Any:
    url = getattr(settings, URL_SETTING, None)
    if not url:
        raise Retryable(f"{URL_SETTING} is not set. Set it and restart the workers.")
    try:
        return redis_client.make_client(url, seconds=seconds)
    except RedisURLError as error:
        raise Retryable(f"{error} Correct it and restart the workers.") from None


@receiver(setting_changed)
def _close_client(**_changed: Any) -> None:
    _client.cache_clear()
