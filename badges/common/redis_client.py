"""
The client of Redis. Its URL is the one of the Open edX event bus, which also holds the password and the options of TLS.

A command is sent once, and its error is raised: whoever sends it knows best what a second attempt would do.
"""

from __future__ import annotations

from typing import Any

INSTALL = "pip install 'lms-badges[redis]'"
URL_SETTING = "EVENT_BUS_REDIS_CONNECTION_URL"
URL_EXAMPLE = f'{URL_SETTING} = "redis://localhost:6379/0"'
URL_FORMS = (
    "It begins with redis://, rediss:// (TLS) or unix://, such as rediss://user:password@redis.example.org:6379/0. "
    "Special characters of a password are percent-encoded."
)


class RedisURLError(ValueError):
    """A URL cannot be used. The message holds nothing of it, since it may have a password."""


def is_installed() -> bool:
    """Return whether the packages of the extra ``redis`` can be imported. The second one reads Django settings."""
    try:
        import edx_event_bus_redis  # noqa: F401, PLC0415
        import redis  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def make_client(url: Any, *, seconds: float) -> Any:
    """
    Return a client that is not connected yet.

    ``seconds`` is how long an answer may take, unless the URL names a ``socket_timeout``. Raises RedisURLError when the
    URL cannot be used.
    """
    from redis import Redis  # noqa: PLC0415 -- an extra
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.exceptions import RedisError  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    options: dict[str, Any] = {"socket_timeout": seconds, "protocol": 2}
    if not str(url).startswith("unix:"):
        options |= {"socket_connect_timeout": seconds, "socket_keepalive": True}
    try:
        client = Redis.from_url(str(url), retry=Retry(NoBackoff(), 0), **options)
        client.connection_pool.make_connection()  # without connecting: names of options are only looked at here
    except (ValueError, TypeError, RedisError) as error:
        raise RedisURLError(f"{URL_SETTING} cannot be used ({type(error).__name__}). {URL_FORMS}") from None
    return client
