"""Signals sent in this process: stored for later, without an error for their sender."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from badges import pipeline
from badges.awarding.models import UserCredential
from badges.intake import receivers
from badges.intake.models import InboxMessage, InboxState
from badges.testing.events import enrollment, passing_status
from tests.factories import ALGEBRA, GEOMETRY, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]


@pytest.fixture
def connected() -> Iterator[Callable[..., None]]:
    """Connect the receivers again, to another function if wanted."""

    def connect(receive: Any = pipeline.receive) -> None:
        receivers.disconnect()
        receivers.connect(receive)

    yield connect
    connect()


@pytest.fixture(params=[False, True], ids=["DEBUG off", "DEBUG on"])
def _either_debug(request: pytest.FixtureRequest, settings: Any) -> None:
    settings.DEBUG = request.param


def send(**given: Any) -> Any:
    event = passing_status(**given)
    return event.signal.send_event(time=event.metadata.time, **event.data)


@pytest.mark.usefixtures("_either_debug")
def test_a_signal_of_this_process_becomes_a_badge() -> None:
    make_template()
    send(course_key=ALGEBRA)
    assert [message.state for message in InboxMessage.objects.all()] == [InboxState.PENDING]
    assert not UserCredential.objects.exists()
    assert pipeline.process_pending().awarded == 1
    assert UserCredential.objects.count() == 1


def test_a_signal_that_meets_no_requirement_costs_no_row() -> None:
    make_template()
    send(course_key=GEOMETRY)
    assert not InboxMessage.objects.exists()


def test_a_signal_of_a_transaction_that_is_rolled_back_is_not_stored() -> None:
    make_template()
    with transaction.atomic():
        send()
        transaction.set_rollback(True)  # the sender changes its mind
    assert not InboxMessage.objects.exists()


@pytest.mark.usefixtures("_either_debug")
def test_an_error_of_the_receiver_does_not_reach_the_sender_or_other_receivers(
    connected: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    heard = []

    def another(**kwargs: Any) -> None:
        heard.append(kwargs["course_passing_status"].user.id)

    def fail(event: Any) -> None:
        raise RuntimeError("sher")

    connected(fail)
    signal = passing_status().signal
    signal.connect(another)
    try:
        send(lms_user_id=17, name="Marsupilami")
    finally:
        signal.disconnect(another)
    assert heard == [17]
    (record,) = [record for record in caplog.records if record.name == "badges.intake.receivers"]
    assert "could not be stored" in record.getMessage()
    assert "Marsupilami" not in record.getMessage()


@pytest.mark.usefixtures("_either_debug")
def test_a_statement_that_fails_leaves_the_senders_transaction_usable(connected: Callable[..., None]) -> None:
    def fail(event: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT houba FROM no_such_table")

    connected(fail)
    with transaction.atomic():
        send()
        make_template(slug="after-all")
    assert InboxMessage.objects.count() == 0


def test_an_event_that_cannot_be_stored_as_it_is_becomes_a_dead_letter() -> None:
    make_template()
    send(username="nul\0nul")
    (message,) = InboxMessage.objects.all()
    assert message.state == InboxState.DEAD
    assert "expected text without NUL" in message.reason
    assert "nul\0" not in message.reason


def test_types_that_are_not_configured_are_not_received(connected: Callable[..., None]) -> None:
    calls: list[Any] = []
    connected(calls.append)
    event = enrollment()
    event.signal.send_event(**event.data)
    assert calls == []
    send()
    assert len(calls) == 1


def test_connected_twice_an_event_is_received_once(connected: Callable[..., None]) -> None:
    calls: list[Any] = []
    connected(calls.append)
    receivers.connect(calls.append)
    send()
    assert len(calls) == 1


def test_switched_off_nothing_is_received(connected: Callable[..., None], settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"receivers": False}
    calls: list[Any] = []
    connected(calls.append)
    send()
    assert calls == []


def test_an_announcement_of_this_app_is_received_only_where_it_is_configured(
    connected: Callable[..., None], settings: Any
) -> None:
    from openedx_events.learning.data import BadgeData, BadgeTemplateData  # noqa: PLC0415 -- only here
    from openedx_events.learning.signals import BADGE_AWARDED  # noqa: PLC0415

    user = passing_status().data["course_passing_status"].user
    badge = BadgeData(uuid="houba", user=user, template=BadgeTemplateData(uuid="sher", origin="test"))
    calls: list[Any] = []
    connected(calls.append)
    BADGE_AWARDED.send_event(badge=badge)
    assert calls == []
    settings.LMS_BADGES_CONFIG = {"events": [BADGE_AWARDED.event_type]}
    connected(calls.append)
    BADGE_AWARDED.send_event(badge=badge)
    assert [event.type for event in calls] == [BADGE_AWARDED.event_type]


def test_receivers_are_connected_without_a_database_or_the_bus(django_db_blocker: Any) -> None:
    with django_db_blocker.block():
        receivers.disconnect()
        receivers.connect(pipeline.receive)
        call_command("check")
