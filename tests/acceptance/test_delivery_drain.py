"""Delivery by ``badges_drain`` alone: no Celery, no broker, nothing but Python and the database."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from badges.awarding.models import UserCredential
from badges.intake.events import parse_event
from badges.intake.models import InboxMessage, InboxState
from badges.issuers.credly.models import CredlyBadge
from badges.outbox.models import OutboxMessage, OutboxState
from badges.pipeline import receive
from badges.testing import events
from badges.testing.credly import CredlyProcess
from tests.acceptance.delivery_helpers import (
    assert_one_badge_each,
    host_env,
    issued_template,
    pass_course,
    wait_until_delivered,
)
from tests.services import Service
from tests.services.processes import Process

pytestmark = pytest.mark.django_db(transaction=True)

Drain = Callable[..., Process]


@pytest.fixture
def drain(credly: CredlyProcess, run_manage: Callable[..., Process]) -> Drain:
    def start(*arguments: str, env: dict[str, str] | None = None) -> Process:
        process = run_manage("badges_drain", *arguments, env={**host_env(credly), **(env or {})})
        if "--forever" in arguments:
            process.wait_for("Working through both mailboxes")
        return process

    return start


@pytest.mark.tables
def test_one_run_decides_what_waits_in_the_inbox_and_issues_it(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    event = events.passing_status(lms_user_id=5, username="lea", email="lea@example.org", name="Lea Rner")
    assert receive(parse_event(event.line, received_from="rest"))
    assert not UserCredential.objects.exists()
    process = drain()
    assert process.wait() == 0
    assert_one_badge_each(credly, learners=1)
    assert "Events decided: 1, badges awarded: 1, delivered: 2." in process.output()
    assert InboxMessage.objects.get().state == InboxState.PROCESSED


def test_two_empty_mailboxes_are_no_reason_to_stay(drain: Drain) -> None:
    process = drain()
    assert process.wait() == 0
    assert process.output().strip().endswith("Events decided: 0, badges awarded: 0, delivered: 0.")


def test_waiting_rows_are_reported_with_what_to_do_next(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    credly.throttle(retry_after=600)
    pass_course(1)
    process = drain()
    assert process.wait() == 0
    assert "Rows are waiting for their next try" in process.output()
    assert "--forever" in process.output()


def test_dead_letters_end_it_with_an_error_that_says_where_to_look(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    credly.answer(status=422, body='{"message": "no"}', on="issue")
    pass_course(1)
    process = drain()
    assert process.wait() == 1
    assert "1 dead letters were made. The admin says what is wrong" in process.output()
    assert "Traceback" not in process.output()
    assert OutboxMessage.objects.get(state=OutboxState.DEAD).channel == "credly"


@pytest.mark.tables
def test_sigterm_finishes_the_row_at_hand_and_leaves_the_others_free(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    credly.slow_down(seconds=5, on="issue")
    pass_course(1, 2, 3)
    process = drain("--forever")
    process.wait_until(lambda: credly.badges, what="a badge at Credly")
    assert process.terminate() == 0
    (badge,) = credly.badges
    assert [str(row.external_uuid) for row in CredlyBadge.objects.exclude(external_uuid=None)] == [badge.id]
    assert not OutboxMessage.objects.exclude(claim=None).exists()
    credly.recover()
    assert drain().wait() == 0
    assert_one_badge_each(credly, learners=3)


def test_forever_tries_again_by_itself_when_the_provider_is_back(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    credly.kill()
    pass_course(1, 2)
    process = drain("--forever")
    failed = OutboxMessage.objects.filter(channel="credly", attempts__gt=0)
    process.wait_until(failed.exists, what="a failed attempt")
    credly.start()
    wait_until_delivered(process)
    assert process.terminate() == 0
    assert_one_badge_each(credly, learners=2)


@pytest.mark.tables
def test_a_database_that_goes_away_and_comes_back_loses_nothing(
    credly: CredlyProcess, drain: Drain, database_server: Service
) -> None:
    issued_template(credly)
    credly.slow_down(seconds=0.2, on="issue")
    pass_course(*range(1, 21))
    process = drain("--forever")
    process.wait_until(lambda: len(credly.badges) >= 3, what="three badges at Credly")
    database_server.stop()
    process.wait_for("The database is not available")
    database_server.start()
    from django.db import connection  # noqa: PLC0415

    connection.close()
    wait_until_delivered(process)
    assert process.terminate() == 0
    assert process.output().count("The database is not available") == 1
    assert_one_badge_each(credly, learners=20)


def test_it_needs_no_celery_settings(credly: CredlyProcess, drain: Drain) -> None:
    issued_template(credly)
    pass_course(1)
    assert "CELERY_BROKER_URL" not in os.environ
    assert drain().wait() == 0
    assert_one_badge_each(credly, learners=1)
