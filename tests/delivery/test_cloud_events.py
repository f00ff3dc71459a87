"""What other services are sent: the form of an event, its id, and what becomes of it while the broker is away."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from django.utils import timezone

from badges import api, delivery
from badges.announcements import kafka
from badges.announcements.cloud_events import ASSIGNED, REMOVED
from badges.exceptions import Retryable
from badges.outbox.models import Circuit, OutboxMessage, OutboxState
from tests.factories import LearnerFactory, make_template

pytestmark = [pytest.mark.tables, pytest.mark.django_db]

NOON = dt.datetime(2026, 3, 14, 12, 0, tzinfo=dt.UTC)


class Broker:
    """Takes the place of Kafka: keeps what is sent, or refuses it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, Any]] = []
        self.error: Retryable | None = None

    def send_json(self, topic: str, *, key: str, content: str, headers: Any) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((topic, key, json.loads(content)))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker()
    monkeypatch.setattr(kafka, "send_json", made.send_json)
    return made


@pytest.fixture
def published(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"cloud_events": {"publish": [ASSIGNED, REMOVED], "source": "academy/badges"}}


def rows() -> list[OutboxMessage]:
    return list(OutboxMessage.objects.filter(channel="cloud-events").order_by("sequence"))


def test_nothing_is_published_unless_the_host_wants_it() -> None:
    make_template(slug="ميدالية")
    api.award(LearnerFactory(), "ميدالية")
    assert rows() == []


def test_only_the_named_types_are_published(settings: Any) -> None:
    settings.LMS_BADGES_CONFIG = {"cloud_events": {"publish": [REMOVED]}}
    make_template(slug="star")
    learner = LearnerFactory()
    api.award(learner, "star")
    api.revoke(learner, "star")
    assert [row.type for row in rows()] == [REMOVED]


def test_an_award_and_its_revocation_are_cloud_events(published: None, broker: Broker) -> None:
    make_template(slug="ميدالية-الجبر")
    learner = LearnerFactory()
    api.award(learner, "ميدالية-الجبر", now=NOON)
    api.revoke(learner, "ميدالية-الجبر", now=NOON + dt.timedelta(days=1))
    delivery.drain()
    delivery.drain()
    account = str(learner.uuid)
    assigned, removed = rows()
    common = {
        "specversion": "1.0",
        "source": "academy/badges",
        "subject": account,
        "datacontenttype": "application/json",
    }
    sticker = {"accountId": account, "stickerId": "ميدالية-الجبر"}
    first, second = "2026-03-14T12:00:00.000000Z", "2026-03-15T12:00:00.000000Z"
    assert broker.sent == [
        (
            ASSIGNED,
            account,
            common | {"id": str(assigned.id), "type": ASSIGNED, "time": first, "data": sticker | {"assignedAt": first}},
        ),
        (
            REMOVED,
            account,
            common | {"id": str(removed.id), "type": REMOVED, "time": second, "data": sticker | {"removedAt": second}},
        ),
    ]


def test_an_attempt_that_is_repeated_sends_the_same_event(published: None, broker: Broker) -> None:
    make_template(slug="star")
    api.award(LearnerFactory(), "star")
    delivery.drain()
    # As after a worker that was killed before it could note what it had done.
    OutboxMessage.objects.filter(channel="cloud-events").update(
        state=OutboxState.PENDING, due_at=timezone.now(), finished_at=None
    )
    delivery.drain()
    first, second = broker.sent
    assert first == second


def test_a_broker_that_stays_away_costs_no_attempt_and_keeps_the_order(published: None, broker: Broker) -> None:
    make_template(slug="star")
    learner = LearnerFactory()
    for _ in range(2):
        api.award(learner, "star")
        api.revoke(learner, "star")
    now = timezone.now()
    broker.error = Retryable("Kafka does not take events.", circuit=True)
    for hour in range(1, 60):
        delivery.drain(now=now + dt.timedelta(hours=hour))
    assert {(row.state, row.attempts) for row in rows()} == {(OutboxState.PENDING, 0)}
    assert broker.sent == []
    broker.error = None
    later = now + dt.timedelta(hours=61)
    while delivery.drain(now=later).seen:
        later += dt.timedelta(minutes=1)
    assert [topic for topic, _, _ in broker.sent] == [ASSIGNED, REMOVED, ASSIGNED, REMOVED]
    assert Circuit.objects.get(name=f"kafka:{ASSIGNED}").open_until is None


@pytest.mark.parametrize("timeout", [3_000_000, float("inf")], ids=["KafkaException", "OverflowError"])
def test_settings_that_the_client_does_not_take_cost_no_attempt(settings: Any, timeout: float) -> None:
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:1"
    settings.LMS_BADGES_CONFIG = {
        "cloud_events": {"publish": [ASSIGNED]},
        "delivery": {"bus_timeout": timeout},
    }
    make_template(slug="star")
    api.award(LearnerFactory(), "star")
    now = timezone.now()
    for hour in range(1, 60):
        delivery.drain(now=now + dt.timedelta(hours=hour))
    (row,) = rows()
    assert (row.state, row.attempts) == (OutboxState.PENDING, 0)
    assert "Correct the settings EVENT_BUS_KAFKA_" in row.last_error


def test_an_event_of_a_type_that_this_release_does_not_know_is_a_dead_letter(published: None, broker: Broker) -> None:
    make_template(slug="star")
    api.award(LearnerFactory(), "star")
    OutboxMessage.objects.filter(channel="cloud-events").update(type="stickers.stickerPolished.v1")
    delivery.drain()
    (row,) = rows()
    assert row.state == OutboxState.DEAD
    assert "stickers.stickerPolished.v1" in row.last_error


def test_a_retired_learner_is_named_by_the_account_id_alone(published: None, broker: Broker) -> None:
    make_template(slug="star")
    learner = LearnerFactory(user__username="yosra", user__email="yosra@example.org")
    api.award(learner, "star")
    api.retire(learner)
    delivery.drain()
    assert [key for _, key, _ in broker.sent] == [str(learner.uuid)]
    assert "yosra" not in json.dumps(broker.sent)
