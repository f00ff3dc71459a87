"""Delivery on a simulated clock: time jumps to when the next row is due."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from badges import delivery
from badges.exceptions import RateLimited, Retryable
from badges.outbox.models import OutboxMessage
from tests.delivery.telegraph import NOW, Telegraph, later


@dataclass
class Simulation:
    """Runs delivery until a time, and counts requests. ``answer`` says what the office answers at a time."""

    telegraph: Telegraph
    answer: Callable[[dt.datetime], Exception | None]
    now: dt.datetime = NOW
    requests: list[dt.datetime] = field(default_factory=list)
    dead: int = 0

    def __post_init__(self) -> None:
        self.telegraph.meanwhile = self._request

    def run(self, *, until: dt.datetime) -> None:
        """Deliver what is due, whenever it is due."""
        while self.now <= until:
            self.dead += delivery.drain(now=self.now).dead
            # Rows that are due already wait for an earlier row of their key.
            ahead = OutboxMessage.objects.filter(due_at__gt=self.now).order_by("due_at")
            due_at = ahead.values_list("due_at", flat=True).first()
            if due_at is None:
                return
            self.now = due_at
        self.now = until

    def _request(self, message: OutboxMessage) -> None:
        self.requests.append(self.now)
        error = self.answer(self.now)
        if error:
            raise error


def outage(*, until: dt.datetime) -> Callable[[dt.datetime], Exception | None]:
    """Answer nothing until a time."""
    return lambda now: Retryable("It cannot be reached.", circuit=True) if now < until else None


class RateLimit:
    """Lets ``number`` requests through in each window of ``seconds``; the others are refused."""

    def __init__(self, number: int, seconds: float, *, retry_after: float | None) -> None:
        self.number, self.seconds, self.retry_after = number, seconds, retry_after
        self.accepted: dict[int, int] = {}

    def __call__(self, now: dt.datetime) -> Exception | None:
        window = int((now - later(0)).total_seconds() // self.seconds)
        if self.accepted.get(window, 0) >= self.number:
            return RateLimited("Too many telegrams.", retry_after=self.retry_after)
        self.accepted[window] = self.accepted.get(window, 0) + 1
        return None
