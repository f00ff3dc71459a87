"""One delivery: a claimed row, the code that delivers it, and how far that has come."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from badges.common.claims import ClaimLostError
from badges.common.error_messages import code_lines
from badges.database import retry_transient
from badges.exceptions import BadgesError
from badges.outbox import channels
from badges.outbox.channels import Handler, HandlerResult
from badges.outbox.circuit import Passage
from badges.outbox.models import OutboxMessage
from badges.outbox.steps import Answer, InBatch, InThread, Steps

log = logging.getLogger(__package__)


@dataclass(eq=False)
class Delivery:
    """
    The delivery of a claimed row.

    ``handler`` and ``circuits`` are those of its channel, and ``steps`` is None when the handler is called. At the end,
    ``result`` is what the handler returned, or ``error`` is what went wrong.
    """

    row: OutboxMessage
    handler: Handler | None = None
    steps: Steps | None = None
    circuits: Sequence[str] = ()
    passage: Passage = field(default_factory=Passage)
    result: HandlerResult | None = None
    error: Exception | None = None
    is_lost: bool = False

    @classmethod
    def of(cls, row: OutboxMessage) -> Delivery:
        """Return the delivery of a row, with the handler of its channel, or with the error when there is none."""
        delivery = cls(row)
        try:
            delivery.handler = channels.handler_of(row.channel)
            delivery.steps = channels.steps_of(delivery.handler, row)
        except Exception as error:
            delivery.fail(error)
        return delivery

    def call(self) -> None:
        """Deliver the row by a call of its handler."""
        if self.error is not None or self.handler is None:
            return
        try:
            self.result = self.handler(self.row)
        except Exception as error:
            self.fail(error)

    def go_on(self, answer: Answer) -> InThread | InBatch | None:
        """Go on with the answer of the last step, and return the next one; None at the end."""
        assert self.steps is not None
        try:
            step = self.steps.throw(answer.error) if answer.error else self.steps.send(answer.value)
        except StopIteration as end:
            self.result = end.value
            return None
        except Exception as error:
            self.fail(error)
            return None
        if self.is_lost and isinstance(step, InThread):  # another worker may be asking the same
            self.steps.close()
            self.error = ClaimLostError()
            return None
        return step

    def fail(self, error: Exception) -> None:
        """Note what went wrong. Errors that nobody foresaw are logged."""
        self.error = error
        if not isinstance(error, BadgesError):
            log.error("%s while an outbox row was delivered:\n%s", type(error).__name__, code_lines(error))


def find_circuits(deliveries: Sequence[Delivery]) -> None:
    """Let deliveries know the circuits of their rows; one statement for each channel that has several."""
    by_handler: dict[int, list[Delivery]] = defaultdict(list)
    for delivery in deliveries:
        if delivery.handler is not None and delivery.error is None:
            by_handler[id(delivery.handler)].append(delivery)
    for members in by_handler.values():
        _find(members)


def _find(deliveries: Sequence[Delivery]) -> None:
    handler = deliveries[0].handler
    assert handler is not None
    try:
        found = retry_transient(lambda: channels.circuits_of(handler, [delivery.row for delivery in deliveries]))
    except Exception as error:
        if len(deliveries) == 1:
            deliveries[0].fail(error)
            return
        for delivery in deliveries:  # one of them has an error; the others are delivered
            _find([delivery])
        return
    for delivery, names in zip(deliveries, found, strict=True):
        delivery.circuits = names
