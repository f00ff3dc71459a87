"""
Who delivers a message, by its channel.

A channel is an entry point of the group ``badges.channels`` whose name is what ``OutboxMessage.channel`` holds. It is
loaded with its first message, so that a broken plug-in costs its own messages and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from badges.common.entry_points import EntryPointLoader
from badges.exceptions import Retryable
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import HandlerResult, Steps

__all__ = ["Handler", "HandlerInSteps", "HandlerResult", "HandlerWithCircuit", "HandlerWithCircuits"]

GROUP = "badges.channels"


@runtime_checkable
class Handler(Protocol):
    """
    Delivers a message: returns when it happened, raises Retryable or Permanent when it did not.

    Returns ``HandlerResult.NOTHING_TO_DO`` when the other side was not asked, because the message is out of date. Then
    its circuits stay as they are.

    It runs outside of any transaction, at least once for each message, so it must bear being called again.
    """

    def __call__(self, message: OutboxMessage) -> HandlerResult | None: ...


@runtime_checkable
class HandlerInSteps(Protocol):
    """A handler of which a worker carries out several deliveries at the same time (``outbox.steps``)."""

    def steps(self, message: OutboxMessage) -> Steps | None:
        """Return the steps of a delivery, or None for a message that is delivered by a call."""


@runtime_checkable
class HandlerWithCircuit(Protocol):
    """A handler that names the circuit of a message; its rows are postponed while the other side is down."""

    def circuit(self, message: OutboxMessage) -> str | None:
        """Return the circuit's name, or None for a message without one."""


@runtime_checkable
class HandlerWithCircuits(Protocol):
    """A handler whose messages may belong to several circuits."""

    def circuits(self, message: OutboxMessage) -> Sequence[str]:
        """
        Return the names of the circuits.

        Failures of the other side as a whole count against the first. A ``SharedProblem`` names the one that it is
        about.
        """


@runtime_checkable
class HandlerWithCircuitsOfMany(Protocol):
    """A handler with ``circuits`` that needs statements to find them."""

    def circuits_of(self, messages: Sequence[OutboxMessage]) -> Sequence[Sequence[str]]:
        """Return ``circuits`` of each message, in the order of the messages."""


class ChannelMissing(Retryable):
    """
    Nobody here delivers this channel.

    Retryable, because a newer host may have written the message while this one waits for its upgrade.
    """


_channels: EntryPointLoader[Handler] = EntryPointLoader(
    GROUP, noun="channel", kind=Handler, error=ChannelMissing, remedy="bring the workers up to date"
)


def register(name: str, handler: Handler) -> None:
    """Deliver a channel by this handler in this process, before any entry point of that name."""
    _channels.register(name, handler)


def unregister(name: str) -> None:
    """Undo ``register``."""
    _channels.unregister(name)


def clear_cache() -> None:
    """Look again for what is installed. For code that installs a channel into a running process, such as a test."""
    _channels.clear()


def handler_of(channel: str) -> Handler:
    """Return who delivers a channel. Raises ChannelMissing, which names the remedy, when nobody does."""
    return _channels.get(channel)


def steps_of(handler: Handler, message: OutboxMessage) -> Steps | None:
    """Return the steps of a delivery, or None when the handler is to be called."""
    return handler.steps(message) if isinstance(handler, HandlerInSteps) else None


def circuits_of(handler: Handler, messages: Sequence[OutboxMessage]) -> Sequence[Sequence[str]]:
    """Return the names of the circuits that each message belongs to."""
    if isinstance(handler, HandlerWithCircuitsOfMany):
        return handler.circuits_of(messages)
    if isinstance(handler, HandlerWithCircuits):
        return [handler.circuits(message) for message in messages]
    if not isinstance(handler, HandlerWithCircuit):
        return [() for _message in messages]
    names = [handler.circuit(message) for message in messages]
    return [(name,) if name else () for name in names]
