"""Topics of JSON: CloudEvents in both of their forms, without Avro and without a schema registry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.utils import timezone

from badges.api import process_pending
from badges.common.stopping import StopRequest
from badges.intake import inbox
from badges.intake.consumers import json_messages
from badges.intake.consumers.kafka import KafkaBus
from badges.intake.consumers.loop import Consumer, ConsumerError, Skipped
from badges.intake.consumers.redis import RedisBus
from badges.intake.events import Event, Unreadable
from badges.intake.models import InboxMessage, InboxState
from badges.pipeline import handle
from badges.testing.events import passing_status
from tests.factories import (
    WORKSHOP,
    UserFactory,
    make_event_type,
    make_template,
    workshop_event,
    workshop_requirement,
)
from tests.support.json_topics import TopicsOnKafka, TopicsOnRedis
from tests.support.kafka_doubles import received

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _workshop(db: None) -> None:
    make_event_type()


def read(value: Any, headers: dict[str, str] | None = None, *, limit: int = 10_000) -> Any:
    value = value if value is None or isinstance(value, bytes) else json.dumps(value).encode()
    pairs = [(name, text.encode()) for name, text in (headers or {}).items()]
    return json_messages.read(received(value, pairs), event_bytes=limit)


def attributes(**changed: str) -> dict[str, str]:
    headers = {"ce_id": "houba-7", "ce_type": WORKSHOP, "ce_source": "workshops", "ce_time": "2026-03-10T09:30:00Z"}
    return {**headers, "content-type": "application/json", **changed}


def test_both_forms_are_the_same_event() -> None:
    structured = read(workshop_event(id="houba-7") | {"source": "workshops", "specversion": "1.0"})
    binary = read(workshop_event()["data"], attributes())
    assert isinstance(structured, Event)
    assert structured == binary
    assert structured.identity == ("workshops", "houba-7")


def test_what_a_message_does_not_say_is_taken_from_the_settings_and_the_broker() -> None:
    event = workshop_event()
    del event["time"]
    found = read(event)
    assert (found.source, found.time.timestamp()) == ("openedx/lms/web", 1_772_357_400.123)


def test_public_signals_may_come_as_json_too_since_a_topic_has_its_own_access_control() -> None:
    assert isinstance(read(json.loads(passing_status().line)), Event)


def test_an_event_of_a_type_that_is_switched_off_is_skipped() -> None:
    make_event_type(is_active=False)
    assert read(workshop_event()) == Skipped(WORKSHOP)


@pytest.mark.parametrize(
    ("value", "headers", "reason"),
    [
        (None, None, "the message is empty"),
        (b"", None, "not JSON"),
        (b"\xff", None, "not UTF-8 at byte 1"),
        (b"[" * 9_000, None, "too many levels"),
        (b"5", None, "has no ce_type header, and its value is no object"),
        ({"id": "x"}, None, "type, data missing"),
        (workshop_event(minutes=-1), None, "data.minutes: expected at least 0"),
        ({"user_id": "secret"}, attributes(), "data.user_id: expected an integer"),
        (workshop_event(), {"ce_type": WORKSHOP}, "has no ce_id header"),
        (workshop_event() | {"type": "com.example.unheard.v1"}, None, "this site has no event type of this name"),
        (workshop_event() | {"time": "yesterday"}, None, "the ce_time header or the time: expected a time"),
        (workshop_event(workshop="x" * 20_000), None, "the event takes 20"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_used_is_a_dead_letter_that_says_why(value: Any, headers: Any, reason: str) -> None:
    dead = read(value, headers)
    assert isinstance(dead, Unreadable)
    assert reason in dead.reason
    assert "secret" not in dead.reason
    handle([dead])
    assert InboxMessage.objects.get().state == InboxState.DEAD


def test_a_dead_letter_of_the_binary_form_can_be_tried_again_when_the_type_was_corrected() -> None:
    headers = attributes()
    del headers["ce_time"]
    handle([read({"user_id": 41, "workshop": 7}, headers)])
    make_event_type(schema={"type": "object", "properties": {"user_id": {"type": "integer"}, "workshop": {}}})
    inbox.requeue(InboxMessage.objects.all(), now=timezone.now())
    assert process_pending().dead == 0
    assert InboxMessage.objects.get().reason == "no match"


def test_a_consumer_of_json_topics_needs_no_registry(settings: Any) -> None:
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:1"
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = None
    settings.LMS_BADGES_CONFIG = {"json_topics": ["workshops"]}
    KafkaBus(["workshops"], "badges")
    with pytest.raises(ConsumerError, match="EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL"):
        KafkaBus(["workshops", "learning"], "badges")


@pytest.mark.live
@pytest.mark.parametrize("broker", [TopicsOnKafka, TopicsOnRedis], ids=["kafka", "redis"])
def test_events_of_a_json_topic_earn_badges(request: pytest.FixtureRequest, broker: type, settings: Any) -> None:
    topics = broker(request.getfixturevalue(broker.name))
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = topics.env.get("KAFKA_BOOTSTRAP_SERVERS")
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = None
    settings.EVENT_BUS_REDIS_CONNECTION_URL = topics.env.get("EVENT_BUS_REDIS_CONNECTION_URL")
    settings.EVENT_BUS_TOPIC_PREFIX = topics.prefix
    settings.LMS_BADGES_CONFIG = {"json_topics": ["workshops"], "user_lms_id_field": ""}
    make_template(slug="sailor", requirements=[workshop_requirement()])
    make_event_type(learner_path="username:workshop")
    for name in ("ada", "grace"):
        UserFactory(username=name)
    topics.create("workshops")
    topics.send("workshops", workshop_event(workshop="ada"))
    binary = {name.removeprefix("ce_"): text for name, text in attributes().items()}
    topics.send("workshops", workshop_event(workshop="grace")["data"], binary)
    topics.send("workshops", b"houba")

    results = []
    consumer = Consumer(
        {"kafka": KafkaBus, "redis": RedisBus}[topics.name](["workshops"], "badges"),
        handle=lambda batch: results.append(handle(batch)),
        stop=StopRequest(),
        until_idle=True,
    )
    consumer.run()
    assert sum(result.awarded for result in results) == 2
    dead = InboxMessage.objects.get(state=InboxState.DEAD)
    assert dead.reason == "not JSON: Expecting value at character 1"
    assert dead.received_from.startswith(f"{topics.name}:{topics.full('workshops')}")
