"""
Shapes: what the data of an event type looks like, and the one canonical form of such data.

The same event may arrive in several ways (Avro from Kafka, JSON from a file or by REST, Python objects from a
signal). ``Shape.canonical`` makes them equal and ``to_text`` spells them as the same bytes, which is what is stored and
what rules are evaluated on. Both run for every event, so a shape is compiled to closures once, on first use.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any

from badges.rules.errors import ShapeError
from badges.rules.paths import join_path, split_path
from badges.rules.times import A_TIME, canonical_time

MAX_INTEGER_BITS = 1024  # enough for every finite double; longer ones make str(int) slow
MAX_UNDECLARED_DEPTH = 32

Check = Callable[[Any], Any]


class Kind(StrEnum):
    """What a place in the data holds."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    LIST = "list"
    MAP = "map"  # keys are data: any text
    OBJECT = "object"  # keys are declared
    ANY = "any"  # any JSON; rules see text and numbers in it


@dataclass(frozen=True)
class Shape:
    """
    The declared shape of a value.

    ``fields`` belongs to objects; ``item`` is the shape of what lists and maps hold, None meaning any JSON.
    ``personal`` says that the value is personal data, with everything below it.
    """

    kind: Kind
    fields: Mapping[str, Shape] = field(default_factory=dict, hash=False)
    item: Shape | None = None
    nullable: bool = False
    personal: bool = False

    def at(self, path: str) -> Shape | None:
        """Return the shape at a path, None if there can be nothing."""
        found = self.find(path)
        return found[1] if found else None

    def find(self, path: str) -> tuple[tuple[str, ...], Shape] | None:
        """Return the keys that lead to a path, and the shape there. A key spelled with the dot wins over two keys."""
        return _find(self, split_path(path))

    def key_paths(self) -> Iterator[tuple[str, Kind]]:
        """Yield every path that a rule can use, in declared order. What is inside lists and maps has no path."""
        for keys, shape in _leaves(self, ()):
            yield join_path(keys), shape.kind

    def canonical(self, value: Any, where: str = "") -> Any:
        """
        Check a value and put it into its one canonical form.

        Every declared field is present (an absent nullable one is None), unknown fields are dropped, times are UTC
        text, whole floats are integers. ``where`` is put before paths in errors. Raises ShapeError.
        """
        try:
            return self._check(value)
        except ShapeError as error:
            raise error.below(where) from None

    def without_personal(self, value: Any) -> Any:
        """Return canonical data without the fields that are declared personal. The given data is not changed."""
        return value if self._strip is None else self._strip(value)

    @cached_property
    def _strip(self) -> Check | None:
        return _compile_strip(self)

    @cached_property
    def _check(self) -> Check:
        return _compile(self, "")


def _find(shape: Shape, keys: tuple[str, ...]) -> tuple[tuple[str, ...], Shape] | None:
    if not keys:
        return (), shape
    if shape.kind is Kind.MAP and shape.item:
        return _below(keys[0], shape.item, keys[1:])
    for taken in range(len(keys), 0, -1):
        key = ".".join(keys[:taken])
        child = shape.fields.get(key) if shape.kind is Kind.OBJECT else None
        if child and (found := _below(key, child, keys[taken:])):
            return found
    return None


def _below(key: str, shape: Shape, rest: tuple[str, ...]) -> tuple[tuple[str, ...], Shape] | None:
    found = _find(shape, rest)
    return ((key, *found[0]), found[1]) if found else None


def _leaves(shape: Shape, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Shape]]:
    if shape.kind is not Kind.OBJECT:
        yield keys, shape
        return
    for key, child in shape.fields.items():
        yield from _leaves(child, (*keys, key))


def to_text(data: Any) -> str:
    """Return the canonical JSON text of canonical data: sorted keys, no spaces, no NaN (ValueError)."""
    return _encode(data)


_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


# --- personal data ---------------------------------------------------------------------------------------------------


def _compile_strip(shape: Shape) -> Check | None:
    """Return a function that leaves out what is personal, or None when nothing is."""
    if shape.kind is Kind.OBJECT:
        return _strip_object(shape)
    if shape.kind not in (Kind.LIST, Kind.MAP) or shape.item is None:
        return None
    if shape.item.personal:
        return lambda value: type(value)() if value else value
    strip = _compile_strip(shape.item)
    if strip is None:
        return None
    if shape.kind is Kind.LIST:
        return lambda value: [strip(item) for item in value] if value else value
    return lambda value: {key: strip(item) for key, item in value.items()} if value else value


def _strip_object(shape: Shape) -> Check | None:
    personal = frozenset(key for key, child in shape.fields.items() if child.personal)
    below = {key: _compile_strip(child) for key, child in shape.fields.items() if key not in personal}
    inner = tuple((key, strip) for key, strip in below.items() if strip is not None)
    if not personal and not inner:
        return None

    def strip_object(value: Any) -> Any:
        if value is None:
            return None
        kept = {key: item for key, item in value.items() if key not in personal}
        for key, strip in inner:
            if key in kept:
                kept[key] = strip(kept[key])
        return kept

    return strip_object


# --- checks, one closure per place -----------------------------------------------------------------------------------


def _compile(shape: Shape, path: str) -> Check:
    if shape.kind is Kind.OBJECT:
        check = _object(shape, path)
    elif shape.kind is Kind.LIST:
        check = _list(_item(shape, f"{path}[]"), path)
    elif shape.kind is Kind.MAP:
        check = _map(_item(shape, f"{path}.*" if path else "*"), path)
    elif shape.kind is Kind.ANY:
        check = _anything(path)
    else:
        check = _SCALARS[shape.kind](path)
    return _nullable(check) if shape.nullable else check


def _item(shape: Shape, path: str) -> Check:
    return _compile(shape.item, path) if shape.item else _anything(path)


def _refuse(path: str, expected: str, value: Any) -> ShapeError:
    return ShapeError(path, f"expected {expected}, got {_describe(value)}")


def _describe(value: Any) -> str:
    if value is None:
        return "nothing"
    for types, name in _NAMES:
        if isinstance(value, types):
            return name
    return f"an object of Python type {type(value).__name__}"


_NAMES: tuple[tuple[Any, str], ...] = (
    (bool, "a boolean"),
    (int, "an integer"),
    (float, "a number"),
    (str, "text"),
    (dict, "an object"),
    ((list, tuple), "a list"),
)


def _nullable(check: Check) -> Check:
    def check_nullable(value: Any) -> Any:
        return None if value is None else check(value)

    return check_nullable


def _text(path: str) -> Check:
    def check_text(value: Any) -> str:
        if type(value) is str and value.isascii() and "\0" not in value:
            return value
        if not isinstance(value, str):
            raise _refuse(path, "text", value)
        if "\0" in value:  # PostgreSQL holds no such text: a username with it would stop the whole batch
            raise ShapeError(path, "expected text without NUL characters (\\u0000)")
        if not value.isascii() and not is_unicode(value):
            raise ShapeError(path, "expected text that is Unicode (it holds half of a surrogate pair)")
        return value if type(value) is str else str.__str__(value)

    return check_text


def is_unicode(text: str) -> bool:
    """Return whether a text can be written as UTF-8. Half a surrogate pair ("\\ud800" in JSON) cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _integer(path: str) -> Check:
    def check_integer(value: Any) -> int:
        # JSON has one sort of number: what JavaScript sends as 5.0 is the integer 5. A bool is an int to Python only.
        if isinstance(value, float) and value.is_integer() and abs(value) <= 2**53:
            return int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(path, "an integer", value)
        return _bounded(value, path)

    return check_integer


def _number(path: str) -> Check:
    def check_number(value: Any) -> int | float:
        if isinstance(value, float):
            # 5 from JSON and 5.0 from Avro are the same fact and have to become the same text.
            if value.is_integer():
                return int(value)
            if value - value != 0:  # NaN and the infinities
                raise ShapeError(path, "expected a finite number")
            return value
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(path, "a number", value)
        return _bounded(value, path)

    return check_number


def _bounded(value: int, path: str) -> int:
    if value.bit_length() > MAX_INTEGER_BITS:
        raise ShapeError(path, f"expected a number of at most {MAX_INTEGER_BITS} bits")
    return value


def _boolean(path: str) -> Check:
    def check_boolean(value: Any) -> bool:
        if value is True or value is False:
            return value
        raise _refuse(path, "a boolean", value)

    return check_boolean


def _time(path: str) -> Check:
    def check_time(value: Any) -> str:
        try:
            return canonical_time(value)
        except ValueError:
            raise _refuse(path, A_TIME, value) from None

    return check_time


_SCALARS: dict[Kind, Callable[[str], Check]] = {
    Kind.TEXT: _text,
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
}


def _object(shape: Shape, path: str) -> Check:
    # In sorted order, because that is how it will be written.
    plan = tuple(
        (key, _compile(child, f"{path}.{join_path([key])}" if path else join_path([key])))
        for key, child in sorted(shape.fields.items())
    )

    def check_object(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _refuse(path, "an object", value)
        get = value.get
        return {key: check(get(key)) for key, check in plan}

    return check_object


def _list(check_item: Check, path: str) -> Check:
    def check_list(value: Any) -> list[Any]:
        if not isinstance(value, (list, tuple)):
            raise _refuse(path, "a list", value)
        return [check_item(item) for item in value]

    return check_list


def _map(check_item: Check, path: str) -> Check:
    check_key = _text(f"{path}.*" if path else "*")

    def check_map(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _refuse(path, "an object", value)
        return {check_key(key): check_item(item) for key, item in value.items()}

    return check_map


def _anything(path: str) -> Check:
    """Any JSON: the checks of text and numbers still hold, so that the text can be stored and is spelled in one way."""
    check_text, check_number, check_time = _text(path), _number(path), _time(path)

    def check_anything(value: Any, depth: int = 0) -> Any:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str):
            return check_text(value)
        if isinstance(value, (int, float)):
            return check_number(value)
        if depth == MAX_UNDECLARED_DEPTH:
            raise ShapeError(path, f"expected at most {MAX_UNDECLARED_DEPTH} levels inside each other")
        if isinstance(value, dict):
            return {check_text(key): check_anything(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [check_anything(item, depth + 1) for item in value]
        if isinstance(value, datetime):
            return check_time(value)
        raise _refuse(path, "JSON", value)

    return check_anything
