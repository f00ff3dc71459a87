"""
From a schema to shapes: the kinds of values, nested objects, what may be absent, what is personal.

What a shape cannot say, such as ``oneOf`` of an object and a list, is any JSON in it. Data is still checked against the
schema. Rules have no key paths to such values, because their type is not certain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from badges.catalog.data_schemas.keywords import LISTED, NOTES, ONE, PERSONAL, UNIT, is_note_only
from badges.catalog.documents import Problem
from badges.catalog.structure import child_path
from badges.rules import Kind, Shape, join_path

_SCALARS = {"integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
# What else a schema says about the text of a time. Such text stays as it was sent, and is text to rules.
_ABOUT_TEXT = ("pattern", "enum", "const", "minLength", "maxLength")
# Keywords whose schemas are about the same value, and those whose schemas no shape can show.
_SAME_VALUE = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas")
_NOT_SHOWN = (*_SAME_VALUE, "patternProperties", "propertyNames", "prefixItems", "contains")
_UNCERTAIN = ("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "patternProperties")
_NULL = {"type": "null"}
_PYTHON_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (dict, "object"))
NOTE_LENGTH = 120


class Shapes(NamedTuple):
    """The shape of all data, the shape of what rules may use, and notes by key path."""

    shape: Shape
    visible: Shape
    notes: dict[str, str]


class _Part(NamedTuple):
    """The shape of a value, and of what rules may use of it; None if that is nothing."""

    shape: Shape
    visible: Shape | None


def shapes_of(schema: dict[str, Any], path: str) -> tuple[Shapes | None, list[Problem]]:
    """Return the shapes of a schema without references, or None and the problems. Data must be an object."""
    if schema.get("type") != "object" or not schema.get("properties"):
        remedy = 'write {"type": "object", "properties": {…}}, with the fields that events have'
        return None, [Problem(path, f"the data of an event is an object with at least one field; {remedy}")]
    if schema.get(PERSONAL):
        return None, [Problem(child_path(path, PERSONAL), "mark the fields that are personal, not all data")]
    converter = _Converter()
    part = converter.convert(schema, path, (), optional=False)
    visible = part.visible or Shape(Kind.OBJECT)
    return Shapes(part.shape, visible, converter.notes), converter.problems


class _Converter:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: dict[str, str] = {}

    def convert(self, schema: Any, path: str, keys: tuple[str, ...] | None, *, optional: bool) -> _Part:
        """Convert a schema. ``keys`` is its key path, or None inside lists and maps, which have no key paths."""
        if not isinstance(schema, dict):
            return _anything(visible=True)
        schema, allows_null = _simplified(schema)
        self._refuse_hidden_marks(schema, path)
        names, named_null = _type_names(schema)
        shape, visible = self._of_types(names, schema, path, keys)
        nullable = shape.nullable or optional or allows_null or named_null
        personal = schema.get(PERSONAL) is True
        if not personal:
            self._refuse_marks_below(shape, schema, path)
        shape = replace(shape, nullable=nullable, personal=personal)
        if personal or visible is None:
            return _Part(shape, None)
        if keys and visible.kind is not Kind.OBJECT and (note := _note(schema)):
            self.notes[join_path(keys)] = note
        return _Part(shape, replace(visible, nullable=nullable))

    def _of_types(self, names: list[str], schema: Any, path: str, keys: tuple[str, ...] | None) -> _Part:
        if names == ["object"]:
            if schema.get("properties"):
                return self._object(schema, path, keys)
            item = None if "patternProperties" in schema else schema.get("additionalProperties")
            return self._collection(Kind.MAP, item, child_path(path, "additionalProperties"))
        if names == ["array"]:
            item = None if "prefixItems" in schema else schema.get("items")
            return self._collection(Kind.LIST, item, child_path(path, "items"))
        if names == ["string"]:
            is_time = schema.get("format") == "date-time" and not any(key in schema for key in _ABOUT_TEXT)
            return _both(Shape(Kind.TIME if is_time else Kind.TEXT))
        if len(names) == 1 and names[0] in _SCALARS:
            return _both(Shape(_SCALARS[names[0]]))
        # Rules see text and numbers where no type is declared. Anything else has no certain type.
        is_plain = set(names) <= {"string", "integer", "number"}
        return _anything(visible=is_plain and not any(key in schema for key in _UNCERTAIN))

    def _object(self, schema: Any, path: str, keys: tuple[str, ...] | None) -> _Part:
        required = schema.get("required", ())
        properties = schema["properties"]
        fields, visible = {}, {}
        for name, inner in properties.items():
            if inner is False:
                continue
            place = child_path(path, "properties", name)
            part = self.convert(inner, place, None if keys is None else (*keys, name), optional=name not in required)
            fields[name] = part.shape
            if part.visible is not None:
                visible[name] = part.visible
        # Fields that only some alternative declares. They are kept, and rules have no key paths to them.
        others = dict.fromkeys(_names_in_alternatives(schema))
        for name in required:
            if name not in properties and name not in others:
                message = f"properties does not declare {name}; declare it, or remove it here"
                self.problems.append(Problem(child_path(path, "required"), message))
        for name in others:
            fields.setdefault(name, Shape(Kind.ANY, nullable=True))
        return _Part(Shape(Kind.OBJECT, fields), Shape(Kind.OBJECT, visible) if visible else None)

    def _collection(self, kind: Kind, item: Any, path: str) -> _Part:
        """Convert a list or a map; its key path is that of the whole."""
        if not isinstance(item, dict):
            return _both(Shape(kind))
        part = self.convert(item, path, None, optional=False)
        if part.shape.personal:
            return _Part(Shape(kind, item=part.shape), None)
        return _Part(Shape(kind, item=part.shape), Shape(kind, item=part.visible))

    # A mark that would have no effect must not look as if it had one.

    def _refuse_hidden_marks(self, schema: dict[str, Any], path: str) -> None:
        for key in _NOT_SHOWN:
            if key in schema and _is_marked(schema[key]):
                message = f"{PERSONAL} has no effect inside {key}; mark the whole field instead"
                self.problems.append(Problem(child_path(path, key), message))

    def _refuse_marks_below(self, shape: Shape, schema: dict[str, Any], path: str) -> None:
        is_opaque = shape.kind is Kind.ANY or (shape.kind in (Kind.LIST, Kind.MAP) and shape.item is None)
        if is_opaque and any(_is_marked(value) for key, value in schema.items() if key not in _NOT_SHOWN):
            message = f"{PERSONAL} has no effect below a field of no certain type; mark the whole field instead"
            self.problems.append(Problem(path, message))


def _both(shape: Shape) -> _Part:
    return _Part(shape, shape)


def _anything(*, visible: bool) -> _Part:
    shape = Shape(Kind.ANY, nullable=True)
    return _Part(shape, shape if visible else None)


def _simplified(schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """Return a schema without a wrapper that says nothing, and whether the wrapper allows null."""
    allows_null = False
    while True:
        inner = _inner(schema)
        if inner is None:
            return schema, allows_null
        wrapper = {key: value for key, value in schema.items() if key in NOTES or key.startswith("x-")}
        allows_null = allows_null or "allOf" not in schema
        schema = {**inner, **wrapper}


def _inner(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a field in an ``allOf`` of one, or in an ``anyOf`` of one and null."""
    for key in ("allOf", "anyOf", "oneOf"):
        rest = {name: value for name, value in schema.items() if name != key}
        if key not in schema or not is_note_only(rest):
            continue
        choices = [choice for choice in schema[key] if key == "allOf" or choice != _NULL]
        has_null = len(choices) < len(schema[key])
        if len(choices) == 1 and isinstance(choices[0], dict) and (key == "allOf" or has_null):
            return choices[0]
    return None


def _type_names(schema: dict[str, Any]) -> tuple[list[str], bool]:
    """Return the types that values may have, without null, and whether they may be null."""
    given = schema.get("type")
    if given is None:
        given = _types_of_values(schema)
    if given is None:
        given = "object" if "properties" in schema else "array" if "items" in schema else []
    names = list(dict.fromkeys([given] if isinstance(given, str) else given))
    if "number" in names and "integer" in names:
        names.remove("integer")
    return [name for name in names if name != "null"], "null" in names


def _types_of_values(schema: dict[str, Any]) -> list[str] | None:
    """Return the types of the values that ``enum`` or ``const`` lists."""
    values = schema["enum"] if "enum" in schema else [schema["const"]] if "const" in schema else None
    return None if values is None else [_type_of(value) for value in values]


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    return next((name for types, name in _PYTHON_TYPES if isinstance(value, types)), "array")


def _names_in_alternatives(schema: dict[str, Any]) -> Iterator[str]:
    """Yield the names of fields that schemas about the same object mention."""
    for inner in _schemas_about_same(schema):
        if isinstance(inner, dict):
            yield from inner.get("properties", {})
            yield from inner.get("required", ())
            yield from _names_in_alternatives(inner)


def _schemas_about_same(schema: dict[str, Any]) -> Iterator[Any]:
    for key in _SAME_VALUE:
        if key in LISTED:
            yield from schema.get(key, ())
        elif key in ONE:
            yield schema.get(key)
        else:
            yield from schema.get(key, {}).values()


def _is_marked(value: Any) -> bool:
    """Return whether something is marked as personal in a part of a schema."""
    if isinstance(value, dict):
        return value.get(PERSONAL) is True or any(map(_is_marked, value.values()))
    return isinstance(value, list) and any(map(_is_marked, value))


def _note(schema: dict[str, Any]) -> str:
    """Return what an author of rules should know about values: the unit, a description, the values or an example."""
    notes = [schema.get(UNIT), schema.get("description") or schema.get("title")]
    if "enum" in schema:
        notes.append(f"one of {', '.join(_short(value) for value in schema['enum'])}")
    elif schema.get("examples"):
        notes.append(f"such as {_short(schema['examples'][0])}")
    text = ", ".join(note for note in notes if note)
    return text if len(text) <= NOTE_LENGTH else f"{text[: NOTE_LENGTH - 1]}…"


def _short(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
