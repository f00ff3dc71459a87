"""Shapes of attrs classes: they agree with what openedx-events writes to the bus."""

import importlib

import attrs
import pytest
from openedx_events.event_bus.avro.schema import schema_from_signal
from openedx_events.tooling import KNOWN_UNSERIALIZABLE_SIGNALS, OpenEdxPublicSignal, load_all_signals

from badges.catalog import event_types
from badges.catalog.signal_shapes import shape_of
from badges.intake.events import event_from_signal
from badges.rules import Kind, Shape, ShapeError
from badges.testing.events import passing_status
from tests.support import signal_samples as samples

load_all_signals()
SIGNALS = sorted(
    (s for s in OpenEdxPublicSignal.all_events() if s.event_type.startswith("org.openedx.")),
    key=lambda signal: signal.event_type,
)
SERIALIZABLE = [s for s in SIGNALS if s.event_type not in KNOWN_UNSERIALIZABLE_SIGNALS]

AVRO_KINDS = {
    "boolean": {Kind.BOOLEAN},
    "long": {Kind.INTEGER},
    "double": {Kind.NUMBER},
    "string": {Kind.TEXT, Kind.TIME},
    "map": {Kind.MAP},
    "array": {Kind.LIST},
    "record": {Kind.OBJECT},
}
# Newer releases of openedx-events can carry these, as text; other sources still have the forum's numbers.
LENIENT = {("DiscussionThreadData", name) for name in ("id", "category_id", "team_id")}


def assert_agrees(shape: Shape, avro, records: dict) -> None:
    if isinstance(avro, list):
        assert shape.nullable
        avro = avro[1]
    avro = records.get(avro, avro) if isinstance(avro, str) else avro
    name = avro["type"] if isinstance(avro, dict) else avro
    assert shape.kind in AVRO_KINDS[name]
    if name == "record":
        records[avro["name"]] = avro
        assert list(shape.fields) == [field["name"] for field in avro["fields"]]
        for field in avro["fields"]:
            if (avro["name"], field["name"]) in LENIENT:
                assert shape.fields[field["name"]].kind is Kind.ANY
                continue
            assert_agrees(shape.fields[field["name"]], field["type"], records)
    elif isinstance(avro, dict):
        assert_agrees(shape.item, avro.get("items") or avro["values"], records)


@pytest.mark.parametrize("signal", SERIALIZABLE, ids=lambda signal: signal.event_type)
def test_shapes_agree_with_the_avro_schema_of_the_bus(signal):
    schema = schema_from_signal(signal)
    records: dict = {}
    shape = shape_of(signal)
    assert list(shape.fields) == [field["name"] for field in schema["fields"]]
    for field in schema["fields"]:
        assert_agrees(shape.fields[field["name"]], field["type"], records)


@pytest.mark.parametrize("event_type", KNOWN_UNSERIALIZABLE_SIGNALS)
def test_what_no_bus_could_carry_has_a_lenient_shape(event_type):
    shape = shape_of(OpenEdxPublicSignal.get_signal_by_type(event_type))
    data = shape.fields[next(iter(shape.fields))]
    assert all(field.nullable for name, field in data.fields.items() if name != "user")


@pytest.fixture
def duel(acme) -> Shape:
    importlib.import_module(acme)
    return shape_of(OpenEdxPublicSignal.get_signal_by_type("com.acme.duel.fought.v1")).fields["duel"]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("points", Shape(Kind.INTEGER)),
        ("ratio", Shape(Kind.NUMBER)),
        ("fought_at", Shape(Kind.TIME)),
        ("place", Shape(Kind.TEXT, nullable=True)),
        ("referee", Shape(Kind.TEXT, nullable=True)),
        ("tags", Shape(Kind.LIST, item=Shape(Kind.TEXT))),
        ("scores", Shape(Kind.MAP, item=Shape(Kind.INTEGER))),
        ("notes", Shape(Kind.ANY, nullable=True)),
    ],
)
def test_annotations_are_read_as_written_today(duel, field, expected):
    assert duel.fields[field] == expected


def test_a_class_that_holds_itself_ends_somewhere(acme):
    importlib.import_module(acme)
    lesson = shape_of(OpenEdxPublicSignal.get_signal_by_type("com.acme.lesson.finished.v1")).fields["lesson"]
    assert lesson.fields["part_of"] == Shape(Kind.MAP, nullable=True)


def test_personal_data_may_be_left_out_and_the_id_may_not(duel):
    shape = duel.fields["winner"]
    assert shape.canonical({"id": 5, "is_active": True}) == {"id": 5, "is_active": True, "pii": None}
    named = shape.canonical({"id": 5, "is_active": True, "pii": {"username": "ada"}})
    assert named["pii"] == {"username": "ada", "email": None, "name": None}
    with pytest.raises(ShapeError, match="id"):
        shape.canonical({"is_active": True})


def _text_under(data, path=()):
    """Yield each text of an event's data with its path."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _text_under(value, (*path, key))
    elif isinstance(data, list):
        for value in data:
            yield from _text_under(value, path)
    elif isinstance(data, str):
        yield path, data


@pytest.mark.parametrize("signal", samples.signals_about_learners(), ids=lambda signal: signal.event_type)
def test_nothing_personal_is_left_of_any_event_about_a_learner(signal, settings):
    settings.LMS_BADGES_CONFIG = {"events": [signal.event_type]}
    data = event_from_signal(signal, passing_status().metadata, samples.data_of(signal)).data
    left = event_types.get(signal.event_type).without_personal(data)

    personal = {"username", "email", "coach_email", "pii", "body", "extra_params"}
    assert any("pii" in path for path, _text in _text_under(data))
    assert [path for path, _text in _text_under(left) if personal.intersection(path)] == []


def test_the_name_on_a_certificate_and_on_an_identity_document_are_personal():
    by_type = {signal.event_type: shape_of(signal) for signal in SIGNALS}
    certificate = by_type["org.openedx.learning.certificate.created.v1"].fields["certificate"]
    attempt = by_type["org.openedx.learning.idv_attempt.created.v1"].fields["idv_attempt"]
    cohort = by_type["org.openedx.learning.cohort_membership.changed.v1"].fields["cohort"]
    assert certificate.fields["name"].personal
    assert attempt.fields["name"].personal
    assert not cohort.fields["name"].personal


def test_a_class_of_another_package_declares_its_personal_fields():
    @attrs.frozen
    class Postcard:
        street: str = attrs.field(metadata={"personal": True})
        country: str = attrs.field()

    signal = OpenEdxPublicSignal("org.example.postcard.sent.v1", {"postcard": Postcard})
    shape = shape_of(signal)
    OpenEdxPublicSignal._mapping.pop(signal.event_type)

    left = shape.without_personal({"postcard": {"street": "Rue du Labrador 26", "country": "BE"}})

    assert left == {"postcard": {"country": "BE"}}
