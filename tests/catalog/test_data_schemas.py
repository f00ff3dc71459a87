"""JSON Schemas of event types: what an author may write, what rules see of it, and what events are refused for."""

from __future__ import annotations

import contextlib
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.catalog.data_schemas import DataSchema, read_schema
from badges.rules import Kind, ShapeError


def schema_of(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"user_id": {"type": "integer"}, **properties}, **more}


def read(properties: dict[str, Any], **more: Any) -> DataSchema:
    found, problems = read_schema(schema_of(properties, **more), "schema")
    assert found is not None, problems
    return found


def problems_of(properties: dict[str, Any], **more: Any) -> dict[str, str]:
    found, problems = read_schema(schema_of(properties, **more), "schema")
    assert found is None
    return {problem.path: problem.message for problem in problems}


def paths(schema: DataSchema) -> dict[str, Kind]:
    return {path: kind for path, kind in schema.visible.key_paths() if path != "user_id"}


@pytest.mark.parametrize(
    ("declared", "kind", "nullable"),
    [
        ({"type": "string"}, Kind.TEXT, True),
        ({"type": ["string", "null"]}, Kind.TEXT, True),
        ({"type": "string", "format": "date-time"}, Kind.TIME, True),
        ({"type": "string", "format": "date-time", "pattern": "Z$"}, Kind.TEXT, True),
        ({"type": "boolean"}, Kind.BOOLEAN, True),
        ({"type": ["integer", "number"]}, Kind.NUMBER, True),
        ({"type": "array", "items": {"type": "string"}}, Kind.LIST, True),
        ({"type": "object", "additionalProperties": {"type": "number"}}, Kind.MAP, True),
        ({"enum": ["online", "on site"]}, Kind.TEXT, True),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, Kind.INTEGER, True),
        ({"allOf": [{"type": "integer"}], "description": "minutes"}, Kind.INTEGER, True),
        ({"$ref": "#/$defs/minutes"}, Kind.INTEGER, True),
        ({"type": "string", "not": {"const": "x"}}, Kind.TEXT, True),
        ({}, Kind.ANY, True),
    ],
    ids=json.dumps,
)
def test_each_field_has_the_kind_that_its_schema_says(declared: Any, kind: Kind, nullable: bool) -> None:
    schema = read({"field": declared}, **{"$defs": {"minutes": {"type": "integer", "minimum": 1}}})
    assert paths(schema) == {"field": kind}
    assert schema.visible.fields["field"].nullable is nullable


def test_required_fields_must_be_there_and_nested_objects_have_paths() -> None:
    place = {"type": "object", "properties": {"city": {"type": "string"}, "zip.code": {"type": "string"}}}
    schema = read({"place": {**place, "required": ["city"]}}, required=["place"])
    assert paths(schema) == {"place.city": Kind.TEXT, r"place.zip\.code": Kind.TEXT}
    assert not schema.shape.fields["place"].nullable
    assert not schema.shape.fields["place"].fields["city"].nullable
    with pytest.raises(ShapeError, match=r"^data\.place\.city: is missing$"):
        schema.check({"place": {}}, "data")


def test_all_places_are_named_once_and_at_most_twenty() -> None:
    many = {f"field{number}": {"type": "integer"} for number in range(30)}
    schema = read({"items": {"type": "array", "items": {"type": "integer"}}, **many}, required=["items", "user_id"])
    with pytest.raises(ShapeError) as refused:
        schema.check({"items": ["x"] * 900, "field1": "x"}, "data")
    assert {(each.path, each.expected) for each in (refused.value, *refused.value.further)} == {
        ("data.user_id", "is missing"),
        ("data.items[]", "expected an integer"),
        ("data.field1", "expected an integer"),
    }
    with pytest.raises(ShapeError) as refused:
        schema.check(dict.fromkeys(many, "x"), "data")
    assert len(refused.value.further) == 19


@pytest.mark.parametrize(
    "declared",
    [
        {"oneOf": [{"type": "string"}, {"type": "object"}]},
        {"type": ["string", "object"]},
        {"if": {"type": "string"}, "then": {"minLength": 2}},
    ],
)
def test_a_field_of_no_certain_type_is_kept_and_has_no_key_path(declared: Any) -> None:
    schema = read({"field": declared})
    assert paths(schema) == {}
    assert schema.shape.canonical({"field": {"any": ["thing"]}})["field"] == {"any": ["thing"]}


def test_a_field_that_only_an_alternative_declares_is_kept() -> None:
    schema = read(
        {"mode": {"type": "string"}}, anyOf=[{"required": ["link"]}, {"properties": {"room": {"type": "string"}}}]
    )
    assert paths(schema) == {"mode": Kind.TEXT}
    kept = schema.shape.canonical({"user_id": 3, "link": "https://x", "room": "B12", "other": 1})
    assert kept == {"user_id": 3, "mode": None, "link": "https://x", "room": "B12"}


def test_personal_fields_are_marked_and_hidden_from_rules() -> None:
    schema = read(
        {
            "email": {"type": "string", "x-personal": True},
            "person": {"type": "object", "properties": {"name": {"type": "string", "x-personal": True}}},
            "names": {"type": "array", "items": {"type": "string", "x-personal": True}},
            "score": {"$ref": "#/$defs/score"},
        },
        **{"$defs": {"score": {"type": "number"}}},
    )
    assert paths(schema) == {"score": Kind.NUMBER}
    data = {"user_id": 3, "email": "a@b", "person": {"name": "Ada"}, "names": ["Ada"], "score": 0.5}
    assert schema.shape.without_personal(data) == {"user_id": 3, "person": {}, "names": [], "score": 0.5}


@pytest.mark.parametrize(
    ("declared", "path"),
    [
        ({"oneOf": [{"type": "string", "x-personal": True}, {"type": "object"}]}, ".oneOf"),
        ({"type": "array", "prefixItems": [{"x-personal": True}]}, ".prefixItems"),
        ({"type": ["object", "string"], "properties": {"a": {"x-personal": True}}}, ""),
        ({"type": "object", "patternProperties": {"^a": {"x-personal": True}}}, ".patternProperties"),
        ({"type": "object", "patternProperties": {"^a": {}}, "additionalProperties": {"x-personal": True}}, ""),
    ],
)
def test_a_mark_without_effect_is_refused(declared: Any, path: str) -> None:
    assert "x-personal has no effect" in problems_of({"field": declared})[f"schema.properties.field{path}"]


@pytest.mark.parametrize(
    ("declared", "path", "message"),
    [
        ({"type": "strin"}, "type", "write one of string, integer"),
        ({"type": []}, "type", "write one of string, integer"),
        ({"minimun": 3}, "minimun", "write minimum"),
        ({"minimum": "3"}, "minimum", "is not of type 'number'"),
        ({"$ref": "https://example.org/schema"}, "$ref", "nothing else is read"),
        ({"$ref": "#/$defs/nothing"}, "$ref", "$defs has no nothing"),
        ({"$ref": "#/$defs/self"}, "$ref.items.$ref", "self refers to itself"),
        ({"$id": "x"}, "$id", "remove it"),
        ({"definitions": {}}, "definitions", "write $defs"),
        ({"pattern": "(?=x)"}, "pattern", "not one of RE2"),
        ({"patternProperties": {"(": {}}}, "patternProperties.(", "not one of RE2"),
        ({"unevaluatedProperties": False}, "unevaluatedProperties", "write additionalProperties"),
        ({"x-personal": "yes"}, "x-personal", "write true or false"),
        ({"enum": 5}, "enum", "is not of type 'array'"),
        ({"properties": {"a": 5}}, "properties.a", "expected a schema"),
        ({"properties": []}, "properties", "is not of type 'object'"),
        ({"required": ["b"], "properties": {"a": {}}}, "required", "properties does not declare b"),
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "$schema", "2020-12"),
    ],
    ids=json.dumps,
)
def test_what_is_wrong_with_a_schema_is_said_at_its_path(declared: Any, path: str, message: str) -> None:
    found = problems_of(
        {"field": declared}, **{"$defs": {"self": {"type": "array", "items": {"$ref": "#/$defs/self"}}}}
    )
    assert message in found[f"schema.properties.field.{path}"]


@pytest.mark.parametrize(
    "schema", [None, [], "x", {}, {"type": "object"}, {"type": "array"}, {"properties": {"a": {}}}]
)
def test_the_data_is_an_object_with_fields(schema: Any) -> None:
    found, problems = read_schema(schema, "schema")
    assert found is None
    assert [problem.path for problem in problems] == ["schema"]


def test_a_schema_that_would_take_too_long_is_refused() -> None:
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(20):
        deep = {"type": "object", "properties": {"a": deep}}
    assert "levels" in problems_of({"deep": deep})["schema"]
    laughs = {f"l{n}": {"allOf": [{"$ref": f"#/$defs/l{n - 1}"}] * 10} for n in range(1, 9)}
    began = time.process_time()
    found = problems_of({"field": {"$ref": "#/$defs/l8"}}, **{"$defs": {"l0": {"type": "string"}, **laughs}})
    assert any("at most 2000 parts" in message for message in found.values())
    assert time.process_time() - began < 5
    assert "64 KiB" in problems_of({"field": {"description": "x" * 70_000}})["schema"]


@pytest.mark.parametrize(
    ("declared", "value", "reason"),
    [
        ({"type": "integer"}, "12", "data.field: expected an integer"),
        ({"type": "integer", "maximum": 100}, 101, "data.field: expected at most 100"),
        ({"enum": ["online"]}, "secret", 'data.field: expected one of "online"'),
        ({"type": "string", "pattern": "^[a-z]+$"}, "SECRET", "data.field: expected text that matches ^[a-z]+$"),
        ({"type": "array", "uniqueItems": True}, [{"a": 1}, {"a": 1}], "data.field: expected no item twice"),
        ({"type": "array", "items": {"type": "integer"}}, [1, "secret"], "data.field[]: expected an integer"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"secret": "x"}, "data.field.*: expected an"),
        (
            {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
            {"secret": 1},
            "data.field: expected no fields besides",
        ),
        ({"oneOf": [{"type": "string"}, {"type": "object"}]}, 5, "data.field: expected a value that fits exactly one"),
        ({"type": "string"}, None, "data.field: expected text"),
        ({"type": "number", "multipleOf": 0.1}, 10**308, "data"),
    ],
    ids=repr,
)
def test_what_is_wrong_with_data_is_said_at_its_path_and_quotes_no_data(declared: Any, value: Any, reason: str) -> None:
    with pytest.raises(ShapeError) as caught:
        read({"field": declared}).check({"field": value}, "data")
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value).lower()


def test_a_regular_expression_and_a_search_for_equal_items_take_no_unlimited_time() -> None:
    schema = read({"text": {"type": "string", "pattern": "^(a+)+$"}, "items": {"type": "array", "uniqueItems": True}})
    began = time.process_time()
    with pytest.raises(ShapeError):
        schema.check({"text": "a" * 5_000 + "b"}, "data")
    schema.check({"items": [{"a": number} for number in range(20_000)]}, "data")
    assert time.process_time() - began < 10


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)


@given(JSON, JSON)
def test_no_schema_and_no_data_raise_anything_else(schema: Any, data: Any) -> None:
    found, problems = read_schema(schema, "schema")
    assert (found is None) == bool(problems)
    with contextlib.suppress(ShapeError):
        read({"field": {"enum": [1]}}).check(data, "data")


@given(st.dictionaries(st.sampled_from(["user_id", "a", "b", "c"]), JSON, max_size=4))
def test_what_the_schema_accepts_has_a_canonical_form_that_stays_the_same(data: Any) -> None:
    schema = read({"a": {"type": "integer"}, "b": {"oneOf": [{"type": "string"}, {"type": "array"}]}, "c": {}})
    try:
        schema.check(data, "data")
        once = schema.shape.canonical(data, "data")
    except ShapeError:
        return
    assert schema.shape.canonical(once, "data") == once
