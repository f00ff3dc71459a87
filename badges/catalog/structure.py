"""
Validation of packs and template entries against ``pack.schema.json``: each problem has a path and a remedy.

The remedies are the descriptions of the schema. So the hints of editors, the documentation and the errors say the same.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from badges.catalog.documents import CRITERIA_KEY, Problem

SCHEMA_PATH = Path(__file__).with_name("pack.schema.json")


def pack_problems(pack: Any) -> list[Problem]:
    """Return the problems of a pack's own keys. Its parts are validated one by one elsewhere."""
    for part in ("templates", "event_types"):
        if isinstance(pack, dict) and isinstance(pack.get(part), list):
            pack = {**pack, part: []}
    return _problems(_validator(), pack, "")


def template_problems(entry: Any, path: str = "") -> list[Problem]:
    """Return the structural problems of one template entry. ``path`` is its path in the pack."""
    problems = _problems(_validator("template"), entry, path)
    # The text of a criteria document is checked when it is parsed, which copes with any depth.
    return problems or list(_unstorable_text({key: entry[key] for key in entry if key != CRITERIA_KEY}, path))


def part_problems(part: str, key: str, value: Any) -> list[Problem]:
    """Return the structural problems of the value of one key. ``part`` is a definition of the schema."""
    return _problems(_validator(part, key), value, key)


def event_type_problems(entry: Any, path: str = "") -> list[Problem]:
    """Return the structural problems of one entry of an event type. What its ``schema`` says is validated elsewhere."""
    problems = _problems(_validator("eventType"), entry, path)
    return problems or list(_unstorable_text({**entry, "schema": None}, path))


def default_of(part: str, key: str) -> Any:
    """Return the schema's default of an optional key. ``part`` is a definition of the schema, such as ``rule``."""
    return schema()["$defs"][part]["properties"][key].get("default")


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema of packs."""
    loaded: dict[str, Any] = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    return loaded


def schema_with_criteria(reference: str) -> dict[str, Any]:
    """
    Return the JSON Schema of packs with that of the criteria language behind ``reference``, a URI.

    ``schema`` leaves criteria documents to their parser, which says more than a schema can.
    """
    whole = copy.deepcopy(schema())
    properties = whole["$defs"]["template"]["properties"]
    del properties["criteria"]["type"]
    properties["criteria"]["anyOf"] = [{"type": "null"}, {"$ref": reference}]
    return whole


def child_path(path: str, *keys: str | int) -> str:
    """Return the path of a part inside a path, such as ``templates[0].rules[2].value``."""
    for key in keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
    return path


def _pattern(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Match patterns as JSON Schema defines them. In Python ``$`` also matches before a last newline."""
    if isinstance(instance, str) and not re.search(pattern.replace("$", r"\Z"), instance):
        yield ValidationError("pattern")


@cache
def _validator(part: str | None = None, key: str | None = None) -> Any:
    reference = f"#/$defs/{part}" if key is None else f"#/$defs/{part}/properties/{key}"
    wanted = schema() if part is None else {"$ref": reference, "$defs": schema()["$defs"]}
    return extend(Draft202012Validator, {"pattern": _pattern})(wanted)


# So many unknown keys of an object are named. The search for similar names is slow, and nobody reads more.
MOST_NAMED = 20


def _problems(validator: Any, instance: Any, path: str) -> list[Problem]:
    found: dict[str, Problem] = {}
    for error in validator.iter_errors(instance):
        for problem in _error_problems(error, child_path(path, *error.absolute_path)):
            found.setdefault(problem.path, problem)
    return list(found.values())


def _error_problems(error: ValidationError, path: str) -> Iterable[Problem]:
    schema: Any = error.schema
    found: Any = error.instance
    if error.validator == "additionalProperties":
        known = list(schema["properties"])
        unknown = [str(key) for key in found if key not in known]
        problems = [Problem(child_path(path, key), _unknown_key(key, known)) for key in unknown[:MOST_NAMED]]
        if len(unknown) > MOST_NAMED:
            problems.append(Problem(path, f"has {len(unknown) - MOST_NAMED} more keys that are not known; remove them"))
        return problems
    if error.validator == "required":
        missing = [key for key in schema["required"] if key not in found]
        return [Problem(child_path(path, key), f"is missing; write {_expected_value(schema, key)}") for key in missing]
    return [Problem(path, f"expected {schema['description']}; got {_description_of(found)}")]


def _expected_value(schema: Any, key: str) -> str:
    wanted = schema["properties"][key]
    return str(wanted["description"])


def _unknown_key(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key.lower(), known, n=1)
    return f"there is no such key; write {near[0]}" if near else f"there is no such key; known are {', '.join(known)}"


def _description_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return (
            "empty text"
            if not value.strip()
            else f"text of {len(value)} characters"
            if len(value) > 60
            else f"{value!r}"
        )
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else type(value).__name__


def _unstorable_text(value: Any, path: str) -> Iterator[Problem]:
    """Find text that some databases refuse: NUL characters, and halves of surrogate pairs."""
    if isinstance(value, str):
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            yield Problem(path, "expected text without NUL characters and broken surrogates")
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _unstorable_text(item, child_path(path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unstorable_text(item, child_path(path, index))
