"""Events about accounts come in by Kafka, by file and by REST, and what cannot be read says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from badges import api, pipeline
from badges.api import ExternalIdentity
from badges.flows.claims import claimed_count
from badges.intake import flow_events, inbox
from badges.intake.consumers import json_messages
from badges.intake.consumers.kafka import KafkaBus
from badges.intake.events import Event, Unreadable
from badges.intake.models import InboxMessage, Learner
from tests.factories import LearnerFactory, make_template
from tests.flows.senders import NOON, reasons, states, work
from tests.rest_api.schema import assert_as_promised
from tests.support.kafka_doubles import received
from tests.support.learner_factories import signed_in, somebody

pytestmark = pytest.mark.django_db(transaction=True)

CLAIMED = "users.stickerClaimed.v1"
URL = "/api/badges/v1/events/"


@pytest.fixture
def learner() -> Learner:
    make_template(slug="star")
    return LearnerFactory()


def envelope(data: Any, **attributes: Any) -> dict[str, Any]:
    return {"id": "claim-1", "source": "stickers", "type": CLAIMED, "time": "2026-03-10T09:30:00Z", "data": data} | {
        "specversion": "1.0",
        **attributes,
    }


def read(value: Any, *, bare_type: str | None = CLAIMED) -> Any:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return json_messages.read(received(content), event_bytes=10_000, bare_type=bare_type)


def claim_of(learner: Learner) -> dict[str, Any]:
    return {"accountId": str(learner.uuid), "stickerId": "star"}


def test_a_claim_may_come_bare_or_in_a_cloud_event(learner: Learner) -> None:
    bare, wrapped = read(claim_of(learner)), read(envelope(claim_of(learner)))
    assert isinstance(bare, Event)
    assert (bare.type, bare.data) == (wrapped.type, wrapped.data)
    assert wrapped.identity == ("stickers", "claim-1")
    pipeline.handle([bare, wrapped], now=NOON)
    work()
    assert claimed_count(learner) == 1


def test_a_bare_claim_has_an_id_that_is_made_of_its_content(learner: Learner) -> None:
    first = read({"accountId": str(learner.uuid).upper(), "stickerId": "star", "added": "later"})
    assert first.identity == read(claim_of(learner)).identity
    assert first.identity != read({**claim_of(learner), "stickerId": "comet"}).identity
    assert first.source == f"kafka/{CLAIMED}"


def test_the_id_of_a_bare_claim_cannot_be_found_by_trying_accounts(learner: Learner, settings: Any) -> None:
    first = read(claim_of(learner))
    settings.SECRET_KEY = "another key of this host"
    second = read(claim_of(learner))
    assert first.id != second.id, "it depends on the secret key"
    pipeline.handle([first, second], now=NOON)
    work()
    assert claimed_count(learner) == 1


def test_a_bare_message_of_another_topic_is_unreadable(learner: Learner) -> None:
    assert isinstance(read(claim_of(learner), bare_type=None), Unreadable)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"stickerId": "star"}, "the value.accountId"),
        ({"accountId": 7, "stickerId": "star"}, "the value.accountId: expected text"),
        ({"accountId": " ", "stickerId": "star"}, "the value.accountId: expected 1 to 255 printable characters"),
        ({"accountId": "a\u202eb", "stickerId": "star"}, "expected 1 to 255 printable characters"),
        ({"accountId": "secret", "stickerId": "x" * 256}, "the value.stickerId: expected 1 to 255"),
        ({"accountId": "secret", "stickerId": ["star"]}, "the value.stickerId"),
        ([], "no object"),
        (b"{", "not JSON"),
        (envelope({"accountId": "secret"}), "data.stickerId"),
        (envelope({}, type="users.stickerClaimed.v9"), "no installed package defines it"),
        (envelope({"accountId": "secret"}, type="certifications.certificationCompleted.v1"), "data.certificationId"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_read_is_a_dead_letter_that_names_the_field(value: Any, reason: str) -> None:
    dead = read(value)
    assert isinstance(dead, Unreadable)
    assert reason in dead.reason
    assert "secret" not in dead.reason


def test_a_message_that_could_not_be_read_stays_a_dead_letter_when_it_is_tried_again(learner: Learner) -> None:
    dead = read(envelope({"accountId": str(learner.uuid)}))
    pipeline.handle([dead], now=NOON)
    inbox.requeue(InboxMessage.objects.all(), now=NOON)
    assert work().dead == 1
    assert "data.stickerId" in reasons()[0]


def test_a_message_that_can_be_read_now_is_handled_when_it_is_tried_again(learner: Learner) -> None:
    pipeline.handle([read(envelope({"accountId": str(learner.uuid)}))], now=NOON)
    InboxMessage.objects.update(payload=json.dumps(envelope(claim_of(learner))))  # as after an upgrade
    inbox.requeue(InboxMessage.objects.all(), now=NOON)
    work()
    assert claimed_count(learner) == 1


REGISTERED = "users.userRegistered.v1"


@pytest.fixture
def tried_again(settings: Any) -> str:
    """Return the account id of a registration that could not be read, is tried again, and waits for its account."""
    settings.LMS_BADGES_CONFIG = {"flows": {"welcome_badge": "welcome", "account_issuer": "id.example.org"}}
    make_template(slug="welcome")
    text = json.dumps(envelope({"accountId": "groom-1938"}, type=REGISTERED))
    pipeline.handle([Unreadable("kafka:x", "not JSON", "kafka:x", REGISTERED, text)], now=NOON)
    inbox.requeue(InboxMessage.objects.all(), now=NOON)
    return "groom-1938"


def test_what_is_tried_again_and_waits_is_found_when_its_person_is_retired(tried_again: str, learner: Learner) -> None:
    work()
    assert states() == ["pending"]
    api.link_identity(learner, ExternalIdentity("id.example.org", tried_again))
    api.retire(learner)
    row = InboxMessage.objects.get()
    assert (row.state, row.payload, row.name_digest) == ("dead", None, None)


def test_what_is_tried_again_and_was_not_read_yet_goes_at_every_retirement(tried_again: str, learner: Learner) -> None:
    api.retire(learner)
    row = InboxMessage.objects.get()
    assert (row.state, row.payload) == ("dead", None)
    assert "was retired while this waited" in row.reason


def test_their_topics_are_json_without_being_named_in_the_settings(settings: Any) -> None:
    settings.EVENT_BUS_KAFKA_BOOTSTRAP_SERVERS = "localhost:1"
    settings.EVENT_BUS_KAFKA_SCHEMA_REGISTRY_URL = None
    KafkaBus(list(flow_events.TYPES), "flows")


def test_a_file_of_events_is_taken_and_a_bad_line_is_reported(learner: Learner, tmp_path: Path) -> None:
    path = tmp_path / "claims.jsonl"
    lines = [envelope(claim_of(learner)), envelope({"accountId": "x"}, id="claim-2")]
    path.write_text("\n".join(map(json.dumps, lines)))
    with pytest.raises(CommandError, match="1 of 2 lines"):
        call_command("consume_badge_events", "--bus", "file", "--input", str(path))
    assert pipeline.process_pending().seen == 1
    assert claimed_count(learner) == 1
    assert sorted(states()) == ["dead", "processed"]


def test_the_rest_api_takes_them_and_says_what_became_of_each(learner: Learner) -> None:
    client = signed_in(somebody("send_eventtype", username="zeppelin"))
    sent = [
        {"id": "c-1", "type": CLAIMED, "data": claim_of(learner)},
        {"id": "c-1", "type": CLAIMED, "data": claim_of(learner)},
        {"id": "c-2", "type": CLAIMED, "data": {"accountId": str(learner.uuid)}},
    ]
    response = client.post(URL, json.dumps(sent), content_type="application/json")
    assert response.status_code == 202
    answered = assert_as_promised(response, URL, "post")["events"]
    assert [event["status"] for event in answered] == ["accepted", "duplicate", "refused"]
    assert answered[2]["errors"][0]["field"] == "data.stickerId"
    pipeline.process_pending()
    assert claimed_count(learner) == 1
    assert InboxMessage.objects.get().source == "rest/zeppelin"
    again = client.post(URL, json.dumps(sent[0]), content_type="application/json")
    assert again.json()["duplicate"] == 1


def test_who_may_not_send_events_claims_nothing(learner: Learner) -> None:
    client = signed_in(somebody(username="spip"))
    body = {"id": "c-1", "type": CLAIMED, "data": claim_of(learner)}
    assert client.post(URL, json.dumps(body), content_type="application/json").status_code == 403
