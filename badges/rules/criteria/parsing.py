"""From a checked document to entries: which keys stand where, and the errors for those that do not."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from badges.rules.criteria.calendar import PERIOD_TYPES, Length, Periods, read_last, read_length
from badges.rules.criteria.chains import UNITS, DurationEntry, GapEntry, SequenceEntry
from badges.rules.criteria.conditions import ConditionEntry, ConditionLookup, UnknownCondition, find_condition
from badges.rules.criteria.entries import AllEntry, AnyEntry, Entry, EventEntry, NotEntry, Selection
from badges.rules.criteria.fields import Filter, field_keys, read_conditions, read_counted_filter, read_filter
from badges.rules.criteria.figures import StatEntry
from badges.rules.criteria.frequency import (
    AggregateEntry,
    Consistent,
    Decreasing,
    Increasing,
    Pattern,
    PatternEntry,
    PeriodEntry,
)
from badges.rules.criteria.options import COMMENT, Options, members, near, refuse, refuse_operator
from badges.rules.criteria.pointers import below
from badges.rules.criteria.thresholds import Number, exact, read_threshold
from badges.rules.criteria.windows import WindowEntry, WithinEntry
from badges.rules.errors import CriteriaError
from badges.rules.operators import operator_names
from badges.rules.paths import finder

MAX_HOLIDAYS = 1000

_EXPECTED = 'an object with one entry, such as {"event": "…"}'
_FILTERS = ("event", "criteria", COMMENT)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_INSTEAD = {
    "steps": 'write {"$sequence": {"sequence": […]}} for events one after the other, {"$and": […]} for all of several',
    "condition": 'write {"event": …, "criteria": {…}}, or {"$condition": {"type": …}} for a registered condition',
}


class Parser(NamedTuple):
    """Reads documents. ``conditions`` finds conditions that no entry point brings."""

    conditions: ConditionLookup | None = None

    def entry(self, value: Any, path: str) -> Entry:
        """Read a document, or one inside another. Raises CriteriaError."""
        found = members(value, path, _EXPECTED)
        plain = [key for key in found if not key.startswith("$")]
        for key in plain:
            if key not in ("event", "criteria"):
                instead = _INSTEAD.get(key, f"write {_EXPECTED}, or an operator such as $and")
                raise CriteriaError(
                    "unsupported_format", below(path, key), f"{key!r} is not part of criteria; {instead}"
                )
        operators = [key for key in found if key.startswith("$")]
        for key in operators:
            if key not in _ENTRIES:
                refuse_operator(below(path, key), _unknown(key))
        if len(operators) + bool(plain) > 1:
            both = " and ".join(operators + plain)
            refuse(path, f'write one entry here, not {both}; several belong into {{"$and": […]}}')
        if operators:
            name = operators[0]
            return _ENTRIES[name](self, found[name], below(path, name))
        if not plain:
            refuse(path, f"write {_EXPECTED}")
        return self._event(value, path)

    def _event(self, value: Any, path: str) -> EventEntry:
        options = Options(value, path, "an event entry", _FILTERS)
        event_type, where = options.text("event"), options.where("event")
        if "criteria" not in options:
            return EventEntry(path, Selection(where, event_type, Filter(below(path, "criteria"), ())), None)
        filtered, count = read_counted_filter(options.value("criteria"), options.where("criteria"))
        return EventEntry(path, Selection(where, event_type, filtered), count)

    def _list(self, value: Any, path: str) -> tuple[Entry, ...]:
        if not isinstance(value, list) or not value:
            refuse(path, f"write a list of at least one entry, each {_EXPECTED}")
        return tuple(self.entry(item, below(path, number)) for number, item in enumerate(value))

    def _all(self, value: Any, path: str) -> AllEntry:
        return AllEntry(path, self._list(value, path))

    def _any(self, value: Any, path: str) -> AnyEntry:
        return AnyEntry(path, self._list(value, path))

    def _not(self, value: Any, path: str) -> NotEntry:
        return NotEntry(path, self.entry(value, path))

    def _time_window(self, value: Any, path: str) -> WindowEntry:
        allowed = ("start", "end", "last", "businessDaysOnly", "timezone", "flow", COMMENT)
        options = Options(value, path, "$timeWindow", allowed)
        start, end, last = options.moment("start"), options.moment("end"), None
        if "last" in options:
            if start or end:
                refuse(options.where("last"), "write either last, or start and end")
            last = read_last(options.text("last"))
            if last is None:
                where = options.where("last")
                refuse(where, "write a number and a unit, such as 30d; units: d w m q y, where m is months")
        elif start is None and end is None:
            refuse(path, "$timeWindow needs start or end or last; add one")
        if start and end and end < start:
            refuse(options.where("end"), "write an end that is not before the start")
        return WindowEntry(
            path,
            self.entry(options.value("flow"), options.where("flow")),
            start=start,
            end=end,
            last=last,
            business_days_only=options.flag("businessDaysOnly"),
            zone=options.zone(),
        )

    def _within(self, value: Any, path: str) -> WithinEntry:
        options = Options(value, path, "$withinTimeWindow", ("window", "conditions", COMMENT))
        window: Length | None = read_length(options.text("window"))
        if window is None:
            where = options.where("window")
            refuse(where, "write a number and a unit, such as 24h; units: s m h d w, where m is minutes")
        conditions = self.entry(options.value("conditions"), options.where("conditions"))
        _check_intervals_inside(conditions)
        return WithinEntry(path, conditions, window)

    def _time_period(self, value: Any, path: str) -> PeriodEntry:
        allowed = ("periodType", "periodCount", "excludeWeekends", "excludeHolidays", "holidays", "timezone", *_FILTERS)
        options = Options(value, path, "$timePeriod", allowed)
        at_least_one, where = {"$gte": 1}, options.where("periodCount")
        written = options.value("periodCount") if "periodCount" in options else at_least_one
        return PeriodEntry(
            path,
            _selection(options),
            periods=Periods(options.choice("periodType", PERIOD_TYPES), options.zone()),
            threshold=read_threshold(written, where, "periodCount", integers=True),
            exclude_weekends=options.flag("excludeWeekends"),
            holidays=_holidays(options),
        )

    def _pattern(self, value: Any, path: str) -> PatternEntry:
        common = ("pattern", "periodType", "minPeriods", "includeCurrent", "timezone")
        every = tuple(name for names in _PATTERN_OPTIONS.values() for name in names)
        options = Options(value, path, "$pattern", (*common, *every, *_FILTERS))
        name = options.choice("pattern", tuple(_PATTERN_OPTIONS))
        for option in every:
            if option in options and option not in _PATTERN_OPTIONS[name]:
                fitting = next(key for key, names in _PATTERN_OPTIONS.items() if option in names)
                refuse(options.where(option), f"{option} belongs to the pattern {fitting}; leave it out")
        return PatternEntry(
            path,
            _selection(options),
            periods=Periods(options.choice("periodType", PERIOD_TYPES), options.zone()),
            name=name,
            pattern=_read_pattern(options, name),
            min_periods=options.integer("minPeriods", 3, minimum=2),
            include_current=options.flag("includeCurrent"),
        )

    def _sequence(self, value: Any, path: str) -> SequenceEntry:
        options = Options(value, path, "$sequence", ("sequence", "maxGapSeconds", "requireStrict", COMMENT))
        steps, where = options.value("sequence"), options.where("sequence")
        if not isinstance(steps, list) or not steps:
            refuse(where, 'write a list of event types or event entries, such as ["…", {"event": "…"}]')
        gap = options.number("maxGapSeconds", above_zero=True) if "maxGapSeconds" in options else None
        return SequenceEntry(
            path,
            tuple(_step(step, below(where, number)) for number, step in enumerate(steps)),
            max_gap_seconds=None if gap is None else exact(gap),
            require_strict=options.flag("requireStrict"),
        )

    def _gap(self, value: Any, path: str) -> GapEntry:
        allowed = ("minGapHours", "maxGapHours", "excludeConditions", *_FILTERS)
        options = Options(value, path, "$gap", allowed)
        shortest, longest = _optional_number(options, "minGapHours"), _optional_number(options, "maxGapHours")
        if shortest is None and longest is None:
            refuse(path, "$gap needs minGapHours or maxGapHours; add one")
        if shortest is not None and longest is not None and longest < shortest:
            refuse(options.where("maxGapHours"), "write a number that is not below minGapHours")
        excluded = None
        if "excludeConditions" in options:
            excluded = read_filter(options.value("excludeConditions"), options.where("excludeConditions"))
            if not excluded.conditions:
                refuse(options.where("excludeConditions"), "write at least one field; without any, no event is left")
        return GapEntry(path, _selection(options), min_hours=shortest, max_hours=longest, excluded=excluded)

    def _duration(self, value: Any, path: str) -> DurationEntry:
        allowed = ("startEvent", "endEvent", "duration", "unit", "matchProperty", "of", COMMENT)
        options = Options(value, path, "$duration", allowed)
        match_property = options.text("matchProperty") if "matchProperty" in options else None
        return DurationEntry(
            path,
            _one_end(options, "startEvent"),
            _one_end(options, "endEvent"),
            threshold=read_threshold(options.value("duration"), options.where("duration"), "duration"),
            unit=options.choice("unit", tuple(UNITS), "hours"),
            any_pair=options.choice("of", ("total", "any"), "total") == "any",
            match_property=match_property,
            find=finder(field_keys(match_property)) if match_property else None,
        )

    def _aggregate(self, value: Any, path: str) -> AggregateEntry:
        options = Options(value, path, "$aggregate", ("type", "field", "value", *_FILTERS))
        kind = options.choice("type", ("min", "max", "avg", "sum", "count"))
        field = options.text("field") if kind != "count" or "field" in options else None
        return AggregateEntry(
            path,
            _selection(options),
            kind=kind,
            field=field,
            find=finder(field_keys(field)) if field else None,
            threshold=read_threshold(options.value("value"), options.where("value"), "value"),
        )

    def _stat(self, value: Any, path: str) -> StatEntry:
        found = members(value, path, 'an object with a figure, such as {"xp": {"$gte": 50}}')
        if not found:
            refuse(path, 'write at least one figure, such as {"xp": {"$gte": 50}}')
        for name in found:
            if name.startswith("$") or not name:
                refuse_operator(below(path, name), f"{name!r} is no figure; write the name of one, such as xp")
        return StatEntry(
            path,
            tuple(
                condition
                for name, item in found.items()
                for condition in read_conditions((name,), name, item, below(path, name))
            ),
        )

    def _condition(self, value: Any, path: str) -> ConditionEntry:
        options = Options(value, path, "$condition", ("type", "params", *_FILTERS))
        try:
            condition = find_condition(options.text("type"), self.conditions)
        except UnknownCondition as error:
            refuse(options.where("type"), str(error))
        params = options.value("params") if "params" in options else {}
        if not isinstance(params, dict):
            refuse(options.where("params"), "write an object for params")
        if condition.check_params:
            try:
                condition.check_params(params)
            except ValueError as error:
                refuse(options.where("params"), f"write {error}")
        filtered = _selection(options)
        types = [filtered.event_type] if filtered.event_type else list(condition.event_types)
        if not types:
            refuse(path, f"the condition {condition.slug!r} names no event types; add 'event'")
        where = options.where("event") if filtered.event_type else options.where("type")
        selections = tuple(Selection(where, name, filtered.filter) for name in types)
        return ConditionEntry(path, condition, params, selections)


_ENTRIES: dict[str, Callable[[Parser, Any, str], Entry]] = {
    "$and": Parser._all,
    "$or": Parser._any,
    "$not": Parser._not,
    "$timeWindow": Parser._time_window,
    "$withinTimeWindow": Parser._within,
    "$timePeriod": Parser._time_period,
    "$pattern": Parser._pattern,
    "$sequence": Parser._sequence,
    "$gap": Parser._gap,
    "$duration": Parser._duration,
    "$aggregate": Parser._aggregate,
    "$stat": Parser._stat,
    "$condition": Parser._condition,
}

ENTRY_NAMES = ("event", *_ENTRIES)

_PATTERN_OPTIONS = {
    "consistent": ("maxDeviation",),
    "increasing": ("strict", "minIncreasePct"),
    "decreasing": ("maxDecreasePct",),
}


def _check_intervals_inside(entry: Entry) -> None:
    """
    Raise CriteriaError if an interval inside an interval may be undone by further events.

    For those that are not, the first event that is missing answers for all intervals around. For the others, each
    interval around would have to look at its events again, and so would the next one around.
    """
    if isinstance(entry, WithinEntry) and not entry.flow.grows:
        message = (
            "inside another $withinTimeWindow, write conditions that further events never make false: no $not, "
            "no exact or greatest number of events, no sum or average, and none of $gap, $duration, $pattern, "
            "$condition and requireStrict; or write this interval beside the other one"
        )
        raise CriteriaError("limit", below(entry.path, "conditions"), message)
    for child in entry.children():
        _check_intervals_inside(child)


def _unknown(name: str) -> str:
    if name.removeprefix("$") in operator_names() or name == "$eventCount":
        return f'{name} compares fields; write it inside criteria: {{"event": …, "criteria": {{…}}}}'
    return f"there is no entry {name!r}; write {near(name, ENTRY_NAMES)}"


def _selection(options: Options) -> Selection:
    event_type = options.text("event") if "event" in options else None
    named = options.where("event") if "event" in options else options.path
    where = options.where("criteria")
    filtered = read_filter(options.value("criteria"), where) if "criteria" in options else Filter(where, ())
    return Selection(named, event_type, filtered)


def _step(value: Any, path: str) -> Selection:
    if isinstance(value, str):
        if not value:
            refuse(path, "write an event type that is not empty")
        return Selection(path, value, Filter(path, ()))
    options = Options(value, path, "an event entry", _FILTERS)
    options.text("event")
    return _selection(options)


def _one_end(options: Options, name: str) -> Selection:
    found = Options(options.value(name), options.where(name), name, ("type", "criteria", COMMENT))
    where = found.where("criteria")
    filtered = read_filter(found.value("criteria"), where) if "criteria" in found else Filter(where, ())
    return Selection(found.where("type"), found.text("type"), filtered)


def _optional_number(options: Options, name: str) -> Number | None:
    return exact(options.number(name)) if name in options else None


def _read_pattern(options: Options, name: str) -> Pattern:
    if name == "consistent":
        return Consistent(exact(options.number("maxDeviation", 0.2)))
    if name == "increasing":
        return Increasing(options.flag("strict", True), exact(options.number("minIncreasePct", 5)))
    return Decreasing(exact(options.number("maxDecreasePct", 20)))


def _holidays(options: Options) -> frozenset[date]:
    excluded = options.flag("excludeHolidays")
    where = options.where("holidays")
    if "holidays" not in options:
        if excluded:
            refuse(options.path, 'excludeHolidays needs holidays; add "holidays": ["YYYY-MM-DD"]')
        return frozenset()
    if "excludeHolidays" not in options:
        refuse(where, 'holidays does nothing by itself; add "excludeHolidays": true')
    written = options.value("holidays")
    if not isinstance(written, list):
        refuse(where, "write a list of dates, such as 2026-12-25")
    if len(written) > MAX_HOLIDAYS:
        raise CriteriaError("limit", where, f"write at most {MAX_HOLIDAYS} dates")
    days = frozenset(_date(item, below(where, number)) for number, item in enumerate(written))
    return days if excluded else frozenset()


def _date(value: Any, path: str) -> date:
    try:
        if isinstance(value, str) and _DATE.fullmatch(value):
            return date.fromisoformat(value)
    except ValueError:
        pass  # the 31st of February
    refuse(path, "write a date, such as 2026-12-25")
