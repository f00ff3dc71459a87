"""
A second, deliberately simple evaluation of criteria documents, written from the reference page alone.

It reads the JSON again at every step, tries every combination and rounds nothing, so it is slow and easy to believe.
It knows the operators that ``documents.py`` generates.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo


def naive(document, history, now, figures=None):
    """Is the document satisfied?"""
    unique = {}
    for event in history:
        unique[event.id] = event
    events = sorted(unique.values(), key=lambda event: (event.occurred_at, event.id))
    return entry(document, events, now, figures or {})


def entry(document, events, now, figures):
    document = {key: value for key, value in document.items() if key != "$comment"}
    if "event" in document:
        return event_entry(document, events, now)
    ((name, options),) = document.items()
    if name == "$and":
        return all(entry(one, events, now, figures) for one in options)
    if name == "$or":
        return any(entry(one, events, now, figures) for one in options)
    if name == "$not":
        return not entry(options, events, now, figures)
    if name == "$timeWindow":
        return entry(options["flow"], [e for e in events if in_window(options, e, now)], now, figures)
    if name == "$withinTimeWindow":
        return within(options, events, now, figures)
    if name == "$stat":
        return all(field({name: figures.get(name)}, name, wanted) for name, wanted in options.items())
    return OVER_TIME[name](options, events, now)


def picked(options, events, now):
    return [
        event
        for event in events
        if options.get("event") in (None, event.type) and satisfies(event, options.get("criteria", {}), now)
    ]


def event_entry(document, events, now):
    criteria = dict(document.get("criteria", {}))
    count = criteria.pop("$eventCount", None)
    found = picked({"event": document["event"], "criteria": criteria}, events, now)
    if count is None:
        return len(found) > 0
    if not isinstance(count, dict):
        return len(found) == count
    count = dict(count)
    path = count.pop("distinct", None)
    number = len(found)
    if path:
        values = [look_up(event.payload, path) for event in found]
        number = len({json.dumps(value, sort_keys=True) for value in values if value is not None})
    return compares(number, count)


# --- fields ----------------------------------------------------------------------------------------------------------


def satisfies(event, criteria, now):
    for name, wanted in criteria.items():
        if name == "$or":
            if not any(satisfies(event, one, now) for one in wanted):
                return False
        elif name == "timestamp":
            for operator, operand in (wanted if isinstance(wanted, dict) else {"$eq": wanted}).items():
                if not order(operator, event.occurred_at, moment(operand, now)):
                    return False
        elif not field(event.payload, name, wanted):
            return False
    return True


def moment(text, now):
    if not text.startswith("$NOW"):
        return datetime.fromisoformat(text)
    if text == "$NOW":
        return now
    sign, number, unit = text[5], int(text[6:-2]), text[-2]
    number = -number if sign == "-" else number
    if unit in "My":
        return months_later(now, number * (12 if unit == "y" else 1))
    return (
        now
        + number
        * {
            "s": timedelta(seconds=1),
            "m": timedelta(minutes=1),
            "h": timedelta(hours=1),
            "d": timedelta(days=1),
            "w": timedelta(days=7),
        }[unit]
    )


def look_up(payload, path):
    """A value that is there and not null, else None. The generated paths have at most one dot."""
    if not isinstance(payload, dict):
        return None
    if path in payload:
        return payload[path]
    first, _, second = path.partition(".")
    inner = payload.get(first)
    return inner.get(second) if second and isinstance(inner, dict) else None


def field(payload, path, wanted):
    value = look_up(payload, path)
    wanted = wanted if isinstance(wanted, dict) else {"$eq": wanted}
    return all(holds(operator, value, operand) for operator, operand in wanted.items())


def holds(operator, value, operand):
    if operator == "$exists":
        return (value is not None) == operand
    if value is None:
        return False
    if operator in ("$eq", "$ne"):
        return same(value, operand) == (operator == "$eq")
    if operator in ("$in", "$nin"):
        return any(same(value, one) for one in operand) == (operator == "$in")
    if operator == "$contains":
        return operand in value if isinstance(value, str) else any(same(one, operand) for one in value)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if operator == "$between":
        return operand[0] <= value <= operand[1]
    return order(operator, value, operand)


def same(one, other):
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def order(operator, one, other):
    return {
        "$eq": one == other,
        "$ne": one != other,
        "$gt": one > other,
        "$gte": one >= other,
        "$lt": one < other,
        "$lte": one <= other,
    }[operator]


def compares(number, threshold):
    return all(order(operator, number, as_written(operand)) for operator, operand in threshold.items())


def as_written(number):
    return Fraction(repr(number))


# --- time ------------------------------------------------------------------------------------------------------------


def months_later(when, months):
    total = when.year * 12 + when.month - 1 + months
    for day in range(when.day, 0, -1):
        try:
            return when.replace(year=total // 12, month=total % 12 + 1, day=day)
        except ValueError:
            continue
    raise AssertionError


def zone_of(options):
    return ZoneInfo(options.get("timezone", "UTC"))


def in_window(options, event, now):
    zone = zone_of(options)
    local = event.occurred_at.astimezone(zone)
    if options.get("businessDaysOnly") and local.isoweekday() > 5:
        return False
    if "last" in options:
        number, unit = int(options["last"][:-1]), options["last"][-1]
        here = now.astimezone(zone)
        if unit in "dw":
            start = here - timedelta(days=number * (7 if unit == "w" else 1))
        else:
            start = months_later(here, -number * {"m": 1, "q": 3, "y": 12}[unit])
        return start.astimezone(UTC) <= event.occurred_at <= now
    return ("start" not in options or datetime.fromisoformat(options["start"]) <= event.occurred_at) and (
        "end" not in options or event.occurred_at <= datetime.fromisoformat(options["end"])
    )


def within(options, events, now, figures):
    number, unit = int(options["window"][:-1]), options["window"][-1]
    length = number * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
    types = read_types(options["conditions"])
    for begin in events:
        if None not in types and begin.type not in types:
            continue
        inside = [e for e in events if timedelta(0) <= e.occurred_at - begin.occurred_at <= timedelta(seconds=length)]
        if entry(options["conditions"], inside, now, figures):
            return True
    return False


def read_types(document):
    if "event" in document:
        return {document["event"]}
    ((name, options),) = ((key, value) for key, value in document.items() if key != "$comment")
    if name in ("$and", "$or"):
        return set().union(*map(read_types, options))
    if name == "$not":
        return read_types(options)
    if name == "$timeWindow":
        return read_types(options["flow"])
    if name == "$withinTimeWindow":
        return read_types(options["conditions"])
    if name == "$stat":
        return set()
    if name == "$sequence":
        types = {step if isinstance(step, str) else step["event"] for step in options["sequence"]}
        return types | ({None} if options.get("requireStrict") else set())
    if name == "$duration":
        return {options["startEvent"]["type"], options["endEvent"]["type"]}
    return {options.get("event")}


def period_key(name, day):
    return {
        "day": (day,),
        "week": day.isocalendar()[:2],
        "month": (day.year, day.month),
        "quarter": (day.year, (day.month - 1) // 3),
        "year": (day.year,),
    }[name]


def time_period(options, events, now):
    zone = zone_of(options)
    holidays = (
        [date.fromisoformat(day) for day in options.get("holidays", [])] if options.get("excludeHolidays") else []
    )
    days = [event.occurred_at.astimezone(zone).date() for event in picked(options, events, now)]
    keys = {
        period_key(options["periodType"], day)
        for day in days
        if not (options.get("excludeWeekends") and day.isoweekday() > 5) and day not in holidays
    }
    return compares(len(keys), options.get("periodCount", {"$gte": 1}))


def pattern(options, events, now):
    zone, name = zone_of(options), options["periodType"]
    today = now.astimezone(zone).date()
    current = period_key(name, today)
    days = [event.occurred_at.astimezone(zone).date() for event in picked(options, events, now)]
    keys = [period_key(name, day) for day in days if period_key(name, day) <= current]
    if not options.get("includeCurrent"):
        keys = [key for key in keys if key != current]
    counts = []
    if keys:
        day = min(day for day in days if period_key(name, day) in keys)
        every = []
        while period_key(name, day) <= max(keys):
            if period_key(name, day) not in every:
                every.append(period_key(name, day))
            day += timedelta(days=1)
        counts = [keys.count(key) for key in every]
    if len(counts) < options.get("minPeriods", 3):
        return False
    if options["pattern"] == "consistent":
        mean = Fraction(sum(counts), len(counts))
        return all(abs(count - mean) <= as_written(options.get("maxDeviation", 0.2)) * mean for count in counts)
    changes = [
        Fraction(after - before, before) * 100 if before else Fraction(100 if after else 0)
        for before, after in itertools.pairwise(counts)
    ]
    if options["pattern"] == "decreasing":
        return all(-as_written(options.get("maxDecreasePct", 20)) <= change < 0 for change in changes)
    mean_x, mean_y = Fraction(len(counts) - 1, 2), Fraction(sum(counts), len(counts))
    slope = sum((x - mean_x) * (y - mean_y) for x, y in enumerate(counts))
    up = all(after > before for before, after in itertools.pairwise(counts))
    mean_change = sum(changes, Fraction(0)) / len(changes)
    return (
        slope > 0
        and (up or not options.get("strict", True))
        and mean_change >= as_written(options.get("minIncreasePct", 5))
    )


# --- one after the other ---------------------------------------------------------------------------------------------


def sequence(options, events, now):
    steps = [step if isinstance(step, dict) else {"event": step} for step in options["sequence"]]
    for chain in itertools.combinations(range(len(events)), len(steps)):
        pairs = list(itertools.pairwise(chain))
        if not all(picked(step, [events[index]], now) for step, index in zip(steps, chain, strict=True)):
            continue
        if any(events[one].occurred_at >= events[other].occurred_at for one, other in pairs):
            continue
        longest = options.get("maxGapSeconds")
        if longest is not None and any(
            seconds(events[other].occurred_at - events[one].occurred_at) > as_written(longest) for one, other in pairs
        ):
            continue
        if options.get("requireStrict") and any(other != one + 1 for one, other in pairs):
            continue
        return True
    return False


def seconds(length):
    return Fraction(length.days * 86400 + length.seconds) + Fraction(length.microseconds, 1_000_000)


def gap(options, events, now):
    found = picked(options, events, now)
    if "excludeConditions" in options:
        found = [event for event in found if not satisfies(event, options["excludeConditions"], now)]
    hours = [seconds(after.occurred_at - before.occurred_at) / 3600 for before, after in itertools.pairwise(found)]
    return bool(hours) and all(
        hour >= as_written(options.get("minGapHours", 0)) and hour <= as_written(options.get("maxGapHours", 10**9))
        for hour in hours
    )


def duration(options, events, now):
    def is_end(event, end):
        return event.type == end["type"] and satisfies(event, end.get("criteria", {}), now)

    lengths, closed = [], set()
    size = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86400}[options.get("unit", "hours")]
    for position, event in enumerate(events):
        if not is_end(event, options["endEvent"]):
            continue
        for earlier in range(position - 1, -1, -1):
            start = events[earlier]
            if earlier in closed or not is_end(start, options["startEvent"]):
                continue
            if "matchProperty" in options:
                one, other = (look_up(e.payload, options["matchProperty"]) for e in (start, event))
                if one is None or other is None or not same(one, other):
                    continue
            closed.add(earlier)
            lengths.append(seconds(event.occurred_at - start.occurred_at) / size)
            break
    if options.get("of") == "any":
        return any(compares(length, options["duration"]) for length in lengths)
    return bool(lengths) and compares(sum(lengths), options["duration"])


def aggregate(options, events, now):
    found = picked(options, events, now)
    if "field" not in options:
        return compares(len(found), options["value"])
    values = [look_up(event.payload, options["field"]) for event in found]
    numbers = [as_written(v) for v in values if isinstance(v, (int, float)) and not isinstance(v, bool)]
    kind = options["type"]
    if kind in ("min", "max", "avg") and not numbers:
        return False
    number = {
        "min": lambda: min(numbers),
        "max": lambda: max(numbers),
        "avg": lambda: sum(numbers) / len(numbers),
        "sum": lambda: sum(numbers),
        "count": lambda: len(numbers),
    }[kind]()
    return compares(number, options["value"])


OVER_TIME = {
    "$timePeriod": time_period,
    "$pattern": pattern,
    "$sequence": sequence,
    "$gap": gap,
    "$duration": duration,
    "$aggregate": aggregate,
}
