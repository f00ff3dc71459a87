"""How much one drain does, and what it says it did."""

from __future__ import annotations

from typing import Any

import pytest

from badges import delivery
from badges.exceptions import Permanent, Retryable
from badges.outbox.models import OutboxMessage
from tests.delivery.telegraph import NOW, Telegraph, post

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


def test_a_limit_that_is_no_multiple_of_the_batch_is_kept_and_more_is_said_to_be_there(
    telegraph: Telegraph, settings: Any
) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"batch_size": 2}}
    post(*"abcde")
    done = delivery.drain(now=NOW, limit=3)
    assert (telegraph.sent, done.more) == (["a", "b", "c"], True)
    done = delivery.drain(now=NOW, limit=3)
    assert (telegraph.sent, done.more) == (["a", "b", "c", "d", "e"], False)


def test_every_row_that_was_seen_counts_whatever_became_of_it(telegraph: Telegraph, settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {**settings.LMS_BADGES_CONFIG, "delivery": {"batch_size": 1}}
    telegraph.answers.extend([Retryable("The wire is cut."), Permanent("No address."), None])
    post(*"abcde")
    done = delivery.drain(now=NOW, limit=3)
    assert (done.rescheduled, done.dead, done.delivered, done.seen) == (1, 1, 1, 3)


def test_a_row_is_not_tried_when_its_circuit_cannot_be_told(telegraph: Telegraph) -> None:
    def unknown(message: OutboxMessage) -> str:
        raise LookupError

    telegraph.circuit = unknown  # type: ignore[method-assign]
    post("stop")
    assert delivery.drain(now=NOW).rescheduled == 1
    assert telegraph.tried == []
