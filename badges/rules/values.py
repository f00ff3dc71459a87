"""
How values are seen: as the type that the key path declares.

A rule's operand comes from a form (text) or from a pack (JSON); an event's value is canonical JSON, or whatever an old
row holds. A ``ValueType`` reads both into the same comparable Python values, so that operators need not care: text and
times are ``str``, booleans ``bool``, numbers ``int`` when whole and else ``Decimal``, all exact.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from badges.rules.errors import LimitError
from badges.rules.paths import NOTHING
from badges.rules.shapes import MAX_INTEGER_BITS, MAX_UNDECLARED_DEPTH, Kind, Shape, is_unicode
from badges.rules.times import canonical_time

MAX_OPERAND_CHARACTERS = 4096
MAX_DIGITS = 400
MAX_STORED_BITS = 63  # MySQL's JSON keeps larger integers as doubles

_DECIMAL = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")


@dataclass(frozen=True)
class ValueType:
    """
    A way of seeing values.

    ``read`` takes an operand as written and raises ValueError saying what is accepted. ``observe`` takes what an event
    holds and never raises: what is not of this type is NOTHING, as is what is ``absent``.
    """

    name: str
    read: Callable[[Any], Any]
    observe: Callable[[Any], Any]
    absent: Any = NOTHING
    item: ValueType | None = None

    def __repr__(self) -> str:
        return f"<{self.name}>"


def spell(value: Any) -> Any:
    """Return a value that was read as JSON that reads as the same value again."""
    if isinstance(value, Decimal):
        short = float(value)
        return short if Decimal(repr(short)) == value else str(value)
    if isinstance(value, int) and value.bit_length() > MAX_STORED_BITS:
        return str(value)
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    return value


# --- reading operands ------------------------------------------------------------------------------------------------


def _read_text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError('text, written in quotes, such as "5"')
    if len(value) > MAX_OPERAND_CHARACTERS:
        raise LimitError(f"at most {MAX_OPERAND_CHARACTERS} characters")
    if "\0" in value or not is_unicode(value):
        raise ValueError("text without NUL characters and broken surrogates")
    return value


def _read_number(value: Any) -> int | Decimal:
    number: int | Decimal = _decimal(value.strip()) if isinstance(value, str) else _observe_number(value)
    if number is NOTHING:
        raise ValueError("a finite number, such as 80 or 0.5")
    return number


def _read_integer(value: Any) -> int:
    number = _decimal(value.strip()) if isinstance(value, str) else _observe_number(value)
    if not isinstance(number, int):
        raise ValueError("a whole number, such as 5")
    return number


def _read_decimal_text(value: Any) -> int | Decimal:
    try:
        return _read_number(value)
    except ValueError:
        raise ValueError("a number, such as 80 or 0.5, because text is put in order by the number it spells") from None


# Sites that come from the credentials service store "+" and "-".
_WORDS = {"true": True, "yes": True, "+": True, "false": False, "no": False, "-": False}


def _read_boolean(value: Any) -> bool:
    if isinstance(value, str):
        value = _WORDS.get(value.strip().lower())
    if not isinstance(value, bool):
        raise ValueError("true, false, yes or no")
    return value


def _read_time(value: Any) -> str:
    return canonical_time(value.strip() if isinstance(value, str) else value)


def _read_untyped(value: Any) -> str | int | Decimal:
    if isinstance(value, str):
        return _read_text(value)
    number: int | Decimal = _observe_number(value)
    # A larger one would be stored as text, and come back as the text.
    if number is NOTHING or (isinstance(number, int) and number.bit_length() > MAX_STORED_BITS):
        raise ValueError("text or a number")
    return number


def _read_json(value: Any) -> Any:
    """The operand of a criteria document, whose types are those of JSON: nothing is converted."""
    if value is None:
        raise ValueError('a value; to ask whether there is one, write {"$exists": true} or {"$exists": false}')
    if isinstance(value, str):
        return _read_text(value)
    return strict(value)


def _read_json_number(value: Any) -> int | float:
    seen: Any = _observe_json_number(value)
    if seen is NOTHING:
        raise ValueError("a finite number, such as 80 or 0.5")
    return seen  # type: ignore[no-any-return]


def _read_json_boolean(value: Any) -> bool:
    if value is not True and value is not False:
        raise ValueError("true or false")
    return value


# --- observing what events hold --------------------------------------------------------------------------------------


def _observe_text(value: Any) -> Any:
    return value if isinstance(value, str) else NOTHING


def _observe_number(value: Any) -> Any:
    if isinstance(value, int):
        return NOTHING if isinstance(value, bool) or value.bit_length() > MAX_INTEGER_BITS else value
    if not isinstance(value, float) or value - value != 0:  # NaN and the infinities
        return NOTHING
    # The number as it was written: Decimal(0.1) would be 0.1000000000000000055.
    return int(value) if value.is_integer() else Decimal(repr(value))


def _observe_integer(value: Any) -> Any:
    number = _observe_number(value)
    return number if isinstance(number, int) else NOTHING


def _observe_decimal_text(value: Any) -> Any:
    return _decimal(value) if isinstance(value, str) else NOTHING


def _observe_boolean(value: Any) -> Any:
    return value if isinstance(value, bool) else NOTHING


def _observe_time(value: Any) -> Any:
    try:
        return canonical_time(value)
    except ValueError:
        return NOTHING


def _observe_untyped(value: Any) -> Any:
    return value if isinstance(value, str) else _observe_number(value)


def _observe_json_number(value: Any) -> Any:
    if type(value) is float:
        return value if value - value == 0 else NOTHING
    return value if type(value) is int else NOTHING


def _observe_json_text_or_list(value: Any) -> Any:
    return value if type(value) is str else _observe_json_list(value)


def _observe_json_list(value: Any) -> Any:
    return [strict(item) for item in value] if isinstance(value, list) else NOTHING


class _Json:
    """A JSON literal that must not equal what Python thinks it equals: true and 1, false and 0."""

    def __init__(self, name: str):
        self._name = name

    def __repr__(self) -> str:
        return self._name


_TRUE, _FALSE, _NULL = _Json("true"), _Json("false"), _Json("null")


def strict(value: Any, depth: int = MAX_UNDECLARED_DEPTH) -> Any:
    """
    Return a hashable stand-in for a JSON value that equals only what JSON calls equal; NOTHING if it is not JSON.

    Whole numbers are exact, and 5 equals 5.0 because JSON has one sort of number. What lies deeper than ``depth``
    levels is NOTHING: it equals nothing that an author can have written.
    """
    if type(value) is str or type(value) is int:
        return value
    if value is True:
        return _TRUE
    if value is False:
        return _FALSE
    if value is None:
        return _NULL
    if type(value) is float:
        return value if value - value == 0 else NOTHING
    if not depth:
        return NOTHING
    if isinstance(value, list):
        return ("list", *(strict(item, depth - 1) for item in value))
    if isinstance(value, dict):
        return ("object", frozenset((key, strict(item, depth - 1)) for key, item in value.items()))
    return NOTHING


def _observe_presence(value: Any) -> bool:
    return True


def _decimal(text: str) -> Any:
    """The number that a text spells; NOTHING if it is none, or too long or too far out to be one."""
    if len(text) > MAX_OPERAND_CHARACTERS or not _DECIMAL.fullmatch(text):
        return NOTHING
    number = Decimal(text)
    if abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > MAX_DIGITS:
        return NOTHING
    numerator, denominator = number.as_integer_ratio()
    if denominator > 1:
        return number
    return numerator if numerator.bit_length() <= MAX_INTEGER_BITS else NOTHING


# --- the types -------------------------------------------------------------------------------------------------------

TEXT = ValueType("text", _read_text, _observe_text)
INTEGER = ValueType("a whole number", _read_integer, _observe_integer)
NUMBER = ValueType("a number", _read_number, _observe_number)
BOOLEAN = ValueType("a boolean", _read_boolean, _observe_boolean)
TIME = ValueType("a time", _read_time, _observe_time)
DECIMAL_TEXT = ValueType("text that spells a number", _read_decimal_text, _observe_decimal_text)
UNTYPED = ValueType("text or a number", _read_untyped, _observe_untyped)
# As criteria documents see values: by the type that the operand has, since no shape is declared.
JSON_VALUE = ValueType("a JSON value", _read_json, strict)
JSON_NUMBER = ValueType("a number", _read_json_number, _observe_json_number)
JSON_BOOLEAN = ValueType("a boolean", _read_json_boolean, _observe_boolean)
JSON_LIST = ValueType("a list", _read_json, _observe_json_list)
JSON_TEXT_OR_LIST = ValueType("text or a list", _read_json, _observe_json_text_or_list)
PRESENCE = ValueType("presence", _read_boolean, _observe_presence, absent=False)

_SCALARS = {
    Kind.TEXT: TEXT,
    Kind.INTEGER: INTEGER,
    Kind.NUMBER: NUMBER,
    Kind.BOOLEAN: BOOLEAN,
    Kind.TIME: TIME,
}


def scalar(shape: Shape) -> ValueType | None:
    """Return how a single value of this shape is seen; None for what is not a single value."""
    return UNTYPED if shape.kind is Kind.ANY else _SCALARS.get(shape.kind)


def listing(shape: Shape) -> ValueType | None:
    """Return how a list of single values is seen; items of another type are not seen at all."""
    if shape.kind is not Kind.LIST:
        return None
    item = scalar(shape.item) if shape.item else UNTYPED
    return item and _LISTS[item]


def _list_of(item: ValueType) -> ValueType:
    def observe(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            return NOTHING
        return [seen for seen in map(item.observe, value) if seen is not NOTHING]

    return ValueType(f"a list of {item.name}", item.read, observe, item=item)


_LISTS = {item: _list_of(item) for item in (*_SCALARS.values(), UNTYPED)}
