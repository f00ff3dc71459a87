"""
Operators: what a rule can ask of a value, and the registry that other packages extend.

Data rules write an operator as a word (``gte``), criteria documents with a dollar sign (``$gte``); both reach the same
``Operator``. They differ in how values are seen: a data rule sees them as the type that the key path declares, a
criteria document as JSON, without any conversion.

Another package's operator is an ``Operator`` behind an entry point of the group ``badges.operators``; the name of the
entry point is the word that rules use. It is loaded when a rule first asks for it, never at import, and cannot take a
word that is ours.
"""

from __future__ import annotations

import difflib
import json
import operator as compare
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import re2

from badges.common.entry_points import EntryPointLoader
from badges.exceptions import BadgesError
from badges.rules.errors import LimitError
from badges.rules.paths import NOTHING
from badges.rules.shapes import Kind, Shape
from badges.rules.values import (
    BOOLEAN,
    DECIMAL_TEXT,
    JSON_BOOLEAN,
    JSON_LIST,
    JSON_NUMBER,
    JSON_TEXT_OR_LIST,
    JSON_VALUE,
    PRESENCE,
    TEXT,
    TIME,
    ValueType,
    listing,
    scalar,
)

ENTRY_POINT_GROUP = "badges.operators"
MAX_CHOICES = 1000
MAX_PATTERN_CHARACTERS = 512
MAX_SUBJECT_BYTES = 64 * 1024


class UnknownOperator(BadgesError):
    """No operator goes by this word, or the package that brings it cannot be loaded."""


def read_one(value: Any, seen: ValueType) -> Any:
    """Return a plain operand: one value of the type that is seen."""
    return seen.read(value)


def _same(operand: Any) -> Any:
    return operand


@dataclass(frozen=True)
class Operator:
    """
    One question, ``holds(observed, operand)``, and how its operand is written.

    ``view`` says as what the operator sees the values of a shape, None meaning it is not for such shapes. ``accept``
    reads the operand as written and raises ValueError with what is accepted; its result is JSON, or holds what
    ``badges.rules.values.spell`` can spell. ``prepare`` turns it into what ``holds`` wants, once per rule. ``untyped``
    says as what values are seen in criteria documents, which declare no shapes, for an operand as written; it raises
    ValueError with what is accepted. Without it, a value is seen as ``view`` says for the shape that it has.
    """

    name: str
    holds: Callable[[Any, Any], bool]
    accept: Callable[[Any, ValueType], Any] = read_one
    view: Callable[[Shape], ValueType | None] = scalar
    prepare: Callable[[Any], Any] = _same
    untyped: Callable[[Any], ValueType] | None = None

    def seen_untyped(self, operand: Any) -> ValueType:
        """Return as what criteria documents see values for this operand. Raises ValueError with what is accepted."""
        return self.untyped(operand) if self.untyped else _by_natural_shape(self.view, operand)


def _by_natural_shape(view: Callable[[Shape], ValueType | None], operand: Any) -> ValueType:
    views = {python_type: view(Shape(kind)) for python_type, kind in _NATURAL_KINDS.items()}
    written = views.get(type(operand)) or next(filter(None, views.values()), JSON_VALUE)

    def observe(value: Any) -> Any:
        seen = views.get(type(value))
        return seen.observe(value) if seen else NOTHING

    return ValueType("a value that the operator can compare", written.read, observe, item=written.item)


_NATURAL_KINDS: dict[type, Kind] = {
    str: Kind.TEXT,
    bool: Kind.BOOLEAN,
    int: Kind.NUMBER,
    float: Kind.NUMBER,
    list: Kind.LIST,
    dict: Kind.MAP,
}


# --- as what they see values -----------------------------------------------------------------------------------------


def _ordered(shape: Shape) -> ValueType | None:
    if shape.kind is Kind.TEXT:  # grades arrive as text: "0.8"
        return DECIMAL_TEXT
    return None if shape.kind in (Kind.BOOLEAN, Kind.ANY) else scalar(shape)


def _text(shape: Shape) -> ValueType | None:
    return TEXT if shape.kind is Kind.TEXT else None


def _text_or_list(shape: Shape) -> ValueType | None:
    return _text(shape) or listing(shape)


def _presence(shape: Shape) -> ValueType:
    return PRESENCE


# --- as what criteria documents see values ---------------------------------------------------------------------------


def _equal_untyped(operand: Any) -> ValueType:
    # Text equals only text, so there is no need to look at other values at all. ``ne`` has to see them: 5 is not "5".
    if isinstance(operand, str):
        return TEXT
    if isinstance(operand, bool):
        return JSON_BOOLEAN
    return JSON_NUMBER if isinstance(operand, (int, float)) else JSON_VALUE


def _json_untyped(operand: Any) -> ValueType:
    return JSON_VALUE


def _choices_untyped(operand: Any) -> ValueType:
    if not isinstance(operand, list):
        raise ValueError('a list, ["a", "b"]')
    seen = {_equal_untyped(choice) for choice in operand}
    return seen.pop() if len(seen) == 1 else JSON_VALUE


def _excluded_untyped(operand: Any) -> ValueType:
    _choices_untyped(operand)
    return JSON_VALUE


def _ordered_untyped(operand: Any) -> ValueType:
    if isinstance(operand, str):
        return TIME
    if isinstance(operand, bool) or not isinstance(operand, (int, float)):
        raise ValueError("a finite number, such as 80, or a time with its offset, such as 2026-03-01T09:30:00Z")
    return JSON_NUMBER


def _range_untyped(operand: Any) -> ValueType:
    if not isinstance(operand, list) or len(operand) != 2:
        raise ValueError("two bounds, [low, high]")
    return _ordered_untyped(operand[0])


def _text_untyped(operand: Any) -> ValueType:
    return TEXT


def _text_or_list_untyped(operand: Any) -> ValueType:
    return JSON_TEXT_OR_LIST if isinstance(operand, str) else JSON_LIST


def _presence_untyped(operand: Any) -> ValueType:
    JSON_BOOLEAN.read(operand)
    return PRESENCE


# --- how operands are written ----------------------------------------------------------------------------------------


def _read_flag(value: Any, seen: ValueType) -> Any:
    return BOOLEAN.read(value)


def _read_range(value: Any, seen: ValueType) -> list[Any]:
    bounds = _split(value)
    if len(bounds) != 2:
        raise ValueError('two bounds, [low, high] or "low,high"')
    low, high = (seen.read(bound) for bound in bounds)
    if low > high:
        raise ValueError("the lower bound first: nothing lies between these two")
    return [low, high]


def _read_choices(value: Any, seen: ValueType) -> list[Any]:
    choices = _split(value)
    if len(choices) > MAX_CHOICES:
        raise LimitError(f"at most {MAX_CHOICES} values")
    if not choices:
        raise ValueError('at least one value, ["a", "b"] or "a,b"')
    return list(dict.fromkeys(seen.read(choice) for choice in choices))


def _split(value: Any) -> list[Any]:
    """A list, as JSON or as a form's text: ``["a", "b"]`` or ``a, b`` (a value that holds a comma needs the former)."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, str):
        raise ValueError('a list, ["a", "b"] or "a,b"')
    if value.lstrip().startswith("["):
        try:
            return list(json.loads(value))
        except (ValueError, RecursionError):
            pass  # a text that merely begins with a bracket
    return [part for part in map(str.strip, value.split(",")) if part]


def _read_fragment(value: Any, seen: ValueType) -> Any:
    if value == "":
        raise ValueError("a text that is not empty; to ask whether there is any value, write exists true")
    return seen.read(value)


def _read_pattern(value: Any, seen: ValueType) -> Any:
    pattern = _read_fragment(value, seen)
    if len(pattern) > MAX_PATTERN_CHARACTERS:
        raise LimitError(f"a pattern of at most {MAX_PATTERN_CHARACTERS} characters")
    try:
        _pattern(pattern)
    except re2.error as error:
        reason = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error
        raise ValueError(
            f"a regular expression that RE2 reads (no look-around, no back-references): {reason}"
        ) from None
    return pattern


def _pattern(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False  # it would write to stderr, past logging
    return re2.compile(pattern, options)


# --- what they ask ---------------------------------------------------------------------------------------------------


def _between(observed: Any, bounds: Any) -> bool:
    return bool(bounds[0] <= observed <= bounds[1])


def _in(observed: Any, choices: Any) -> bool:
    return observed in choices


def _not_in(observed: Any, choices: Any) -> bool:
    return observed not in choices


def _matches(observed: str, pattern: Any) -> bool:
    try:
        subject = observed.encode()
    except UnicodeEncodeError:
        return False
    return len(subject) <= MAX_SUBJECT_BYTES and pattern.search(subject) is not None


_BUILT_IN = {
    operator.name: operator
    for operator in (
        Operator("eq", compare.eq, untyped=_equal_untyped),
        Operator("ne", compare.ne, untyped=_json_untyped),
        Operator("gt", compare.gt, view=_ordered, untyped=_ordered_untyped),
        Operator("gte", compare.ge, view=_ordered, untyped=_ordered_untyped),
        Operator("lt", compare.lt, view=_ordered, untyped=_ordered_untyped),
        Operator("lte", compare.le, view=_ordered, untyped=_ordered_untyped),
        Operator("between", _between, _read_range, _ordered, untyped=_range_untyped),
        Operator("in", _in, _read_choices, prepare=frozenset, untyped=_choices_untyped),
        Operator("nin", _not_in, _read_choices, prepare=frozenset, untyped=_excluded_untyped),
        Operator("contains", compare.contains, _read_fragment, _text_or_list, untyped=_text_or_list_untyped),
        Operator("startsWith", str.startswith, _read_fragment, _text, untyped=_text_untyped),
        Operator("endsWith", str.endswith, _read_fragment, _text, untyped=_text_untyped),
        Operator("regex", _matches, _read_pattern, _text, _pattern, untyped=_text_untyped),
        Operator("exists", compare.eq, _read_flag, _presence, untyped=_presence_untyped),
    )
}
_ALIASES = {"neq": "ne"}

# What people write who come from elsewhere; only for telling them what to write here.
_ELSEWHERE = {
    "=": "eq",
    "==": "eq",
    "equals": "eq",
    "!=": "ne",
    "<>": "ne",
    "notequals": "ne",
    ">": "gt",
    ">=": "gte",
    "<": "lt",
    "<=": "lte",
    "notin": "nin",
    "icontains": "contains",
    "matches": "regex",
}


# --- the registry ----------------------------------------------------------------------------------------------------


_plug_ins: EntryPointLoader[Operator] = EntryPointLoader(
    ENTRY_POINT_GROUP,
    noun="operator",
    kind=Operator,
    kind_name="badges.rules.Operator",
    error=UnknownOperator,
    remedy="use another operator",
)


def find_operator(name: str) -> Operator:
    """Return the operator with a name. Raises UnknownOperator with near matches or the entry point that is broken."""
    built_in = _BUILT_IN.get(_ALIASES.get(name, name))
    return built_in or _plug_in(name)


def is_built_in(operator: Operator) -> bool:
    """Return whether an operator is our own. Those never raise, whatever an event holds."""
    return _BUILT_IN.get(operator.name) is operator


def operator_names() -> list[str]:
    """Return every name that can be used, other packages' included; loads none of them."""
    return [*_BUILT_IN, *_ALIASES, *sorted(set(_plug_ins.names()) - _BUILT_IN.keys() - _ALIASES.keys())]


def operators_for(shape: Shape) -> list[str]:
    """Return the names of our own operators that fit a shape, for a form to offer."""
    return [name for name, operator in _BUILT_IN.items() if operator.view(shape)]


def _plug_in(name: str) -> Operator:
    if name not in _plug_ins.names():
        raise UnknownOperator(f"there is no operator {name!r}; {_suggest(name)}")
    return replace(_plug_ins.get(name), name=name)


def _suggest(name: str) -> str:
    words = operator_names()
    by_fold = {word.lower(): word for word in words} | _ELSEWHERE
    meant = name.lower().lstrip("$").replace("_", "")
    near = [meant] if meant in by_fold else difflib.get_close_matches(meant, by_fold, n=3)
    return "write " + " or ".join(by_fold[word] for word in near) if near else "write one of " + ", ".join(words)
