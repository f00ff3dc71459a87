"""
Field conditions: what ``criteria`` asks of one event, compiled to closures.

``holds`` is the hot path of everything that criteria do, so a condition on the payload is one closure that finds the
value, checks its type and asks the operator. What an event holds never makes it raise.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

from badges.rules.criteria.calendar import FIRST_MOMENT, Shift, read_now
from badges.rules.criteria.events import Event
from badges.rules.criteria.options import members, near, refuse, refuse_operator
from badges.rules.criteria.pointers import below
from badges.rules.criteria.thresholds import Threshold, read_bare_threshold, read_threshold
from badges.rules.criteria.trace import TraceStep, make_step
from badges.rules.errors import CriteriaError, LimitError
from badges.rules.operators import (
    MAX_CHOICES,
    MAX_SUBJECT_BYTES,
    Operator,
    UnknownOperator,
    find_operator,
    is_built_in,
    operator_names,
)
from badges.rules.paths import NOTHING, finder, join_path, split_path
from badges.rules.times import instant, spell_instant
from badges.rules.values import JSON_BOOLEAN, JSON_NUMBER, PRESENCE, TEXT, ValueType

logger = logging.getLogger(__name__)

Predicate = Callable[[Any], bool]

TIMESTAMP = "timestamp"
EVENT_COUNT = "$eventCount"
DISTINCT = "distinct"
_MOMENT_OPERATORS = ("$eq", "$ne", "$neq", "$gt", "$gte", "$lt", "$lte", "$between", "$in", "$nin", "$exists")


# --- conditions ------------------------------------------------------------------------------------------------------


class PayloadCondition:
    """
    One operator on one field of the payload. ``predicate`` answers for a payload.

    ``choices`` are the values of the field for which it holds, in the form that ``seen`` observes. It is None for
    operators other than ``$eq`` and ``$in``.
    """

    payload_only = True
    enters = leaves = False

    def __init__(self, path: str, keys: tuple[str, ...], name: str, written: Any, operator: Operator):
        self.path = path
        self.keys = keys
        self.field = join_path(keys)
        self.operator = name
        self.written = written
        self.seen = operator.seen_untyped(written)
        operand = operator.prepare(operator.accept(written, self.seen))
        self.choices = _choices(operator, operand)
        ask = operator.holds if is_built_in(operator) else _guarded(operator, self.field)
        self._find = finder(keys)
        self._regex = operator.name == "regex"
        self.predicate: Predicate = _compile(self._find, self.seen, ask, operand)
        self._judge: Predicate = _compile(_itself, self.seen, ask, operand)

    def holds(self, event: Event, now: datetime) -> bool:
        """Return whether the condition holds for an event."""
        return self.predicate(event.payload)

    def explain(self, event: Event, now: datetime) -> TraceStep:
        """Return the same answer with its reasons."""
        found = self._find(event.payload)
        result = self._judge(found)
        note = "" if result else self._note(found)
        return make_step((self.path, self.operator, self.written, found, event.id, result, self.field, note, ()))

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that the condition can hold for."""
        return FIRST_MOMENT

    def moving_bounds(self) -> Iterator[Callable[[datetime], datetime]]:
        """Yield how bounds on the time of events move with now."""
        return iter(())

    def _note(self, found: Any) -> str:
        if self.seen is PRESENCE:
            return ""
        if found is None:
            return "there is no value"
        if self.seen.observe(found) is NOTHING:
            return f"the value is not {self.seen.name}"
        if self._regex and len(found.encode(errors="replace")) > MAX_SUBJECT_BYTES:
            return f"the value is longer than {MAX_SUBJECT_BYTES // 1024} KiB"
        return ""


def _choices(operator: Operator, operand: Any) -> frozenset[Hashable] | None:
    if operator.name == "eq":
        return frozenset((operand,))
    return operand if operator.name == "in" else None


class MomentCondition:
    """One operator on the time of the event. Operands may be relative to now."""

    payload_only = False
    field = TIMESTAMP

    def __init__(self, path: str, name: str, written: Any, operator: Operator):
        self.path = path
        self.operator = name
        self.written = written
        self._ask = operator.holds
        self._moments = _read_moments(path, name, written)
        relative = any(isinstance(moment, Shift) for moment in self._moments)
        # A lower bound that moves on leaves events behind, an upper one lets them in; what is exact does both.
        self.enters = relative and operator.name not in ("gt", "gte")
        self.leaves = relative and operator.name not in ("lt", "lte")

    def holds(self, event: Event, now: datetime) -> bool:
        """Return whether the condition holds for an event."""
        if self.operator == "$exists":
            return bool(self.written)
        return self._ask(event.occurred_at, self._operand(now))

    def explain(self, event: Event, now: datetime) -> TraceStep:
        """Return the same answer with its reasons."""
        observed = spell_instant(event.occurred_at)
        result = self.holds(event, now)
        return TraceStep(self.path, self.operator, self.written, observed, event.id, result, self.field)

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that the condition can hold for."""
        if self.operator in ("$gt", "$gte", "$eq", "$between", "$in") and self._moments:
            return min(_resolve(moment, now) for moment in self._moments)
        return FIRST_MOMENT

    def moving_bounds(self) -> Iterator[Callable[[datetime], datetime]]:
        """Yield how bounds on the time of events move with now."""
        return (partial(_resolve, moment) for moment in self._moments if isinstance(moment, Shift))

    def _operand(self, now: datetime) -> Any:
        moments = [_resolve(moment, now) for moment in self._moments]
        return moments if self.operator in ("$between", "$in", "$nin") else moments[0]


class AnyOf:
    """``$or`` among field conditions: one of its filters holds."""

    field = ""
    operator = "$or"

    def __init__(self, path: str, filters: tuple[Filter, ...]):
        self.path = path
        self.filters = filters
        self.payload_only: bool = all(one.payload_only for one in filters)
        self.enters: bool = any(one.enters for one in filters)
        self.leaves: bool = any(one.leaves for one in filters)
        self.predicate: Predicate = _any_of(tuple(one.predicate for one in filters))

    def holds(self, event: Event, now: datetime) -> bool:
        """Return whether one of the filters holds for an event."""
        return any(one.holds(event, now) for one in self.filters)

    def explain(self, event: Event, now: datetime) -> TraceStep:
        """Return the same answer with its reasons."""
        children = tuple(one.explain(event, now) for one in self.filters)
        result = any(child.result for child in children)
        return TraceStep(self.path, "$or", None, None, event.id, result, children=children)

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that a filter can hold for."""
        return min(one.earliest(now) for one in self.filters)

    def moving_bounds(self) -> Iterator[Callable[[datetime], datetime]]:
        """Yield how bounds on the time of events move with now."""
        for one in self.filters:
            yield from one.moving_bounds()


Condition = PayloadCondition | MomentCondition | AnyOf


class Filter:
    """
    Conditions that must all hold for one event; none filter nothing.

    ``predicate`` answers for a payload. If the filter is not ``payload_only``, it answers whether an event with this
    payload can satisfy it at some time. ``enters`` and ``leaves`` tell whether an event can begin or cease to satisfy
    it as time goes on.
    """

    def __init__(self, path: str, conditions: tuple[Condition, ...]):
        self.path = path
        self.conditions = conditions
        self.payload_only: bool = all(condition.payload_only for condition in conditions)
        self.enters: bool = any(condition.enters for condition in conditions)
        self.leaves: bool = any(condition.leaves for condition in conditions)
        self.predicate: Predicate = all_of(
            tuple(one.predicate for one in conditions if not isinstance(one, MomentCondition))
        )

    def holds(self, event: Event, now: datetime) -> bool:
        """Return whether all conditions hold for an event."""
        if self.payload_only:
            return self.predicate(event.payload)
        return all(condition.holds(event, now) for condition in self.conditions)

    def steps(self, event: Event, now: datetime) -> tuple[TraceStep, ...]:
        """Return a step for each condition, also for those after the first that fails."""
        return tuple([condition.explain(event, now) for condition in self.conditions])

    def explain(self, event: Event, now: datetime) -> TraceStep:
        """Return all conditions as one step."""
        children = self.steps(event, now)
        result = all(child.result for child in children)
        return TraceStep(self.path, "criteria", None, None, event.id, result, children=children)

    def earliest(self, now: datetime) -> datetime:
        """Return the first moment of events that the filter can hold for."""
        return max((condition.earliest(now) for condition in self.conditions), default=FIRST_MOMENT)

    def moving_bounds(self) -> Iterator[Callable[[datetime], datetime]]:
        """Yield how bounds on the time of events move with now."""
        for condition in self.conditions:
            yield from condition.moving_bounds()


# --- closures --------------------------------------------------------------------------------------------------------


def _compile(find: Callable[[Any], Any], seen: ValueType, ask: Callable[[Any, Any], bool], operand: Any) -> Predicate:
    if seen is TEXT:
        return _on_text(find, ask, operand)
    if seen is JSON_NUMBER:
        return _on_number(find, ask, operand)
    if seen is JSON_BOOLEAN:
        return _on_boolean(find, ask, operand)
    return _on_any(find, seen, ask, operand)


def _itself(value: Any) -> Any:
    return value


def _on_text(find: Callable[[Any], Any], ask: Callable[[Any, Any], bool], operand: Any) -> Predicate:
    def holds(payload: Any) -> bool:
        value = find(payload)
        return type(value) is str and ask(value, operand)

    return holds


def _on_number(find: Callable[[Any], Any], ask: Callable[[Any, Any], bool], operand: Any) -> Predicate:
    def holds(payload: Any) -> bool:
        value = find(payload)
        if type(value) is int:
            return ask(value, operand)
        # NaN and the infinities are no numbers to JSON.
        return type(value) is float and value - value == 0 and ask(value, operand)

    return holds


def _on_boolean(find: Callable[[Any], Any], ask: Callable[[Any, Any], bool], operand: Any) -> Predicate:
    def holds(payload: Any) -> bool:
        value = find(payload)
        return type(value) is bool and ask(value, operand)

    return holds


def _on_any(find: Callable[[Any], Any], seen: ValueType, ask: Callable[[Any, Any], bool], operand: Any) -> Predicate:
    observe, absent = seen.observe, seen.absent

    def holds(payload: Any) -> bool:
        value = find(payload)
        observed = absent if value is None else observe(value)
        return observed is not NOTHING and ask(observed, operand)

    return holds


def _guarded(operator: Operator, field: str) -> Callable[[Any, Any], bool]:
    ask = operator.holds

    def guarded(observed: Any, operand: Any) -> bool:
        try:
            return bool(ask(observed, operand))
        except Exception as error:
            # Another package's operator that raises must not keep all other badges from their learners. No values:
            # they may be personal.
            logger.error("The operator %s failed on %s: %s", operator.name, field, type(error).__name__)
            return False

    return guarded


def _always(payload: Any) -> bool:
    return True


def all_of(predicates: tuple[Predicate, ...]) -> Predicate:
    """Return a predicate that holds when all of them do."""
    if not predicates:
        return _always
    if len(predicates) == 1:
        return predicates[0]
    if len(predicates) == 2:
        first, second = predicates
        return lambda payload: first(payload) and second(payload)
    if len(predicates) == 3:
        first, second, third = predicates
        return lambda payload: first(payload) and second(payload) and third(payload)

    def holds(payload: Any) -> bool:
        for predicate in predicates:  # noqa: SIM110 - a generator costs more than all that it asks
            if not predicate(payload):
                return False
        return True

    return holds


def _any_of(predicates: tuple[Predicate, ...]) -> Predicate:
    def holds(payload: Any) -> bool:
        for predicate in predicates:  # noqa: SIM110 - as above
            if predicate(payload):
                return True
        return False

    return holds


# --- reading ---------------------------------------------------------------------------------------------------------


class Count(NamedTuple):
    """``$eventCount``: how many events, or how many distinct values they have at a path."""

    threshold: Threshold
    distinct: str | None
    find: Callable[[Any], Any] | None


def read_filter(value: Any, path: str) -> Filter:
    """Read a field object that picks single events. Raises CriteriaError."""
    found = _read_fields(value, path)
    if EVENT_COUNT in found:
        refuse(
            below(path, EVENT_COUNT),
            'each event is asked by itself here; count in an event entry: {"event": …, "criteria": {"$eventCount": …}}',
        )
    return _filter(found, path)


def read_counted_filter(value: Any, path: str) -> tuple[Filter, Count | None]:
    """Read the ``criteria`` of an event entry, which may count. Raises CriteriaError."""
    found = _read_fields(value, path)
    count = _read_count(found.pop(EVENT_COUNT), below(path, EVENT_COUNT)) if EVENT_COUNT in found else None
    return _filter(found, path), count


def _read_fields(value: Any, path: str) -> dict[str, Any]:
    return members(value, path, 'an object of fields, such as {"score": {"$gte": 80}}')


def _filter(found: dict[str, Any], path: str) -> Filter:
    conditions: list[Condition] = []
    for field, item in found.items():
        conditions += _read_field(field, item, below(path, field))
    return Filter(path, tuple(conditions))


def _read_field(field: str, value: Any, path: str) -> list[Condition]:
    if field == "$or":
        return [_read_alternatives(value, path)]
    if field.startswith("$"):
        allowed = ("$or", EVENT_COUNT)
        refuse_operator(path, f"{field!r} does not stand among fields; write a field name, {near(field, allowed)}")
    keys = split_path(field)
    if keys[:2] == ("payload", TIMESTAMP):
        keys = keys[1:]
    elif field == TIMESTAMP:
        return [_read_moment(path, name, item, at) for name, item, at in _operators(value, path, field)]
    return [*read_conditions(keys, field, value, path)]


def read_conditions(keys: tuple[str, ...], name: str, value: Any, path: str) -> Iterator[PayloadCondition]:
    """Read what is asked of one field of the payload. Raises CriteriaError."""
    for operator, operand, where in _operators(value, path, name):
        yield _read_condition(keys, operator, operand, where)


def _read_alternatives(value: Any, path: str) -> AnyOf:
    if not isinstance(value, list) or not value:
        refuse(path, 'write a list of field objects, such as [{"score": {"$gte": 80}}, {"passed": true}]')
    filters = []
    for number, item in enumerate(value):
        where = below(path, number)
        one = read_filter(item, where)
        if not one.conditions:
            refuse(where, "write at least one field; without any, every event would do")
        filters.append(one)
    return AnyOf(path, tuple(filters))


def _operators(value: Any, path: str, field: str) -> Iterator[tuple[str, Any, str]]:
    """The operators of one field: name, operand, path."""
    if not isinstance(value, dict):
        yield "$eq", value, path
        return
    found = members(value, path, "operators")
    if not found:
        refuse(path, f'write at least one operator for {field}, such as {{"$exists": true}}')
    for name, operand in found.items():
        where = below(path, name)
        if not name.startswith("$"):
            help_text = f"${name}" if name in operator_names() else f"the field as {join_path([field])}.{name}"
            refuse_operator(where, f"{name!r} is no operator, because it has no dollar sign; write {help_text}")
        yield name, operand, where


def _read_condition(keys: tuple[str, ...], name: str, value: Any, path: str) -> PayloadCondition:
    operator = _operator(name, path)
    try:
        return PayloadCondition(path, keys, name, value, operator)
    except LimitError as error:
        raise CriteriaError("limit", path, f"write {error}") from None
    except (TypeError, ValueError) as error:  # TypeError: what another package's int(value) makes of a list
        refuse(path, f"write {error}")


def _operator(name: str, path: str) -> Operator:
    word = name.removeprefix("$")
    try:
        return find_operator(word)
    except UnknownOperator as error:
        known = operator_names()
        if word in known:  # it is there, and cannot be loaded
            refuse_operator(path, str(error))
        refuse_operator(path, f"there is no operator {name!r}; write {near(name, (f'${one}' for one in known))}")


def _read_count(value: Any, path: str) -> Count:
    if not isinstance(value, dict):
        return Count(read_bare_threshold(value, path), None, None)
    options = dict(value)
    distinct = options.pop(DISTINCT, None)
    if DISTINCT in value and (not isinstance(distinct, str) or not distinct):
        refuse(below(path, DISTINCT), "write the path of a field, such as course.course_key")
    threshold = read_threshold(options, path, EVENT_COUNT, integers=True)
    return Count(threshold, distinct, finder(field_keys(distinct)) if distinct else None)


def field_keys(path: str) -> tuple[str, ...]:
    """Return the keys that a field name of the payload leads through."""
    keys = split_path(path)
    return keys[1:] if keys[:2] == ("payload", TIMESTAMP) else keys


# --- the time of the event -------------------------------------------------------------------------------------------


def _read_moment(path: str, name: str, value: Any, where: str) -> MomentCondition:
    if name not in _MOMENT_OPERATORS:
        allowed = near(name, _MOMENT_OPERATORS)
        refuse_operator(
            where,
            f"the time of the event cannot be asked by {name!r}; write {allowed}, or payload.timestamp as the field",
        )
    return MomentCondition(where, name, value, _operator(name, where))


def _read_moments(path: str, name: str, written: Any) -> list[datetime | Shift]:
    if name == "$exists":
        if not isinstance(written, bool):
            refuse(path, "write true or false")
        return []
    if name == "$between":
        if not isinstance(written, list) or len(written) != 2:
            refuse(path, "write two bounds, [low, high]")
        low, high = (_read_one_moment(below(path, number), item) for number, item in enumerate(written))
        if isinstance(low, datetime) and isinstance(high, datetime) and low > high:
            refuse(path, "write the lower bound first: nothing lies between these two")
        return [low, high]
    if name in ("$in", "$nin"):
        if not isinstance(written, list) or not written:
            refuse(path, "write a list of at least one time")
        if len(written) > MAX_CHOICES:
            raise CriteriaError("limit", path, f"write at most {MAX_CHOICES} values")
        return [_read_one_moment(below(path, number), item) for number, item in enumerate(written)]
    return [_read_one_moment(path, written)]


def _read_one_moment(path: str, value: Any) -> datetime | Shift:
    if isinstance(value, str) and value.startswith("$NOW"):
        shift = read_now(value)
        if shift is None:
            refuse(
                path, 'write "$NOW" or one such as "$NOW(-1y-3M)", with a sign before each number; units: s m h d w M y'
            )
        return shift
    try:
        return instant(value if isinstance(value, str) else None)
    except ValueError as error:
        refuse(path, f'write {error}, or one such as "$NOW(-30d)"')


def _resolve(moment: datetime | Shift, now: datetime) -> datetime:
    return moment.after(now, UTC) if isinstance(moment, Shift) else moment
