"""The same event has the same stored text, whether it came from Kafka, a file or a signal."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest
from django.test import override_settings
from openedx_events.tooling import OpenEdxPublicSignal

from badges.catalog import event_types
from badges.exceptions import EventError, UnknownEventType
from badges.intake.consumers import messages
from badges.intake.consumers.file import Line, read_line
from badges.intake.events import (
    Event,
    TooBigError,
    canonical_id,
    event_from_signal,
    parse_event,
    stored_size,
    stored_text,
)
from badges.testing.events import LearningEvent, line_of, passing_status
from tests.support import signal_samples as samples
from tests.support.kafka_doubles import FakeRegistry, headers_of, received

LEARNER_SIGNALS = samples.signals_about_learners()
ON_THE_BUS = [signal for signal in LEARNER_SIGNALS if samples.is_serialisable(signal)]
LIMIT = 1024 * 1024


@pytest.fixture(autouse=True)
def _all_configured():
    with override_settings(LMS_BADGES_CONFIG={"events": [signal.event_type for signal in LEARNER_SIGNALS]}):
        yield


def _by_type(signals):
    return pytest.mark.parametrize(
        "signal", signals, ids=lambda signal: signal.event_type.removeprefix("org.openedx.learning.")
    )


def _from_kafka(event: LearningEvent) -> Event:
    body = samples.on_the_wire(event.signal, event.data)
    read = messages.read(received(body, headers_of(event)), FakeRegistry({1: event.signal}).decode, event_bytes=LIMIT)
    assert isinstance(read, Event), read
    return read


def _from_file(event: LearningEvent) -> Event:
    line = event.line.encode()
    read, _ = read_line(Line(17, line, len(line)), name="events.jsonl", event_bytes=LIMIT)
    assert isinstance(read, Event), read
    return read


def _from_signal(event: LearningEvent) -> Event:
    return event_from_signal(event.signal, event.metadata, event.data)


def _event(signal: OpenEdxPublicSignal, data) -> LearningEvent:
    metadata = passing_status(time=datetime(2026, 3, 1, 9, 30, 0, 5, tzinfo=UTC)).metadata
    return LearningEvent(signal, metadata, data)


def test_the_signals_under_test_are_those_about_learners() -> None:
    assert len(LEARNER_SIGNALS) >= 30
    assert len(ON_THE_BUS) >= 27


@_by_type(ON_THE_BUS)
@pytest.mark.parametrize("bare", [False, True], ids=["full", "bare"])
def test_an_event_is_the_same_text_from_kafka_file_and_signal(signal: OpenEdxPublicSignal, bare: bool) -> None:
    event = _event(signal, samples.data_of(signal, bare=bare))
    texts = {stored_text(read(event)) for read in (_from_kafka, _from_file, _from_signal)}
    assert len(texts) == 1


@_by_type(ON_THE_BUS)
def test_a_learner_without_personal_data_is_the_same_text_from_file_and_signal(signal: OpenEdxPublicSignal) -> None:
    event = _event(signal, samples.without_pii(samples.data_of(signal)))
    assert stored_text(_from_file(event)) == stored_text(_from_signal(event))
    person = event_types.get(signal.event_type).learner(_from_signal(event).data)
    assert person is None or person.username is None


@_by_type(LEARNER_SIGNALS)
def test_the_stored_text_reads_back_as_the_same_event(signal: OpenEdxPublicSignal) -> None:
    event = _from_signal(_event(signal, samples.data_of(signal)))
    text = stored_text(event)
    again = parse_event(text, received_from=event.received_from)
    assert again == event
    assert stored_text(again) == text


def test_names_in_any_script_are_stored_as_they_are_written() -> None:
    event = passing_status(name="فاطمة الفهري 祖冲之 🎓")
    texts = {stored_text(read(event)) for read in (_from_kafka, _from_file, _from_signal)}
    assert len(texts) == 1
    assert "فاطمة الفهري 祖冲之 🎓" in texts.pop()


def test_times_of_any_offset_are_stored_in_utc() -> None:
    local = datetime(2026, 3, 1, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    envelope = {**json.loads(passing_status().line), "time": local.isoformat()}
    event = parse_event(json.dumps(envelope), received_from="")
    assert event.time == local
    assert event.time.utcoffset() == timedelta(0)
    assert '"time":"2026-03-01T03:45:00.000000Z"' in stored_text(event)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
            "6f9619ff-8b86-d011-b42d-00c04fc964ff",
        ),  # the case of a UUID says nothing
        ("Abc-1", "Abc-1"),  # the case of anything else does
        ("abc-1", "abc-1"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_ids_are_kept_as_they_are_compared(given, kept: str) -> None:
    assert canonical_id(given) == kept


@pytest.mark.parametrize("wrong", [None, "", "  ", 17, ["a"], "x" * 256, "line\nbreak", "nul\0", "\ud800"])
def test_an_id_that_could_not_be_stored_is_refused(wrong) -> None:
    with pytest.raises(EventError, match=r"^id: "):
        canonical_id(wrong)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("nonsense", "not JSON: Expecting value at character 1"),
        ("[1, 2]", "not an event: expected an object"),
        ('{"id": "a"}', "not an event: type, time, data missing"),
        ('{"id": "a", "type": "t", "time": null, "data": {}}', "not an event: time missing"),
        ('{"id": NaN}', "a number that JSON does not have"),
        (f'{{"id": {"9" * 5000}}}', "far too many digits"),
        ("[" * 100_000, "too many levels"),
        ('{"id": "a", "type": 5, "time": "t", "data": {}}', "type: expected text"),
        ('{"id": "a", "type": "line\\nbreak", "time": "t", "data": {}}', "type: expected text"),
    ],
)
def test_text_that_is_no_event_is_refused_with_what_is_wrong(text: str, reason: str) -> None:
    with pytest.raises(EventError) as refused:
        parse_event(text, received_from="")
    assert reason in str(refused.value)


@pytest.mark.django_db
def test_a_type_that_is_not_configured_is_refused_with_the_remedy() -> None:
    envelope = {**json.loads(passing_status().line), "type": "org.example.unheard.of.v1"}
    with pytest.raises(UnknownEventType, match=r"org\.example\.unheard\.of\.v1"):
        parse_event(json.dumps(envelope), received_from="")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"is_passing": "perhaps"}, "data.course_passing_status.is_passing: expected a boolean, got text"),
        ({"user": {"is_active": True}}, "data.course_passing_status.user.id: expected an integer, got nothing"),
        ({"course": None}, "data.course_passing_status.course: expected an object, got nothing"),
    ],
)
def test_data_of_the_wrong_shape_is_refused_by_its_path_and_without_its_value(change, reason: str) -> None:
    envelope = json.loads(passing_status(username="marsupilami").line)
    envelope["data"]["course_passing_status"].update(change)
    with pytest.raises(EventError) as refused:
        parse_event(json.dumps(envelope), received_from="")
    assert str(refused.value) == reason


@pytest.mark.parametrize("wrong", ["yesterday", "2026-03-01T09:30:00", 1772357400, "2026-02-31T00:00:00Z"])
def test_a_time_without_offset_or_of_another_type_is_refused(wrong) -> None:
    envelope = {**json.loads(passing_status().line), "time": wrong}
    with pytest.raises(EventError, match=r"^time: expected a time with its offset"):
        parse_event(json.dumps(envelope), received_from="")


def test_a_python_object_that_no_bus_could_send_is_refused_by_its_path() -> None:
    event = passing_status()
    odd = {"course_passing_status": object()}
    with pytest.raises(EventError, match=r"^data\.course_passing_status: an object of Python type object"):
        event_from_signal(event.signal, event.metadata, odd)


def test_the_size_of_an_event_is_that_of_its_stored_text() -> None:
    event = parse_event(passing_status(name="é" * 600_000).line, received_from="")  # two bytes each
    with pytest.raises(TooBigError, match="the event takes 120"):
        stored_size(event, 700_000, LIMIT)


def test_a_small_event_is_never_too_big() -> None:
    line = passing_status().line
    assert stored_size(parse_event(line, received_from=""), len(line), LIMIT) < 4096


def test_line_of_and_the_bus_agree_about_the_id_and_time() -> None:
    event = passing_status()
    envelope = json.loads(line_of(*event))
    read = _from_kafka(event)
    assert (read.id, read.time) == (envelope["id"], datetime.fromisoformat(envelope["time"]))


# --- the source and the id -------------------------------------------------------------------------------------------


def test_the_source_of_an_event_is_the_one_that_its_sender_gave_on_every_way() -> None:
    event = passing_status()
    metadata = attrs.evolve(event.metadata, source="openedx/school/web")
    event = event._replace(metadata=metadata)
    assert {read(event).source for read in (_from_kafka, _from_file, _from_signal)} == {"openedx/school/web"}


@override_settings(LMS_BADGES_CONFIG={"default_source": "openedx/marsupilami/web"})
def test_an_event_without_a_source_has_the_default_one() -> None:
    envelope = {key: value for key, value in json.loads(passing_status().line).items() if key != "source"}
    event = parse_event(json.dumps(envelope), received_from="file:events.jsonl:17")
    assert event.source == "openedx/marsupilami/web"
    assert '"source":"openedx/marsupilami/web"' in stored_text(event)


def test_the_receiver_of_an_event_may_set_its_source() -> None:
    event = parse_event(passing_status().line, received_from="rest", source="rest:houba")
    assert event.source == "rest:houba"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x" * 256, "source: expected at most 255 characters"),
        (" ", "source: expected text, such as openedx/lms/web"),
        (7, "source: expected text, such as openedx/lms/web"),
        ("two\nlines", "source: expected printable characters only"),
    ],
)
def test_a_source_that_cannot_be_stored_is_refused_with_its_name(source: object, message: str) -> None:
    envelope = {**json.loads(passing_status().line), "source": source}
    with pytest.raises(EventError) as refused:
        parse_event(json.dumps(envelope), received_from="")
    assert str(refused.value) == message


@pytest.mark.parametrize("field", ["id", "source"])
def test_an_event_made_by_another_package_is_refused_too_when_its_id_or_source_is_too_long(field: str) -> None:
    event = parse_event(passing_status().line, received_from="")
    with pytest.raises(EventError, match=f"{field}: expected at most 255 characters"):
        replace(event, **{field: "x" * 256})
