"""Posting, claiming and finishing rows, on every database."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import close_old_connections, connection, connections, transaction
from django.test.utils import CaptureQueriesContext

from badges.outbox import mailbox
from badges.outbox.mailbox import NewMessage
from badges.outbox.models import OutboxMessage, OutboxState

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
LEASE = 120.0


def later(seconds: float) -> dt.datetime:
    return NOW + dt.timedelta(seconds=seconds)


def message(number: int, *, key: str | None = None, channel: str = "issue", **given: object) -> NewMessage:
    return NewMessage(channel, key or f"learner-{number}", "credly", {"credential": f"c-{number}"}, **given)  # type: ignore[arg-type]


def post(*messages: NewMessage, now: dt.datetime = NOW) -> None:
    with transaction.atomic():
        mailbox.post(messages, now=now)


def claim(limit: int = 10, now: dt.datetime = NOW) -> list[OutboxMessage]:
    return mailbox.claim(limit, now, lease=LEASE)


def contents(rows: list[OutboxMessage]) -> list[str]:
    return [row.read()["credential"] for row in rows]


def test_rows_are_claimed_oldest_first_and_once() -> None:
    post(message(1), message(2), message(3))
    assert contents(claim(2)) == ["c-1", "c-2"]
    assert contents(claim(2)) == ["c-3"]
    assert claim() == []


def test_a_claimed_row_knows_what_was_posted() -> None:
    post(NewMessage("mail", "Ünal-3", "badge.awarded", {"b": 2, "a": "ä"}))
    (row,) = claim()
    assert (row.channel, row.key, row.type, row.read()) == ("mail", "Ünal-3", "badge.awarded", {"a": "ä", "b": 2})
    assert row.payload == '{"a":"ä","b":2}'
    assert (row.attempts, row.created_at, row.due_at) == (0, NOW, later(LEASE))


def test_one_learners_rows_come_one_at_a_time_in_their_order() -> None:
    post(message(1, key="7"), message(2, key="7"), message(3, key="8"))
    first, other = claim()
    assert contents([first, other]) == ["c-1", "c-3"]
    assert claim() == []  # the first is being delivered
    mailbox.delivered([first], NOW)
    assert contents(claim()) == ["c-2"]


def test_a_row_in_backoff_holds_the_next_one_of_its_learner() -> None:
    post(message(1, key="7"), message(2, key="7"))
    (first,) = claim()
    mailbox.reschedule(first, due_at=later(30), error="Not now")
    assert claim(now=later(29)) == []
    assert contents(claim(now=later(30))) == ["c-1"]


def test_a_dead_letter_lets_the_next_one_pass() -> None:
    post(message(1, key="7"), message(2, key="7"))
    (first,) = claim()
    mailbox.dead_letter(first, NOW, error="No e-mail")
    assert contents(claim()) == ["c-2"]


def test_channels_do_not_wait_for_each_other() -> None:
    post(message(1, key="7"), message(2, key="7", channel="announce"))
    assert contents(claim()) == ["c-1", "c-2"]


def test_keys_that_differ_only_in_case_or_accent_are_two_learners() -> None:
    post(message(1, key="jose"), message(2, key="José"), message(3, key="JOSE"))
    assert contents(claim()) == ["c-1", "c-2", "c-3"]


def test_many_blocked_rows_do_not_hide_the_one_behind_them() -> None:
    post(*[message(number, key="busy") for number in range(200)], message(999, key="idle"))
    assert contents(claim(2)) == ["c-0", "c-999"]
    assert claim(2) == []


def test_a_row_is_not_due_before_its_time() -> None:
    post(message(1, due_at=later(60)))
    assert claim(now=later(59)) == []
    assert contents(claim(now=later(60))) == ["c-1"]


def test_a_row_whose_lease_ended_is_claimed_again_and_the_late_worker_cannot_finish_it() -> None:
    post(message(1))
    (late,) = claim()
    (row,) = claim(now=later(LEASE))
    assert mailbox.begin([late], later(LEASE), lease=LEASE) == [late]
    assert not mailbox.delivered([late], later(LEASE))
    assert not mailbox.reschedule(late, due_at=later(200), error="late")
    assert not mailbox.dead_letter(late, later(LEASE), error="late")
    assert mailbox.release([late], due_at=NOW) == 0
    assert mailbox.delivered([row], later(LEASE))


def test_a_finished_row_cannot_be_finished_again() -> None:
    post(message(1))
    (row,) = claim()
    assert mailbox.delivered([row], NOW)
    assert not mailbox.dead_letter(row, NOW, error="too late")
    assert OutboxMessage.objects.get().state == OutboxState.DELIVERED


def test_beginning_counts_the_attempt_and_renews_the_lease() -> None:
    post(message(1))
    (row,) = claim()
    assert not mailbox.begin([row], later(100), lease=LEASE)
    assert row.attempts == 1
    assert claim(now=later(150)) == []
    assert contents(claim(now=later(220))) == ["c-1"]


def test_a_released_row_has_lost_no_attempt() -> None:
    post(message(1))
    assert mailbox.release(claim(), due_at=later(5)) == 1
    (row,) = claim(now=later(5))
    assert row.attempts == 0


def test_rows_that_rest_are_freed_together_and_others_are_not() -> None:
    post(*[message(number) for number in range(5)])
    rows = claim()
    mailbox.release(rows[:2], due_at=later(600), postponed_for="credly:A")
    mailbox.release(rows[2:4], due_at=later(600), postponed_for="credly:B")
    mailbox.reschedule(rows[4], due_at=later(600), error="its own fault")
    assert mailbox.release_circuit("credly:A", now=later(1)) == 2
    assert contents(claim(now=later(1))) == ["c-0", "c-1"]


def test_a_row_that_rested_and_is_claimed_again_is_not_taken_from_its_worker() -> None:
    post(message(1))
    mailbox.release(claim(), due_at=later(60), postponed_for="credly:A")
    (row,) = claim(now=later(60))
    assert mailbox.release_circuit("credly:A", now=later(61)) == 0
    assert claim(now=later(61)) == []
    assert not mailbox.begin([row], later(62), lease=LEASE)


def test_an_operator_revives_dead_letters_and_nothing_else() -> None:
    post(message(1, key="7"), message(2), message(3))
    dead, done, waiting = claim()
    mailbox.begin([dead], NOW, lease=LEASE)
    mailbox.dead_letter(dead, NOW, error="No e-mail")
    mailbox.delivered([done], NOW)
    mailbox.reschedule(waiting, due_at=later(600), error="Not now")
    assert mailbox.requeue(OutboxMessage.objects.all(), now=later(1)) == 1
    (row,) = claim(now=later(1))
    assert (contents([row]), row.attempts) == (["c-1"], 0)


def test_old_delivered_rows_are_deleted_and_dead_letters_are_not() -> None:
    post(message(1), message(2), message(3))
    done, dead, _waiting = claim()
    mailbox.delivered([done], NOW)
    mailbox.dead_letter(dead, NOW, error="No e-mail")
    post(message(4), now=later(50))
    mailbox.delivered(claim(now=later(50))[:1], later(50))
    assert mailbox.delete_delivered(before=later(10), limit=100) == 1
    assert mailbox.delete_delivered(before=later(10), limit=100) == 0
    assert OutboxMessage.objects.count() == 3


def test_an_error_longer_than_its_column_is_cut() -> None:
    post(message(1))
    (row,) = claim()
    assert mailbox.dead_letter(row, NOW, error="x" * 5000)
    assert len(OutboxMessage.objects.get().last_error) == 500


def test_the_next_due_time_is_that_of_the_first_waiting_row() -> None:
    assert mailbox.next_due_at() is None
    post(message(1, due_at=later(60)), message(2, due_at=later(30)))
    assert mailbox.next_due_at() == later(30)


@pytest.mark.django_db(transaction=True)
def test_posting_outside_of_a_transaction_is_refused() -> None:
    with pytest.raises(transaction.TransactionManagementError, match="transaction of the decision"):
        mailbox.post([message(1)])


@pytest.mark.django_db(transaction=True)
def test_claiming_inside_of_a_transaction_is_refused() -> None:
    post(message(1))
    with pytest.raises(RuntimeError, match="durable"), transaction.atomic():
        claim()


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_was_never_posted() -> None:
    with transaction.atomic():
        mailbox.post([message(1)])
        transaction.set_rollback(True)
    assert claim() == []


# --- what it costs -----------------------------------------------------------------------------------------------


def statements(work: Callable[[], object]) -> int:
    with CaptureQueriesContext(connection) as captured:
        work()
    return len(captured)


@pytest.mark.django_db(transaction=True)
def test_posting_costs_one_statement_however_many() -> None:
    with transaction.atomic():
        assert statements(lambda: mailbox.post([message(1)])) == 1
        # SQLite may split what exceeds its 999 variables; 60 rows of 14 columns do not.
        assert statements(lambda: mailbox.post([message(number) for number in range(60)])) == 1


@pytest.mark.django_db(transaction=True)
def test_claiming_costs_the_same_for_one_row_and_for_many() -> None:
    post(message(1))
    one = statements(lambda: claim(1))
    post(*[message(number) for number in range(2, 300)])
    assert statements(lambda: claim(200)) == one <= 5


@pytest.mark.django_db(transaction=True)
def test_tens_of_thousands_of_finished_rows_are_not_looked_at() -> None:
    """Asks the planner, with statistics: the claim goes by the index over what is due."""
    for start in range(0, 30_000, 5000):
        OutboxMessage.objects.bulk_create(finished_row(number) for number in range(start, start + 5000))
    post(*[message(number, key=str(number)) for number in range(1, 100)])
    analyze = {"postgresql": "ANALYZE", "sqlite": "ANALYZE", "mysql": "ANALYZE TABLE"}[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute(f"{analyze} {OutboxMessage._meta.db_table}")
        cursor.fetchall() if connection.vendor == "mysql" else None
    with CaptureQueriesContext(connection) as captured:
        claim(20)
    heads = next(query["sql"] for query in captured if "EXISTS" in query["sql"])
    plan = explain(heads)
    assert "lms_badges_outbox_due" in plan
    # How each of them says that it reads the table from end to end.
    assert not any(words in plan for words in ("Seq Scan", "SCAN U0\n", "SCAN lms_badges_outboxmessage\n", " ALL "))


def finished_row(number: int) -> OutboxMessage:
    return OutboxMessage(
        channel="issue",
        key=str(number % 10_000),
        type="credly",
        payload="{}",
        state=OutboxState.DELIVERED,
        created_at=NOW,
        finished_at=NOW,
    )


def explain(sql: str) -> str:
    how = "EXPLAIN QUERY PLAN" if connection.vendor == "sqlite" else "EXPLAIN"
    with connection.cursor() as cursor:
        cursor.execute(f"{how} {sql.rstrip(';')}")
        return "".join(" ".join(map(str, line)) + "\n" for line in cursor.fetchall())


# --- several at a time -------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_four_workers_never_claim_one_row_twice_nor_two_rows_of_a_learner() -> None:
    post(*[message(number, key=str(number % 40)) for number in range(400)])
    delivered: list[str] = []
    busy: set[str] = set()
    broken: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        idle = 0
        while idle < 20:
            rows = claim(7)
            idle = 0 if rows else idle + 1
            for row in rows:
                with lock:
                    if row.key in busy:
                        broken.append(row.key)
                    busy.add(row.key)
            for row in rows:
                with lock:
                    busy.discard(row.key)
                    delivered.append(f"{row.key}:{row.read()['credential']}")
                assert mailbox.delivered([row], NOW)
        connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work) for _ in range(4)]:
            future.result()
    close_old_connections()
    assert broken == []
    assert len(delivered) == len(set(delivered)) == 400
    by_learner: dict[str, list[int]] = {}
    for entry in delivered:
        key, _, credential = entry.partition(":")
        by_learner.setdefault(key, []).append(int(credential.removeprefix("c-")))
    assert all(numbers == sorted(numbers) for numbers in by_learner.values())
