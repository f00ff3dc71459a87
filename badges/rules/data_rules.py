"""
Data rules: one path, one operator, one value; and sets of them, which are ANDed.

Compiling reads the value as the declared type of the path and refuses what cannot be meant. Holding is a question to an
event's data that never raises: what is missing, null or of another type than declared matches nothing, whatever the
operator, except that ``exists false`` holds for what is missing or null.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from badges.rules.errors import LimitError, RuleError
from badges.rules.operators import MAX_SUBJECT_BYTES, Operator, UnknownOperator, find_operator, operators_for
from badges.rules.paths import NOTHING, join_path, walker
from badges.rules.shapes import Kind, Shape
from badges.rules.values import PRESENCE, ValueType, spell

logger = logging.getLogger(__name__)


class Step(NamedTuple):
    """
    One rule, explained. ``observed`` is the event's own value (None if missing) and may be personal: redact in logs.

    ``note`` is empty, or says why there was nothing to compare.
    """

    path: str
    operator: str
    operand: Any
    observed: Any
    result: bool
    note: str


class Source:
    """A path, seen as a type: what a rule compares. Equal sources observe the same; indexes share them."""

    __slots__ = ("_identity", "_observe", "_walk", "path", "seen")

    def __init__(self, keys: tuple[str, ...], seen: ValueType):
        self.path = join_path(keys)
        self.seen = seen
        self._walk = walker(keys)
        self._observe = seen.observe
        self._identity: tuple[object, ...] = (keys, seen)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Source) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def find(self, data: Any) -> Any:
        """Return the value as the event holds it; NOTHING if missing or null."""
        return self._walk(data)

    def observe(self, data: Any) -> Any:
        """Return the value in the form that is compared; NOTHING if there is none of this type."""
        found = self._walk(data)
        return self.seen.absent if found is NOTHING else self._observe(found)


class DataRule:
    """
    A compiled rule.

    ``path``, ``operator`` and ``value`` are the rule as it should be stored: normalised, JSON, and compiling to the
    same rule again. ``choices`` is the set of values of its ``source`` for which it holds, None if that is no such set.
    """

    __slots__ = ("_holds", "_operand", "choices", "operator", "source", "value")

    def __init__(self, source: Source, operator: Operator, operand: Any):
        self.source = source
        self.operator = operator.name
        self.value = spell(operand)
        self._holds = operator.holds
        self._operand = operator.prepare(operand)
        self.choices = _choices(operator, self._operand)

    def __repr__(self) -> str:
        return f"<DataRule {self.path} {self.operator} {self.value!r}>"

    @property
    def path(self) -> str:
        """Where the rule looks."""
        return self.source.path

    @property
    def operand(self) -> Any:
        """What values are compared with, in the form in which the operator takes it."""
        return self._operand

    @property
    def equality(self) -> tuple[str, Hashable] | None:
        """The one value at the path for which the rule holds, as ``source.observe`` gives it; None for other rules."""
        return (self.path, self._operand) if self.operator == "eq" else None

    def holds(self, data: Any) -> bool:
        """Return whether the rule holds for an event's data. Never raises, whatever the data."""
        observed = self.source.observe(data)
        return observed is not NOTHING and self._ask(observed)

    def admits(self, observed: Any) -> bool:
        """Return whether the rule holds for a value as ``source.observe`` gives it."""
        return self._ask(observed)

    def explain(self, data: Any) -> Step:
        """Return the same answer with its reasons."""
        found, observed = self.source.find(data), self.source.observe(data)
        result = observed is not NOTHING and self._ask(observed)
        shown = None if found is NOTHING else found
        return Step(self.path, self.operator, self.value, shown, result, self._note(found, observed))

    def _ask(self, observed: Any) -> bool:
        try:
            return bool(self._holds(observed, self._operand))
        except Exception as error:
            # Our own operators do not raise. Another package's that does must not keep all other badges from their
            # learners; it is "no match", and whoever reads the log knows whom to tell. No values: they may be personal.
            logger.error("The operator %s failed on %s: %s", self.operator, self.path, type(error).__name__)
            return False

    def _note(self, found: Any, observed: Any) -> str:
        if self.source.seen is PRESENCE:
            return ""
        if found is NOTHING:
            return "there is no value"
        if observed is NOTHING:
            return f"the value is not {self.source.seen.name}"
        if self.operator == "regex" and len(observed.encode(errors="replace")) > MAX_SUBJECT_BYTES:
            return f"the value is longer than {MAX_SUBJECT_BYTES // 1024} KiB"
        return ""


def _choices(operator: Operator, operand: Any) -> frozenset[Hashable] | None:
    # The names can be trusted: another package cannot take a word that is ours.
    if operator.name == "eq":
        return frozenset((operand,))
    return operand if operator.name == "in" else None


@dataclass(frozen=True)
class RuleSet:
    """Rules that must all hold for one event. No rules: every event matches."""

    rules: Iterable[DataRule] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))

    def holds(self, data: Any) -> bool:
        """Return whether all rules hold. Stops at the first that does not."""
        return all(rule.holds(data) for rule in self.rules)

    def explain(self, data: Any) -> tuple[Step, ...]:
        """Return every rule's answer, also those after the first that fails."""
        return tuple(rule.explain(data) for rule in self.rules)


# --- compiling -------------------------------------------------------------------------------------------------------


def compile_rule(shape: Shape, path: str, operator: str, value: Any) -> DataRule:
    """Compile one rule against the shape of an event's data. Raises RuleError, which says what to write instead."""
    keys, place = _locate(shape, path)
    try:
        found = find_operator(str(operator))
    except UnknownOperator as error:
        raise RuleError("unknown_operator", path, str(error), field="operator") from error
    seen = found.view(place)
    if seen is None:
        raise RuleError("invalid_criteria", path, _not_for(path, place, found), field="operator")
    return DataRule(Source(keys, seen), found, _operand(path, found, value, seen))


def _locate(shape: Shape, path: str) -> tuple[tuple[str, ...], Shape]:
    found = shape.find(path) if isinstance(path, str) else None
    if found is None:
        raise RuleError("invalid_criteria", str(path), _unknown_path(shape, str(path)), field="path")
    return found


def _operand(path: str, operator: Operator, value: Any, seen: ValueType) -> Any:
    try:
        return operator.accept(value, seen)
    except LimitError as error:
        raise RuleError("limit", path, f"{path} {operator.name}: expected {error}") from None
    except (TypeError, ValueError) as error:  # TypeError: what another package's int(value) makes of a list
        raise RuleError("invalid_criteria", path, f"{path} {operator.name}: expected {error}") from None


def _not_for(path: str, place: Shape, operator: Operator) -> str:
    if place.kind is Kind.OBJECT and operator.name != "exists":
        fields = ", ".join(f"{path}.{join_path([key])}" for key in place.fields)
        return f"{path} is an object; write one of its fields: {fields}"
    return f"{path} is {place.kind}, which {operator.name} cannot ask; write {' or '.join(operators_for(place))}"


def _unknown_path(shape: Shape, path: str) -> str:
    known = [name for name, _ in shape.key_paths()]
    # Written too short (without what leads to it) or too long (with the name of the signal's argument).
    ending = [name for name in known if name.endswith(f".{path}") or path.endswith(f".{name}")]
    near = ending or difflib.get_close_matches(path, known, n=3)
    if near:
        return f"there is no {path!r} in this event; write {' or '.join(near)}"
    return f"there is no {path!r} in this event; write one of {', '.join(known)}"
