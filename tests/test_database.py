"""What an operator relies on when a database fails: transient errors are told from others."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, OperationalError, connection

from badges.database import is_transient, retry_transient

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.tables]

# Deadlock, lock time-out, too many connections, shutdown, read-only after a fail-over; MariaDB's "record has changed
# since last read" and a cluster's node that is not ready; no space left on the disk.
TRANSIENT = {
    "postgresql": ["40001", "40P01", "55P03", "53300", "57P01", "08006", "25006", "53100", "58030"],
    "mysql": [1213, 1205, 1040, 1053, 1290, 1836, 1020, 1047, 1021, 1114, 1030],
    "sqlite": ["database is locked", "unable to open database file", "database or disk is full"],
}
# Data that does not fit, something twice, no such table.
PERMANENT = {
    "postgresql": ["22001", "22021", "23505", "42P01"],
    "mysql": [1406, 1366, 1062, 1146],
    "sqlite": ["no such table: lms_badges_learner", "string or blob too big"],
}


def raised(code: object) -> DatabaseError:
    """Return the error with this code, as the server's driver and Django report it."""
    statements = {
        "postgresql": f"DO $$ BEGIN RAISE EXCEPTION 'so it goes' USING ERRCODE = '{code}'; END $$",
        "mysql": f"SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = 'so it goes'",
    }
    if connection.vendor not in statements:
        return OperationalError(code)
    with pytest.raises(DatabaseError) as error, connection.cursor() as cursor:
        cursor.execute(statements[connection.vendor])
    return error.value


def test_errors_that_pass_by_themselves_are_transient():
    not_recognised = [code for code in TRANSIENT[connection.vendor] if not is_transient(raised(code))]

    assert not not_recognised


def test_errors_that_would_happen_again_are_not_transient():
    wrongly_recognised = [code for code in PERMANENT[connection.vendor] if is_transient(raised(code))]

    assert not wrongly_recognised


@pytest.mark.parametrize(("seconds", "said"), [(0.2, []), (30.0, ["is not available", "is back"])])
def test_a_wait_is_announced_by_its_length_and_not_by_the_number_of_tries(
    monkeypatch, caplog, seconds: float, said: list[str]
) -> None:
    # One try of a locked SQLite lasts for half a minute; a deadlock is over at once, and may come thrice.
    clock, tries = [0.0], {0.2: 4, 30.0: 1}[seconds]
    monkeypatch.setattr("badges.database.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("badges.database.time.sleep", lambda pause: None)

    def work() -> int:
        if clock[0] < tries * seconds:
            clock[0] += seconds
            raise OperationalError("database is locked")
        return 17

    monkeypatch.setattr("badges.database.is_transient", lambda error: isinstance(error, OperationalError))
    assert retry_transient(work, give_up_seconds=600) == 17
    assert [words for words in ("is not available", "is back") if words in caplog.text] == said
