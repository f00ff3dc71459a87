"""
Deliveries in steps, so that a worker can carry out several at the same time.

A handler that asks a slow service writes a delivery as a generator. It yields what is to be done next and gets the
result::

    def deliver(badge_id):
        badge = yield InBatch(load_badges, badge_id)             # one statement for all deliveries that are here
        answer = yield InThread(lambda: client.post(badge))      # beside the requests of other deliveries
        yield InBatch(store_answers, (badge, answer))

Errors are raised at the ``yield``. What stands between two of them runs in the worker's own thread.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from badges.database import retry_transient
from badges.exceptions import BadgesError


class HandlerResult(Enum):
    """What a handler may return. None: it happened."""

    NOTHING_TO_DO = "nothing to do"  # the message is finished, and that tells nothing about the other side


@dataclass(frozen=True, slots=True)
class InThread:
    """
    A step that runs in a thread of its own: a request.

    ``work`` must not use the database, because nobody closes the connections of threads.
    """

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class InBatch:
    """
    A step that is done together for all deliveries that are at it: statements of the database.

    ``work`` gets the items of the deliveries, and returns a result for each, in the same order. A result that is an
    exception is raised in its delivery. ``work`` is one transaction, or safe to repeat: it is called again after
    transient errors, and for each item alone when it raises for several.
    """

    work: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any


Step = InThread | InBatch
Steps = Generator[Step, Any, HandlerResult | None]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a step returned, or the error that it raised."""

    value: Any = None
    error: Exception | None = None


def answer_of(step: InThread) -> Answer:
    """Do a step, and return its answer."""
    try:
        return Answer(step.work())
    except Exception as error:
        return Answer(error=error)


def answers_of(work: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Answer]:
    """Do a step for all items together, and return an answer for each."""
    try:
        results = retry_transient(lambda: work(items))
    except Exception as error:
        if len(items) == 1 or isinstance(error, BadgesError):
            return [Answer(error=error) for _item in items]
        return [answer for item in items for answer in answers_of(work, [item])]
    return [Answer(error=result) if isinstance(result, Exception) else Answer(result) for result in results]


def carry_out(steps: Steps) -> HandlerResult | None:
    """Carry out the steps of one delivery, one after the other, and return its result."""
    answer = Answer()
    while True:
        try:
            step = steps.throw(answer.error) if answer.error else steps.send(answer.value)
        except StopIteration as end:
            result: HandlerResult | None = end.value
            return result
        answer = answer_of(step) if isinstance(step, InThread) else answers_of(step.work, [step.item])[0]
