"""
Who delivers a message, by its channel.

A channel is an entry point of the group ``badges.channels`` whose name is what ``OutboxMessage.channel`` holds. It is
loaded when the first message asks for it, so that a broken plug-in costs its own messages and nothing else.
"""

from __future__ import annotations

import functools
import logging
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable

from badges.exceptions import Retryable
from badges.outbox.models import OutboxMessage

log = logging.getLogger(__name__)

GROUP = "badges.channels"


class Handler(Protocol):
    """
    Delivers a message: returns when it happened, raises Retryable or Permanent when it did not.

    It runs outside of any transaction, at least once for each message, so it must bear being called again.
    """

    def __call__(self, message: OutboxMessage) -> None: ...


@runtime_checkable
class Breakable(Protocol):
    """A handler that names the circuit of a message, which rests when the other side is down."""

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the circuit's name, or None for a message without one."""


class ChannelMissing(Retryable):
    """
    Nobody here delivers this channel.

    Retryable, because a newer host may have written the message while this one waits for its upgrade.
    """


_registered: dict[str, Handler] = {}


def register(name: str, handler: Handler) -> None:
    """Deliver a channel by this handler in this process, before any entry point of that name."""
    _registered[name] = handler


def unregister(name: str) -> None:
    """Undo ``register``."""
    _registered.pop(name, None)


def handler_of(channel: str) -> Handler:
    """Return who delivers a channel; ChannelMissing, naming the remedy, when nobody does."""
    return _registered.get(channel) or _installed(channel)


def circuit_of(handler: Handler, message: OutboxMessage) -> str | None:
    """Return the name of the circuit that a message belongs to, if any."""
    return handler.circuit(message) if isinstance(handler, Breakable) else None


@functools.cache
def _installed(channel: str) -> Handler:
    found = entry_points(group=GROUP, name=channel)
    if not found:
        raise ChannelMissing(
            f"Nobody here delivers the channel {channel!r}. Install the package that offers it "
            f"(entry point group {GROUP!r}), or bring the workers up to date."
        )
    entry_point = next(iter(found))
    try:
        handler: Handler = entry_point.load()
    except Exception as error:  # a plug-in may fail in any way while it is imported
        log.exception("The channel %r cannot be loaded", channel)
        raise ChannelMissing(
            f"The channel {channel!r} cannot be loaded ({type(error).__name__}). "
            f"Repair or remove the package that brings {entry_point.value!r}."
        ) from error
    return handler
