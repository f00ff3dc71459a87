"""What each package that shares rows among workers relies on. The outbox is the table, counted as others count."""

from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.db.models import Q, QuerySet
from django.test.utils import CaptureQueriesContext

from badges.common.claims import Claims
from badges.outbox.models import OutboxMessage, OutboxState
from tests.support.claims import taken_by_another

pytestmark = [pytest.mark.tables, pytest.mark.django_db(transaction=True)]

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
LEASE = 90.0
CLAIMS = Claims(OutboxMessage, unfinished=Q(state=OutboxState.PENDING), counts=("attempts",))


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def due(now: dt.datetime = NOW) -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(due_at__lte=now).order_by("due_at", "sequence")


def claim(limit: int = 10, now: dt.datetime = NOW) -> list[OutboxMessage]:
    return CLAIMS.claim(due(now), limit=limit, now=now, lease=LEASE)


@pytest.fixture(autouse=True)
def three_rows() -> None:
    OutboxMessage.objects.bulk_create(
        OutboxMessage(channel="mail", key=key, type="t", payload="{}", due_at=later(-age), created_at=NOW)
        for key, age in {"a": 30, "b": 20, "c": 10}.items()
    )


def keys(rows: list[OutboxMessage]) -> str:
    return "".join(row.key for row in rows)


def test_a_claimed_row_is_in_memory_what_it_is_in_the_table() -> None:
    (row,) = claim(1)
    stored = OutboxMessage.objects.get(key="a")
    assert (row.key, row.claim, row.due_at, row.attempts) == ("a", stored.claim, later(LEASE), 1)
    assert (stored.due_at, stored.attempts) == (later(LEASE), 1)


def test_what_its_last_worker_did_not_finish_is_claimed_alone() -> None:
    assert keys(claim(2)) == "ab"
    assert keys(claim(10, later(LEASE))) == "a"
    assert keys(claim(10, later(LEASE))) == "b"
    assert keys(claim(10, later(LEASE))) == "c"


def test_a_released_row_has_not_been_tried_and_a_rescheduled_one_has() -> None:
    first, second, _third = claim()
    assert CLAIMS.release([first], due_at=later(1)) == 1
    assert CLAIMS.reschedule([second], due_at=later(2), last_error="Not now") == 1
    rows = claim(now=later(2))
    assert [(row.key, row.attempts, row.last_error) for row in rows] == [("a", 1, ""), ("b", 2, "Not now")]


def test_a_renewed_lease_ends_later() -> None:
    rows = claim()
    assert CLAIMS.renew(rows, now=later(60), lease=LEASE, postponed_for="x") == 3
    assert claim(now=later(LEASE)) == []
    assert keys(claim(now=later(60 + LEASE))) == "a"


def test_a_finished_row_is_nobodys_and_never_due() -> None:
    rows = claim()
    assert CLAIMS.finish(rows[:1], state=OutboxState.DELIVERED) == 1
    assert CLAIMS.finish(rows, state=OutboxState.DEAD) == 2
    assert list(CLAIMS.still_claimed(rows)) == []
    assert claim(now=later(10_000)) == []


def test_whoever_lost_a_claim_changes_nothing() -> None:
    late = claim(1)
    claim(1, later(LEASE))
    assert not CLAIMS.still_claimed(late).exists()
    assert CLAIMS.renew(late, now=later(LEASE), lease=LEASE) == 0
    assert CLAIMS.release(late, due_at=NOW) == 0
    assert CLAIMS.reschedule(late, due_at=NOW) == 0
    assert CLAIMS.finish(late, state=OutboxState.DEAD) == 0
    assert OutboxMessage.objects.get(key="a").due_at == later(2 * LEASE)


def test_a_row_that_another_worker_is_just_taking_holds_nobody_up() -> None:
    with taken_by_another(OutboxMessage.objects.filter(key="b")) as is_passed_over:
        assert keys(claim()) == ("ac" if is_passed_over else "abc")


def test_a_claim_costs_three_statements_and_its_transaction_and_looking_in_vain_costs_one() -> None:
    with CaptureQueriesContext(connection) as found:
        claim()
    with CaptureQueriesContext(connection) as nothing:
        claim()
    assert (len(found), len(nothing)) == (5, 1)
