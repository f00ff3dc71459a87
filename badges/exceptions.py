"""
What can go wrong, and who should do something about it.

The message of every error names the row, field or path and the remedy, and holds no personal data: it is stored in
mailboxes, shown in the admin and logged.
"""

from __future__ import annotations


class BadgesError(Exception):
    """The base of all errors of this package."""


class Retryable(BadgesError):
    """
    It failed for now; the worker will try again.

    ``retry_after`` is what the other side asked for, in seconds, or None to leave it to our own backoff.
    ``circuit`` tells that the other side as a whole seems down, so that others need not try either.
    """

    def __init__(self, message: str, *, retry_after: float | None = None, circuit: bool = False):
        super().__init__(message)
        self.retry_after = retry_after
        self.circuit = circuit


class Permanent(BadgesError):
    """Trying again will not help; an operator has to do what the message says."""


class EventError(BadgesError):
    """An event cannot be used: it becomes a dead letter with this message as the reason."""


class UnknownEventType(EventError):
    """Nobody configured this event type here."""
