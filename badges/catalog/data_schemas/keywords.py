"""
Which keywords a schema may have, and schemas without references.

Unknown keywords are refused, because JSON Schema ignores them, and a misspelled one with them. Names that begin with
``x-`` are free. References lead to ``$defs`` of the same schema only, so nothing is ever fetched. They may not lead
back to themselves, and a schema with all references replaced has a limited size: so checking data takes limited time.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import re2
from jsonschema import Draft202012Validator

from badges.catalog.documents import Problem
from badges.catalog.structure import child_path
from badges.rules import Kind, Shape, ShapeError, to_text

MAX_BYTES = 64 * 1024
MAX_NODES = 2_000  # of subschemas, after references were replaced
MAX_PATTERN = 512

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PERSONAL, UNIT = "x-personal", "x-unit"
DEFS = "#/$defs/"

# Keywords whose value is a schema, a list of schemas, or schemas by name.
ONE = ("additionalProperties", "propertyNames", "items", "contains", "not", "if", "then", "else")
LISTED = ("prefixItems", "allOf", "anyOf", "oneOf")
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")
VALUES = (
    *("type", "enum", "const", "required", "dependentRequired", "minProperties", "maxProperties"),
    *("minItems", "maxItems", "uniqueItems", "minContains", "maxContains"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "pattern", "format"),
)
NOTES = ("$schema", "$comment", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly")
KEYWORDS = frozenset({*ONE, *LISTED, *NAMED, *VALUES, *NOTES, "$ref"})
TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")

_REFUSED = {
    "definitions": "write $defs",
    "dependencies": "write dependentRequired or dependentSchemas",
    "additionalItems": "write items, beside prefixItems",
    "unevaluatedProperties": "this keyword is not read here; write additionalProperties",
    "unevaluatedItems": "this keyword is not read here; write items",
    "$id": "this keyword is not read here; remove it",
    "$anchor": f"this keyword is not read here; refer to {DEFS}<name>",
    "$dynamicRef": f"this keyword is not read here; refer to {DEFS}<name>",
    "$dynamicAnchor": "this keyword is not read here; remove it",
}
_ANY = Shape(Kind.ANY)


def keyword_problems(schema: Any, path: str) -> list[Problem]:
    """Return what is wrong with a schema by itself, at the path of each mistake."""
    if not isinstance(schema, dict):
        return [Problem(path, 'expected a JSON Schema: an object such as {"type": "object", "properties": {…}}')]
    try:
        _ANY.canonical(schema)
    except ShapeError as error:
        return [Problem(path, error.expected)]
    if len(to_text(schema).encode()) > MAX_BYTES:
        return [Problem(path, f"write at most {MAX_BYTES // 1024} KiB")]
    problems = list(_schema_problems(schema, path))
    # The general validation names less exactly what is wrong, so it has its say only where nothing else was found.
    return problems or _metaschema_problems(schema, path)


def _metaschema_problems(schema: Any, path: str) -> list[Problem]:
    validator = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    errors = sorted(validator.iter_errors(schema), key=lambda error: list(map(str, error.absolute_path)))
    return [Problem(child_path(path, *error.absolute_path), error.message[:200]) for error in errors]


def _schema_problems(schema: Any, path: str) -> Iterator[Problem]:
    if not isinstance(schema, dict):
        if not isinstance(schema, bool):
            yield Problem(path, "expected a schema: an object, true or false")
        return
    for key, value in schema.items():
        place = child_path(path, key)
        if key not in KEYWORDS and not key.startswith("x-"):
            yield Problem(place, _unknown(key))
        elif problem := _value_problem(key, value):
            yield Problem(place, problem)
        elif key in ONE:
            yield from _schema_problems(value, place)
        elif key in LISTED and isinstance(value, list):
            for index, item in enumerate(value):
                yield from _schema_problems(item, child_path(place, index))
        elif key in NAMED and isinstance(value, dict):
            for name, item in value.items():
                if key == "patternProperties" and (problem := _pattern_problem(name)):
                    yield Problem(child_path(place, name), problem)
                yield from _schema_problems(item, child_path(place, name))


def _unknown(key: str) -> str:
    if key in _REFUSED:
        return _REFUSED[key]
    near = difflib.get_close_matches(key, KEYWORDS, n=1)
    remedy = f"write {near[0]}" if near else "remove it, or let its name begin with x-"
    return f"JSON Schema has no such keyword; {remedy}"


def _value_problem(key: str, value: Any) -> str | None:
    if key == PERSONAL and not isinstance(value, bool):
        return "write true or false"
    if key == UNIT and not (isinstance(value, str) and value):
        return 'write the unit as text, such as "minutes"'
    if key == "$schema" and value not in (DIALECT, f"{DIALECT}#"):
        return f"write {DIALECT}, or remove it"
    if key == "$ref" and not (isinstance(value, str) and value.startswith(DEFS)):
        return f"write {DEFS}<name>, which refers to the $defs of this schema; nothing else is read"
    if key == "type":
        named = value if isinstance(value, list) else [value]
        if not named or any(name not in TYPES for name in named if isinstance(name, str)):
            return f"write one of {', '.join(TYPES)}"
    if key == "pattern":
        return _pattern_problem(value)
    return None


def _pattern_problem(pattern: Any) -> str | None:
    if not isinstance(pattern, str):
        return "write a regular expression as text"
    if len(pattern) > MAX_PATTERN:
        return f"write a regular expression of at most {MAX_PATTERN} characters"
    try:
        compile_pattern(pattern)
    except re2.error as error:
        reason = str(error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error)
        return f"this regular expression is not one of RE2 ({reason}); look-around and back references do not exist"
    return None


def compile_pattern(pattern: str) -> Any:
    """Return a compiled regular expression, which takes time in proportion to the text. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    return re2.compile(pattern, options)


# --- references ------------------------------------------------------------------------------------------------------


def expand(schema: dict[str, Any], path: str) -> tuple[dict[str, Any], list[Problem]]:
    """Return a schema in which all references are replaced, or any schema and the problems that prevent that."""
    expander = _Expander(schema.get("$defs", {}))
    expanded = expander.expand(schema, path, ())
    return expanded, expander.problems


class _Expander:
    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._nodes = 0
        self.problems: list[Problem] = []

    def expand(self, schema: Any, path: str, within: tuple[str, ...]) -> Any:
        """Return a schema without references. ``within`` names the definitions that it is part of."""
        self._nodes += 1
        if self._nodes == MAX_NODES + 1:
            self.problems.append(
                Problem(
                    path, f"with all references replaced, a schema has at most {MAX_NODES} parts; write a smaller one"
                )
            )
        if not isinstance(schema, dict) or self._nodes > MAX_NODES:
            return schema
        found: dict[str, Any] = {}
        for key, value in schema.items():
            place = child_path(path, key)
            if key in ("$ref", "$defs"):
                continue
            if key in ONE:
                found[key] = self.expand(value, place, within)
            elif key in LISTED:
                found[key] = [self.expand(item, child_path(place, at), within) for at, item in enumerate(value)]
            elif key in NAMED:
                found[key] = {name: self.expand(item, child_path(place, name), within) for name, item in value.items()}
            else:
                found[key] = value
        return self._with_target(found, schema["$ref"], path, within) if "$ref" in schema else found

    def _with_target(self, schema: dict[str, Any], reference: str, path: str, within: tuple[str, ...]) -> Any:
        name = reference.removeprefix(DEFS).replace("~1", "/").replace("~0", "~")
        place = child_path(path, "$ref")
        if name not in self._definitions:
            self.problems.append(Problem(place, f"$defs has no {name}"))
            return schema
        if name in within:
            self.problems.append(Problem(place, f"{name} refers to itself; write out as many levels as events have"))
            return schema
        target = self.expand(self._definitions[name], child_path(path, "$ref"), (*within, name))
        if isinstance(target, dict) and is_note_only(schema):
            return {**target, **schema}
        return {**schema, "allOf": [*schema.get("allOf", []), target]}


def is_note_only(schema: dict[str, Any]) -> bool:
    """Return whether a schema demands nothing of data."""
    return all(key in NOTES or key.startswith("x-") for key in schema)
