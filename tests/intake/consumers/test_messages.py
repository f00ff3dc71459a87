"""From a Kafka message to an event, or to a dead letter with its reason."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from badges.conf import PASSING_STATUS
from badges.intake.consumers import messages
from badges.intake.consumers.loop import Skipped
from badges.intake.consumers.schemas import RegistryUnavailableError
from badges.intake.events import Event, Unreadable
from badges.testing.events import enrollment, passing_status
from tests.support.kafka_doubles import FakeRegistry, headers_of, received
from tests.support.signal_samples import on_the_wire

PASSED = passing_status(username="marsupilami", event_id="6f9619ff-8b86-11d0-b42d-00c04fc964ff")
WIRE = on_the_wire(PASSED.signal, PASSED.data)
REGISTRY = FakeRegistry({1: PASSED.signal, 2: enrollment().signal})
SOURCE = "kafka:learning/3@1207"


def _read(body: bytes | None = WIRE, headers: Any = None, *, event_bytes: int = 1024 * 1024, **message: Any) -> Any:
    found = received(body, headers_of(PASSED) if headers is None else headers, **message)
    return messages.read(found, REGISTRY.decode, event_bytes=event_bytes)


def test_a_message_is_an_event_with_its_source() -> None:
    event = _read()
    assert isinstance(event, Event)
    assert (event.id, event.type, event.time) == (str(PASSED.metadata.id), PASSING_STATUS, PASSED.metadata.time)
    assert event.received_from == SOURCE
    assert event.data["course_passing_status"]["user"]["pii"]["username"] == "marsupilami"


def test_a_type_that_is_not_configured_is_not_even_decoded() -> None:
    assert _read(b"no Avro at all", headers_of(enrollment())) == Skipped(enrollment().signal.event_type)


@pytest.mark.parametrize(
    ("body", "changed", "reason"),
    [
        (WIRE, {"ce_type": None}, "the message has no ce_type header"),
        (WIRE, {"ce_type": b"\xff"}, "the ce_type header is not UTF-8"),
        (WIRE, {"ce_type": b"two\nlines"}, "type: expected text"),
        (WIRE, {"ce_type": b"org.example.unheard.of.v1"}, "no installed package defines it"),
        (WIRE, {"ce_id": None}, "the message has no ce_id header"),
        (WIRE, {"ce_id": b" "}, "id: expected text"),
        (WIRE, {"ce_time": b"yesterday"}, "the ce_time header: expected a time with its offset"),
        (None, {}, "the message is empty"),
        (b"", {}, "does not begin with a zero byte and a schema id"),
        (b"\0\0\0", {}, "does not begin with a zero byte and a schema id"),
        (b'{"is_passing": true}', {}, "does not begin with a zero byte and a schema id"),
        (b"\0" + (9).to_bytes(4, "big") + WIRE[5:], {}, "knows no schema with id 9"),
        (WIRE[:-3], {}, "not Avro of schema 1"),
        (WIRE + b"houba", {}, "not Avro of schema 1: bytes are left over"),
        (WIRE[:5] + b"\xff" * 40, {}, "not Avro of schema 1"),
        (WIRE[:5], {}, "not Avro of schema 1"),
        # Well-formed Avro of another type: what it misses is named.
        (on_the_wire(enrollment().signal, enrollment().data, schema_id=2), {}, "data.course_passing_status: expected"),
    ],
)
@pytest.mark.django_db
def test_an_unreadable_message_is_a_dead_letter_with_its_source_and_reason(
    body: bytes | None, changed: dict, reason: str
) -> None:
    dead = _read(body, headers_of(PASSED, **changed))
    assert isinstance(dead, Unreadable)
    assert reason in dead.reason
    assert "marsupilami" not in dead.reason
    assert dead.received_from == SOURCE
    assert dead.id.startswith(SOURCE)


@pytest.mark.parametrize("headers", [[], None])
def test_a_message_without_headers_is_a_dead_letter(headers: Any) -> None:
    dead = messages.read(received(WIRE, headers), REGISTRY.decode, event_bytes=1024)
    assert (dead.type, dead.reason) == ("", "the message has no ce_type header")


def test_headers_that_repeat_are_a_dead_letter() -> None:
    dead = _read(WIRE, [*headers_of(PASSED), ("ce_id", b"another")])
    assert dead.reason == "the message has several ce_id headers"


def test_the_id_of_a_dead_letter_holds_its_source_and_its_header_id() -> None:
    # Not as its whole id: the same event, sent again and corrected, has to be new.
    dead = _read(WIRE[:-3])
    assert dead.id.startswith(f"{SOURCE} 6f9619ff-8b86-11d0-b42d-00c04fc964ff")
    assert "6f9619ff-8b86-11d0-b42d-00c04fc964ff" in dead.reason
    assert dead.type == PASSING_STATUS
    assert base64.b64decode(dead.body) == WIRE[:-3]


def test_another_message_at_the_same_offset_of_a_new_topic_is_another_dead_letter() -> None:
    first, again, other = (
        messages.read(received(value, []), REGISTRY.decode, event_bytes=9) for value in (WIRE, WIRE, b"")
    )
    assert first.id == again.id != other.id


def test_ids_of_dead_letters_fit_their_column() -> None:
    dead = [_read(WIRE[:-3], headers_of(PASSED, ce_id=(letter * 250).encode())) for letter in "ab"]
    assert all(len(item.id) <= 255 for item in dead)
    assert dead[0].id != dead[1].id


def test_what_could_be_decoded_is_kept_readable() -> None:
    odd = passing_status(username="nul\0nul", email="nul@example.com")
    dead = _read(on_the_wire(odd.signal, odd.data), headers_of(odd))
    assert "data.course_passing_status.user.pii.username: expected text without NUL" in dead.reason
    body = json.loads(dead.body)
    assert body["data"]["course_passing_status"]["user"]["pii"]["username"] == "nul\0nul"
    assert "\0" not in dead.body


def test_a_message_that_is_too_big_is_kept_without_its_body() -> None:
    dead = _read(event_bytes=100)
    assert dead.body is None
    assert "event_bytes" in dead.reason


def test_an_event_whose_text_is_too_big_is_kept_without_its_body() -> None:
    # Each control character is one byte in Avro and six in the text.
    odd = passing_status(name="\x01" * 20_000)
    body = on_the_wire(odd.signal, odd.data)
    dead = _read(body, headers_of(odd), event_bytes=50_000)
    assert len(body) < 50_000
    assert dead.body is None


def test_without_a_time_the_brokers_timestamp_counts() -> None:
    event = _read(WIRE, headers_of(PASSED, ce_time=None))
    assert event.time == datetime.fromtimestamp(1_772_357_400.123, UTC)
    dead = _read(WIRE, headers_of(PASSED, ce_time=None), created=(0, -1))
    assert "neither a ce_time header nor a timestamp" in dead.reason


def test_while_the_registry_does_not_answer_nothing_is_decided() -> None:
    with pytest.raises(RegistryUnavailableError):
        messages.read(received(WIRE, headers_of(PASSED)), FakeRegistry(is_away=True).decode, event_bytes=1024)
