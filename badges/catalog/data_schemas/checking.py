"""
Checking data against a schema.

Errors name the path and what was expected, and hold nothing of the data: keys that no schema declares are data too.
Regular expressions are those of RE2, and lists are searched for equal items in linear time. So a sender cannot choose
data that takes long.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from badges.catalog.data_schemas.keywords import compile_pattern
from badges.rules import Kind, Shape, ShapeError, join_path
from badges.rules.values import strict

MAX_ERRORS = 20
# So many are looked at. Those of the items of a long list may all say the same.
MAX_SEEN = 1000

_ANY = Shape(Kind.ANY)
_NAMES = {
    "string": "text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}
_EXPECTED: dict[str, Callable[[Any], str]] = {
    "type": lambda value: " or ".join(_NAMES[name] for name in ([value] if isinstance(value, str) else value)),
    "enum": lambda value: f"one of {_shown(value)}",
    "const": lambda value: f"{json.dumps(value, ensure_ascii=False)[:200]}",
    "minimum": lambda value: f"at least {value}",
    "maximum": lambda value: f"at most {value}",
    "exclusiveMinimum": lambda value: f"more than {value}",
    "exclusiveMaximum": lambda value: f"less than {value}",
    "multipleOf": lambda value: f"a multiple of {value}",
    "minLength": lambda value: f"at least {value} characters",
    "maxLength": lambda value: f"at most {value} characters",
    "pattern": lambda value: f"text that matches {value}",
    "minItems": lambda value: f"at least {value} items",
    "maxItems": lambda value: f"at most {value} items",
    "uniqueItems": lambda value: "no item twice",
    "contains": lambda value: "an item as contains says",
    "minProperties": lambda value: f"at least {value} fields",
    "maxProperties": lambda value: f"at most {value} fields",
    "additionalProperties": lambda value: "no fields besides those that the schema declares",
    "anyOf": lambda value: "a value that fits one of the schemas in anyOf",
    "oneOf": lambda value: "a value that fits exactly one of the schemas in oneOf",
    "not": lambda value: "a value that does not fit the schema in not",
    "dependentRequired": lambda value: "the fields that dependentRequired demands",
}


def compile_check(schema: dict[str, Any], shape: Shape) -> Callable[[Any, str], None]:
    """
    Return a function that checks data and raises ShapeError, with at most 20 errors in all.

    The function's second argument is put before the paths.
    """
    validator = _Validator(schema)

    def check(data: Any, where: str) -> None:
        # First what the schema does not say: finite numbers, text that can be stored, a limited depth.
        data = _ANY.canonical(data, where)
        try:
            errors = _distinct(
                _shape_error(error, shape, where) for error in islice(validator.iter_errors(data), MAX_SEEN)
            )
        except (ArithmeticError, RecursionError):
            raise ShapeError(where, "its numbers are too large to be checked") from None
        if errors:
            raise ShapeError(errors[0].path, errors[0].expected, further=errors[1:])

    return check


def _distinct(errors: Iterable[ShapeError]) -> list[ShapeError]:
    """The first errors; those of several items of a list are one when they say the same."""
    found: dict[tuple[str, str], ShapeError] = {}
    for error in errors:
        found.setdefault((error.path, error.expected), error)
        if len(found) == MAX_ERRORS:
            break
    return list(found.values())


def _shape_error(error: ValidationError, shape: Shape, where: str) -> ShapeError:
    keys = list(error.absolute_path)
    if error.validator == "required":
        return ShapeError(_path([*keys, error.message], shape, where), "is missing")
    expected = _EXPECTED.get(str(error.validator), lambda value: f"what {error.validator} of the schema says")
    return ShapeError(_path(keys, shape, where), f"expected {expected(error.validator_value)}")


def _path(keys: list[Any], shape: Shape | None, where: str) -> str:
    path = where
    for key in keys:
        if isinstance(key, int):
            path, shape = f"{path}[]", shape.item if shape else None
        elif shape is not None and shape.kind is Kind.OBJECT and key in shape.fields:
            path, shape = f"{path}.{join_path([key])}" if path else join_path([key]), shape.fields[key]
        else:
            path, shape = f"{path}.*" if path else "*", shape.item if shape else None
    return path


def _shown(values: list[Any]) -> str:
    text = ", ".join(json.dumps(value, ensure_ascii=False) for value in values)
    return text if len(text) <= 200 else f"{text[:199]}…"


# --- keywords that say which field is missing -------------------------------------------------------------------------


def _required(validator: Any, names: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, dict):
        yield from (ValidationError(name) for name in names if name not in instance)


# --- keywords that Python's regular expressions or a slow search would evaluate ---------------------------------------


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    return compile_pattern(pattern)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text) is not None


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _matches(pattern, instance):
        yield ValidationError("pattern")


def _pattern_properties(validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, inner in patterns.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, inner, path=key, schema_path=pattern)


def _additional_properties(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if not isinstance(instance, dict) or wanted is True:
        return
    declared, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in declared or any(_matches(pattern, key) for pattern in patterns):
            continue
        if wanted is False:
            yield ValidationError("additionalProperties")
        else:
            yield from validator.descend(value, wanted, path=key)


def _unique_items(validator: Any, wanted: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if wanted and isinstance(instance, list) and len(set(map(strict, instance))) < len(instance):
        yield ValidationError("uniqueItems")


_Validator: Any = extend(
    Draft202012Validator,
    {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "uniqueItems": _unique_items,
        "required": _required,
    },
)
