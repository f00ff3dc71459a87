"""
Deliveries that run at the same time: their requests in threads, their statements together in the worker's own thread.
"""

from __future__ import annotations

import queue
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from badges.delivery.deliveries import Delivery
from badges.outbox.steps import Answer, InThread, answer_of, answers_of

# How long the worker waits for more answers after the first one, to go on with several deliveries together.
GATHER_SECONDS = 0.03

Answered = tuple[Delivery, Answer]


class Threads:
    """
    Carries out up to ``most`` deliveries at the same time.

    For each channel it begins with one, and doubles the number when deliveries succeed. So a provider that is down, or
    refuses all requests, gets one of them and not ``most``. Only the worker's own thread calls the methods. It also
    does everything that uses the database.
    """

    def __init__(self, most: int):
        self._most = max(1, most)
        self._allowed: dict[str, int] = {}  # by channel
        self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="badges-delivery")
        self._answers: queue.SimpleQueue[Answered] = queue.SimpleQueue()
        self._running: set[Delivery] = set()
        self._at_end: list[Delivery] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(wait=error is None, cancel_futures=True)

    @property
    def running(self) -> Sequence[Delivery]:
        """The deliveries that have begun and are not at their end."""
        return list(self._running)

    @property
    def room(self) -> int:
        """How many more deliveries may begin."""
        return self._most - len(self._running)

    @property
    def enough(self) -> int:
        """How many deliveries go on together, if there are as many."""
        return max(1, self._most // 2)

    def choose(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Return those of the deliveries that may begin now, the first ones of each channel; none if there are few."""
        if self.room < self.enough:
            return []
        left = {channel: self._allowed.get(channel, 1) for channel in {each.row.channel for each in deliveries}}
        for delivery in self._running:
            left[delivery.row.channel] = left.get(delivery.row.channel, 0) - 1
        chosen: list[Delivery] = []
        for delivery in deliveries:
            if len(chosen) < self.room and left[delivery.row.channel] > 0:
                left[delivery.row.channel] -= 1
                chosen.append(delivery)
        return chosen

    def adapt(self, channels: Collection[str], *, failed: Collection[str]) -> None:
        """Let more deliveries of these channels run at the same time, but only one where the other side failed."""
        for channel in channels:
            self._allowed[channel] = 1 if channel in failed else min(2 * self._allowed.get(channel, 1), self._most)

    def start(self, deliveries: Sequence[Delivery]) -> None:
        """Begin deliveries that have steps."""
        self._running.update(deliveries)
        self.go_on([(delivery, Answer()) for delivery in deliveries])

    def wait(self, seconds: float) -> list[Answered]:
        """Wait for answers, at most some seconds; return those that are there."""
        if self._at_end or not self._running:
            return []
        answers: list[Answered] = []
        try:
            answers.append(self._answers.get(timeout=seconds))
            gather_until = time.monotonic() + GATHER_SECONDS
            while len(answers) < min(self.enough, len(self._running)):
                answers.append(self._answers.get(timeout=max(0.0, gather_until - time.monotonic())))
        except queue.Empty:
            pass
        while not self._answers.empty():
            answers.append(self._answers.get())
        return answers

    def go_on(self, answers: Sequence[Answered]) -> None:
        """Carry deliveries on until each waits for a thread or is at its end."""
        while answers:
            batches: dict[Callable[[Sequence[Any]], Sequence[Any]], list[tuple[Delivery, Any]]] = defaultdict(list)
            for delivery, answer in answers:
                step = delivery.go_on(answer)
                if step is None:
                    self._running.remove(delivery)
                    self._at_end.append(delivery)
                elif isinstance(step, InThread):
                    self._pool.submit(self._ask, delivery, step)
                else:
                    batches[step.work].append((delivery, step.item))
            answers = [answered for work, members in batches.items() for answered in _in_batch(work, members)]

    @property
    def needs_attention(self) -> bool:
        """Whether a delivery came to its end, or has an answer and can go on."""
        return bool(self._at_end) or not self._answers.empty()

    def take_finished(self) -> list[Delivery]:
        """Return the deliveries that came to their end since this was called."""
        finished, self._at_end = self._at_end, []
        return finished

    def _ask(self, delivery: Delivery, step: InThread) -> None:
        try:
            answer = answer_of(step)
        except BaseException as error:  # nobody else would hear of it, and the delivery would never end
            answer = Answer(error=RuntimeError(f"{type(error).__name__} in a thread of the delivery"))
        self._answers.put((delivery, answer))


def _in_batch(
    work: Callable[[Sequence[Any]], Sequence[Any]], members: Sequence[tuple[Delivery, Any]]
) -> list[Answered]:
    deliveries = [delivery for delivery, _item in members]
    return list(zip(deliveries, answers_of(work, [item for _delivery, item in members]), strict=True))
