"""
Documents in plain language: "earned when: at least 5 'login' events in the last 30 days, weekends not counted".

Every piece of text is a whole phrase with names for what is put in, so that translators can change the order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from badges.rules.criteria.chains import DurationEntry, GapEntry, SequenceEntry
from badges.rules.criteria.compiled import Criteria
from badges.rules.criteria.conditions import ConditionEntry
from badges.rules.criteria.entries import AllEntry, AnyEntry, Entry, EventEntry, NotEntry, Selection
from badges.rules.criteria.fields import AnyOf, Condition, Filter, MomentCondition
from badges.rules.criteria.figures import StatEntry
from badges.rules.criteria.frequency import AggregateEntry, Consistent, Increasing, PatternEntry, PeriodEntry
from badges.rules.criteria.texts import ENGLISH, Translations, value_text
from badges.rules.criteria.thresholds import Number, Threshold, shown
from badges.rules.criteria.windows import WindowEntry, WithinEntry

_NOW_STEP = re.compile(r"([+-])([0-9]+)([smhdwMy])")


def describe(
    criteria: Criteria, translations: Translations = ENGLISH, event_name: Callable[[str], str] | None = None
) -> str:
    """
    Return a document in plain language.

    ``translations`` holds the catalog of the reader's language. ``event_name`` says what readers call an event type;
    without it, types are quoted as they are.
    """
    renderer = _Renderer(translations, event_name or _quoted)
    return translations.gettext("earned when: {criteria}").format(criteria=renderer.entry(criteria.root))


def _quoted(event_type: str) -> str:
    return f"'{event_type}'"


class _Renderer:
    def __init__(self, translations: Translations, event_name: Callable[[str], str]):
        self._words = translations
        self._gettext = translations.gettext
        self._event_name = event_name

    def entry(self, entry: Entry) -> str:
        return _ENTRIES[type(entry)](self, entry)

    def _inside(self, entry: Entry) -> str:
        """An entry as a part of another: in parentheses if it is made of several."""
        text = self.entry(entry)
        simple = isinstance(entry, NotEntry | StatEntry) or (
            isinstance(entry, EventEntry) and not entry.selection.filter.conditions
        )
        return text if simple else f"({text})"

    # --- events -------------------------------------------------------------------------------------------------------

    def _one(self, selection: Selection) -> str:
        gettext = self._gettext
        if selection.event_type is None:
            named = gettext("an event of any type")
        else:
            named = gettext("one {event} event").format(event=self._event_name(selection.event_type))
        return self._with(named, selection.filter)

    def _many(self, selection: Selection, number: int = 2) -> str:
        ngettext = self._words.ngettext
        if selection.event_type is None:
            named = ngettext("event of any type", "events of any type", number)
        else:
            named = ngettext("{event} event", "{event} events", number)
            named = named.format(event=self._event_name(selection.event_type))
        return self._with(named, selection.filter)

    def _with(self, named: str, filtered: Filter) -> str:
        if not filtered.conditions:
            return named
        return self._gettext("{events} with {conditions}").format(events=named, conditions=self._filter(filtered))

    def _filter(self, filtered: Filter) -> str:
        return self._all(self._condition(condition) for condition in filtered.conditions)

    def _condition(self, condition: Condition) -> str:
        gettext = self._gettext
        if isinstance(condition, AnyOf):
            return f"({self._any(self._filter(one) for one in condition.filters)})"
        if isinstance(condition, MomentCondition):
            return self._moment(condition)
        if condition.operator == "$exists":
            text = gettext("{field} present") if condition.written else gettext("{field} missing")
            return text.format(field=condition.field)
        return gettext("{field} {comparison}").format(
            field=condition.field, comparison=self._comparison(condition.operator, condition.written)
        )

    def _comparison(self, operator: str, operand: Any) -> str:
        if operator == "$between":
            low, high = map(value_text, operand)
            return self._gettext("between {low} and {high}").format(low=low, high=high)
        value = ", ".join(map(value_text, operand)) if operator in ("$in", "$nin") else value_text(operand)
        return self._gettext("{operator} {value}").format(operator=self._words.operator(operator), value=value)

    def _moment(self, condition: MomentCondition) -> str:
        gettext = self._gettext
        if condition.operator == "$exists":
            return gettext("a time") if condition.written else gettext("no time")
        written = condition.written if isinstance(condition.written, list) else [condition.written]
        moments = [self._written_moment(moment) for moment in written]
        if condition.operator == "$between":
            return gettext("its time between {low} and {high}").format(low=moments[0], high=moments[1])
        phrases = {
            "$eq": gettext("its time at {moment}"),
            "$ne": gettext("its time not at {moment}"),
            "$neq": gettext("its time not at {moment}"),
            "$gt": gettext("its time after {moment}"),
            "$gte": gettext("its time at or after {moment}"),
            "$lt": gettext("its time before {moment}"),
            "$lte": gettext("its time at or before {moment}"),
            "$in": gettext("its time one of {moment}"),
            "$nin": gettext("its time none of {moment}"),
        }
        return phrases[condition.operator].format(moment=", ".join(moments))

    def _written_moment(self, written: str) -> str:
        if not written.startswith("$NOW"):
            return written
        steps = _NOW_STEP.findall(written)
        signs = {sign for sign, _, _ in steps}
        if not steps:
            return self._gettext("now")
        if len(signs) > 1:
            return written
        length = ", ".join(self._length(int(number), unit) for _, number, unit in steps)
        text = self._gettext("{length} before now") if signs == {"-"} else self._gettext("{length} after now")
        return text.format(length=length)

    def _length(self, number: int, unit: str) -> str:
        ngettext = self._words.ngettext
        texts = {
            "s": ngettext("{number} second", "{number} seconds", number),
            "m": ngettext("{number} minute", "{number} minutes", number),
            "h": ngettext("{number} hour", "{number} hours", number),
            "d": ngettext("{number} day", "{number} days", number),
            "w": ngettext("{number} week", "{number} weeks", number),
            "M": ngettext("{number} month", "{number} months", number),
            "q": ngettext("{number} quarter", "{number} quarters", number),
            "y": ngettext("{number} year", "{number} years", number),
        }
        return texts[unit].format(number=number)

    def _all(self, parts: Iterable[str]) -> str:
        return self._gettext(" and ").join(parts)

    def _any(self, parts: Iterable[str]) -> str:
        return self._gettext(" or ").join(parts)

    def _threshold(self, threshold: Threshold) -> str:
        return self._all(self._comparison(one.operator, one.written) for one in threshold.comparisons)

    # --- entries ------------------------------------------------------------------------------------------------------

    def event(self, entry: EventEntry) -> str:
        count = entry.count
        if count is None:
            return self._one(entry.selection)
        threshold = self._threshold(count.threshold)
        if count.distinct:
            return self._gettext("{threshold} different values of {field} in {events}").format(
                events=self._many(entry.selection), threshold=threshold, field=count.distinct
            )
        events = self._many(entry.selection, _grammatical_number(count.threshold))
        return self._gettext("{threshold} {events}").format(threshold=threshold, events=events)

    def all_of(self, entry: AllEntry) -> str:
        return self._all(map(self._inside, entry.entries))

    def any_of(self, entry: AnyEntry) -> str:
        return self._any(map(self._inside, entry.entries))

    def none_of(self, entry: NotEntry) -> str:
        return self._gettext("not: {criteria}").format(criteria=self._inside(entry.entry))

    def window(self, entry: WindowEntry) -> str:
        gettext = self._gettext
        start, end = (moment and _spell(moment) for moment in (entry.start, entry.end))
        if entry.last:
            unit = "M" if entry.last.unit == "m" else entry.last.unit
            length = self._length(entry.last.number, unit)
            text = gettext("{criteria} in the last {length}").format(criteria="{criteria}", length=length)
        elif start and end:
            text = gettext("{criteria} from {start} to {end}").format(criteria="{criteria}", start=start, end=end)
        elif start:
            text = gettext("{criteria} from {start} on").format(criteria="{criteria}", start=start)
        else:
            text = gettext("{criteria} until {end}").format(criteria="{criteria}", end=end)
        text = text.replace("{criteria}", self._inside(entry.flow), 1)
        excluded = [gettext("weekends not counted")] if entry.business_days_only else []
        return self._notes(text, [*excluded, *self._zone(entry.zone)])

    def within(self, entry: WithinEntry) -> str:
        return self._gettext("{criteria} within {length}").format(
            criteria=self._inside(entry.flow), length=self._length(*entry.window)
        )

    def period(self, entry: PeriodEntry) -> str:
        gettext = self._gettext
        text = gettext("{events} in {threshold} {periods}").format(
            events=self._many(entry.selection),
            threshold=self._threshold(entry.threshold),
            periods=self._different_periods(entry.periods.type, _grammatical_number(entry.threshold)),
        )
        excluded = [gettext("weekends not counted")] if entry.exclude_weekends else []
        excluded += [gettext("holidays not counted")] if entry.holidays else []
        return self._notes(text, [*excluded, *self._zone(entry.periods.zone)])

    def _different_periods(self, name: str, number: int) -> str:
        ngettext = self._words.ngettext
        texts = {
            "day": ngettext("day", "different days", number),
            "week": ngettext("week", "different weeks", number),
            "month": ngettext("month", "different months", number),
            "quarter": ngettext("quarter", "different quarters", number),
            "year": ngettext("year", "different years", number),
        }
        return texts[name]

    def pattern(self, entry: PatternEntry) -> str:
        gettext, pattern = self._gettext, entry.pattern
        if isinstance(pattern, Consistent):
            text = gettext("about as many {events} in every {period}, at most {percent} % off the mean")
            percent = pattern.max_deviation * 100
        elif isinstance(pattern, Increasing):
            text = (
                gettext("more {events} in every {period}, by {percent} % or more on average")
                if pattern.strict
                else gettext("more and more {events} per {period} on the whole, by {percent} % or more on average")
            )
            percent = pattern.min_percent
        else:
            text = gettext("fewer {events} in every {period}, by {percent} % or less at a time")
            percent = pattern.max_percent
        text = text.format(
            events=self._many(entry.selection), period=self._period(entry.periods.type), percent=shown(percent)
        )
        unit = "M" if entry.periods.type == "month" else entry.periods.type[0]
        least = gettext("over at least {length}").format(length=self._length(entry.min_periods, unit))
        current = [gettext("the current one included")] if entry.include_current else []
        return self._notes(text, [least, *current, *self._zone(entry.periods.zone)])

    def _period(self, name: str) -> str:
        gettext = self._gettext
        texts = {
            "day": gettext("day"),
            "week": gettext("week"),
            "month": gettext("month"),
            "quarter": gettext("quarter"),
            "year": gettext("year"),
        }
        return texts[name]

    def sequence(self, entry: SequenceEntry) -> str:
        gettext = self._gettext
        text = gettext(", then ").join(self._one(step) for step in entry.steps)
        notes = []
        if entry.max_gap_seconds is not None:
            length = self._hours_or_less(entry.max_gap_seconds)
            notes.append(gettext("at most {length} from one to the next").format(length=length))
        if entry.require_strict:
            notes.append(gettext("with no other event in between"))
        return self._notes(text, notes)

    def gap(self, entry: GapEntry) -> str:
        gettext = self._gettext
        bounds = []
        if entry.min_hours is not None:
            bounds.append(gettext("at least {length}").format(length=self._hours_or_less(entry.min_hours * 3600)))
        if entry.max_hours is not None:
            bounds.append(gettext("at most {length}").format(length=self._hours_or_less(entry.max_hours * 3600)))
        text = gettext("{lengths} from each of the {events} to the next").format(
            lengths=self._all(bounds), events=self._many(entry.selection)
        )
        excluded = (
            [gettext("leaving out those with {conditions}").format(conditions=self._filter(entry.excluded))]
            if entry.excluded
            else []
        )
        return self._notes(text, excluded)

    def _hours_or_less(self, seconds: Number) -> str:
        for unit, size in (("h", 3600), ("m", 60)):
            if seconds and seconds % size == 0:
                return self._length(int(seconds) // size, unit)
        ngettext = self._words.ngettext
        return ngettext("{number} second", "{number} seconds", 1 if seconds == 1 else 2).format(number=shown(seconds))

    def duration(self, entry: DurationEntry) -> str:
        gettext = self._gettext
        units = {
            "seconds": gettext("seconds"),
            "minutes": gettext("minutes"),
            "hours": gettext("hours"),
            "days": gettext("days"),
        }
        text = (
            gettext("{threshold} {unit} from {start} to {end}")
            if entry.any_pair
            else gettext("{threshold} {unit} in all from {start} to {end}")
        )
        text = text.format(
            threshold=self._threshold(entry.threshold),
            unit=units[entry.unit],
            start=self._one(entry.start),
            end=self._one(entry.end),
        )
        same = (
            [gettext("both with the same {field}").format(field=entry.match_property)] if entry.match_property else []
        )
        return self._notes(text, same)

    def aggregate(self, entry: AggregateEntry) -> str:
        gettext = self._gettext
        if entry.field is None:
            events = self._many(entry.selection, _grammatical_number(entry.threshold))
            return gettext("{threshold} {events}").format(threshold=self._threshold(entry.threshold), events=events)
        texts = {
            "min": gettext("the lowest {field} of {events} {threshold}"),
            "max": gettext("the highest {field} of {events} {threshold}"),
            "avg": gettext("the average {field} of {events} {threshold}"),
            "sum": gettext("the total {field} of {events} {threshold}"),
            "count": gettext("the number of {events} that have a number in {field} {threshold}"),
        }
        return texts[entry.kind].format(
            field=entry.field, events=self._many(entry.selection), threshold=self._threshold(entry.threshold)
        )

    def stat(self, entry: StatEntry) -> str:
        return self._all(self._condition(condition) for condition in entry.conditions)

    def condition(self, entry: ConditionEntry) -> str:
        return self._gettext("the condition {condition} for {event}").format(
            condition=_quoted(entry.condition.slug), event=self._any(self._one(one) for one in entry.selections)
        )

    def _notes(self, text: str, notes: list[str]) -> str:
        return ", ".join([text, *notes])

    def _zone(self, zone: Any) -> list[str]:
        return [] if zone is UTC else [self._gettext("on the clock of {zone}").format(zone=zone)]


def _spell(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _grammatical_number(threshold: Threshold) -> int:
    """1 if a single thing is compared with, as in "at least 1 event"."""
    written = [one.written for one in threshold.comparisons]
    return 1 if len(written) == 1 and written[0] == 1 else 2


_ENTRIES: dict[type, Callable[[_Renderer, Any], str]] = {
    EventEntry: _Renderer.event,
    AllEntry: _Renderer.all_of,
    AnyEntry: _Renderer.any_of,
    NotEntry: _Renderer.none_of,
    WindowEntry: _Renderer.window,
    WithinEntry: _Renderer.within,
    PeriodEntry: _Renderer.period,
    PatternEntry: _Renderer.pattern,
    SequenceEntry: _Renderer.sequence,
    GapEntry: _Renderer.gap,
    DurationEntry: _Renderer.duration,
    AggregateEntry: _Renderer.aggregate,
    StatEntry: _Renderer.stat,
    ConditionEntry: _Renderer.condition,
}
