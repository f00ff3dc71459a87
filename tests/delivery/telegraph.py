"""A channel for tests: remembers what it was given, and answers as it was told to."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, transaction

from badges.outbox import mailbox
from badges.outbox.channels import HandlerResult
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import InBatch, InThread, Steps

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)


class Telegraph:
    """Raises the next of ``answers`` (None: fine) for each message; ``office`` names its circuit."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.tried: list[str] = []
        self.answers: deque[Exception | None] = deque()
        self.always: Exception | None = None
        self.office: str | None = None
        self.out_of_date: set[str] = set()  # words that nobody wants to hear any more
        self.meanwhile: Callable[[OutboxMessage], None] = lambda message: None

    def __call__(self, message: OutboxMessage) -> HandlerResult | None:
        assert not connection.in_atomic_block or connection.atomic_blocks[-1]._from_testcase
        if message.read()["word"] in self.out_of_date:
            return HandlerResult.NOTHING_TO_DO
        self.tried.append(message.read()["word"])
        self.meanwhile(message)
        answer = self.answers.popleft() if self.answers else self.always
        if answer:
            raise answer
        self.sent.append(message.read()["word"])
        return None

    def circuit(self, message: OutboxMessage) -> str | None:
        return self.office


class Wires(Telegraph):
    """A telegraph with several wires. ``most`` is how many telegrams were on their way at the same time."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._now = 0
        self.prepared: list[list[str]] = []
        self.database_threads: set[int] = set()
        self._lock = threading.Lock()
        self.seconds = 0.0
        self.before_the_telegram: Callable[[str], None] = lambda word: None

    def steps(self, message: OutboxMessage) -> Steps:
        word = yield InBatch(self._prepare, message.read()["word"])
        self.before_the_telegram(word)
        return (yield InThread(lambda: self._send(message)))

    def _prepare(self, words: Sequence[str]) -> Sequence[str]:
        self.prepared.append(sorted(words))
        self.database_threads.add(threading.get_ident())
        return words

    def _send(self, message: OutboxMessage) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.seconds)
            return self(message)
        finally:
            with self._lock:
                self._now -= 1


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def post(*words: str, key: str | None = None) -> list[OutboxMessage]:
    """Write a message for each word: all of one learner, or each of another."""
    with transaction.atomic():
        mailbox.post(
            [NewMessage("telegraph", key or f"to-{word}", "spoken", {"word": word}) for word in words], now=NOW
        )
    return list(OutboxMessage.objects.order_by("sequence"))


def row(word: str) -> OutboxMessage:
    return next(row for row in OutboxMessage.objects.all() if row.read()["word"] == word)
