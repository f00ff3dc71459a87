"""Thresholds: ``{"$gte": 5}`` where a number is counted or computed, compared exactly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from badges.rules.criteria.options import is_number, members, near, refuse, refuse_operator, whole
from badges.rules.criteria.pointers import below
from badges.rules.criteria.trace import TraceStep
from badges.rules.errors import CriteriaError
from badges.rules.operators import MAX_CHOICES, find_operator

Number = int | Fraction

OPERATORS = ("$eq", "$ne", "$neq", "$gt", "$gte", "$lt", "$lte", "$between", "$in", "$nin")
_UPWARD, _DOWNWARD = frozenset(("$gt", "$gte")), frozenset(("$lt", "$lte"))


class Comparison(NamedTuple):
    """One operator with its operand, as written and as compared."""

    path: str
    operator: str
    written: Any
    ask: Callable[[Any, Any], bool]
    operand: Any


class Threshold:
    """Comparisons that must all hold for a number."""

    def __init__(self, comparisons: tuple[Comparison, ...]):
        self.comparisons = comparisons
        names = {comparison.operator for comparison in comparisons}
        self.upward = names <= _UPWARD  # a larger number never makes it false
        self.downward = names <= _DOWNWARD  # a smaller number never makes it false

    def holds(self, number: Number) -> bool:
        """Return whether all comparisons hold for a number."""
        return all(comparison.ask(number, comparison.operand) for comparison in self.comparisons)

    def explain(self, number: Number | None, subject: str, event_id: str | None = None) -> tuple[TraceStep, ...]:
        """Return a step for each comparison. ``number`` is None when there was none to compare."""
        return tuple(
            TraceStep(
                comparison.path,
                comparison.operator,
                comparison.written,
                None if number is None else shown(number),
                event_id,
                number is not None and comparison.ask(number, comparison.operand),
                subject,
            )
            for comparison in self.comparisons
        )


def exact(number: int | float) -> Number:
    """Return a JSON number as the exact number that is written: 0.1 is a tenth, not the double next to it."""
    return number if isinstance(number, int) else Fraction(Decimal(repr(number)))


def shown(number: Number) -> int | float:
    """Return an exact number as JSON."""
    if isinstance(number, int):
        return number
    if number.denominator == 1:
        return number.numerator
    try:
        return float(number)
    except OverflowError:
        return int(number)


def read_threshold(value: Any, path: str, owner: str, *, integers: bool = False) -> Threshold:
    """
    Read ``{"$gte": 5}``; several operators must all hold. Raises CriteriaError.

    With ``integers``, only whole numbers from 0 are accepted, because something is counted.
    """
    expected = f'an operator and a number for {owner}, such as {{"$gte": 3}}'
    found = members(value, path, expected)
    if not found:
        refuse(path, f"write {expected}")
    read = _read_count if integers else _read_number
    return Threshold(tuple(_comparison(name, item, below(path, name), owner, read) for name, item in found.items()))


def read_bare_threshold(value: Any, path: str) -> Threshold:
    """Read a bare count, which is ``$eq``. Raises CriteriaError."""
    return Threshold((Comparison(path, "$eq", value, find_operator("eq").holds, _read_count(value, path)),))


def _comparison(name: str, value: Any, path: str, owner: str, read: Callable[[Any, str], Number]) -> Comparison:
    if name not in OPERATORS:
        message = f"{owner} is compared with a number, which {name!r} cannot do; write {near(name, OPERATORS)}"
        (refuse_operator if name.startswith("$") else refuse)(path, message)
    operator = find_operator(name.removeprefix("$"))
    if name == "$between":
        if not isinstance(value, list) or len(value) != 2:
            refuse(path, "write two bounds, [low, high]")
        low, high = (read(bound, below(path, number)) for number, bound in enumerate(value))
        if low > high:
            refuse(path, "write the lower bound first: nothing lies between these two")
        return Comparison(path, name, value, operator.holds, (low, high))
    if name in ("$in", "$nin"):
        if not isinstance(value, list) or not value:
            refuse(path, "write a list of at least one number")
        if len(value) > MAX_CHOICES:
            raise CriteriaError("limit", path, f"write at most {MAX_CHOICES} numbers")
        choices = frozenset(read(item, below(path, number)) for number, item in enumerate(value))
        return Comparison(path, name, value, operator.holds, choices)
    return Comparison(path, name, value, operator.holds, read(value, path))


def _read_number(value: Any, path: str) -> Number:
    if not is_number(value):
        refuse(path, "write a finite number, such as 80 or 0.5")
    return exact(value)


def _read_count(value: Any, path: str) -> Number:
    count = whole(value)
    if count is None or count < 0:
        refuse(path, "write a whole number from 0, such as 5")
    return count
