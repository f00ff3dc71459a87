"""Generated documents and histories for the tests of criteria."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from badges.rules import Event

# A change of clocks, an end of February and an end of March lie around here.
NOW = datetime(2026, 3, 31, 10, 0, tzinfo=UTC)
TYPES = ("login", "quiz", "done")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")
FIELDS = ("score", "course.org", "tags", "passed")


def at(text: str) -> datetime:
    """A moment in UTC, from "2026-03-01" or "2026-03-01 09:30"."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def event(event_id: str, event_type: str = "login", when: str | datetime = NOW, **payload) -> Event:
    """An event; fields of its payload by keyword."""
    return Event(event_id, event_type, at(when) if isinstance(when, str) else when, payload)


values = st.sampled_from([None, True, False, 0, 1, 5, 5.0, 0.1, 62, 80, 2**53 + 1, "5", "X", "Y", "\u00e9", "e\u0301"])
payloads = st.fixed_dictionaries(
    {},
    optional={
        "score": values,
        "course": st.fixed_dictionaries({}, optional={"org": values}) | values,
        "course.org": values,
        "tags": st.lists(values, max_size=3) | values,
        "passed": values,
    },
)
moments = st.one_of(
    # Few moments, so that ties and equal gaps happen.
    st.integers(-6, 1).map(lambda hours: NOW + timedelta(hours=hours)),
    st.integers(-60, 3).map(lambda days: NOW + timedelta(days=days)),
    st.integers(-60 * 86400, 86400).map(lambda seconds: NOW + timedelta(seconds=seconds)),
)


@st.composite
def histories(draw, max_size=7):
    """Events of one learner with distinct ids, in any order."""
    drawn = draw(st.lists(st.tuples(st.sampled_from(TYPES), moments, payloads), max_size=max_size))
    ids = draw(st.permutations([f"e{number}" for number in range(len(drawn))]))
    return [Event(name, *content) for name, content in zip(ids, drawn, strict=True)]


# --- documents -------------------------------------------------------------------------------------------------------

types = st.sampled_from(TYPES)
orders = st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"])
scalars = st.sampled_from([True, False, 0, 1, 5, 0.1, 62, 80, 2**53, "5", "X", "Y", "\u00e9"])
numbers = st.sampled_from([0, 1, 5, 0.1, 62, 80, 2**53])
relative = st.sampled_from(["$NOW", "$NOW(-1M)", "$NOW(-30d)", "$NOW(-3h)", "$NOW(+1h)", "$NOW(-1y)"])
absolute = st.sampled_from(["2026-03-31T12:00:00+02:00", "2026-03-01T00:00:00Z", "2026-03-31T09:00:00.000001Z"])


def threshold(operand):
    """``{op: n}``."""
    return st.dictionaries(orders, operand, min_size=1, max_size=2)


counts = threshold(st.integers(0, 4))
operators = st.one_of(
    scalars,
    st.dictionaries(st.sampled_from(["$eq", "$ne"]), scalars, min_size=1),
    st.dictionaries(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), numbers, min_size=1, max_size=2),
    st.dictionaries(st.sampled_from(["$in", "$nin"]), st.lists(scalars, min_size=1, max_size=3), min_size=1),
    st.tuples(numbers, numbers).map(lambda pair: {"$between": sorted(pair)}),
    st.booleans().map(lambda flag: {"$exists": flag}),
)
plain_fields = st.dictionaries(st.sampled_from(FIELDS), operators, min_size=1, max_size=2)
moment_operators = threshold(relative | absolute)


@st.composite
def fields(draw, *, counted=False, moving=True):
    """A field object."""
    found = draw(plain_fields | st.just({}))
    if draw(st.integers(0, 4)) == 0:
        found = {**found, "$or": draw(st.lists(plain_fields, min_size=1, max_size=2))}
    if moving and draw(st.integers(0, 4)) == 0:
        found = {**found, "timestamp": draw(moment_operators)}
    if counted and draw(st.booleans()):
        count = draw(counts)
        if draw(st.booleans()):
            count = {**count, "distinct": draw(st.sampled_from(FIELDS))}
        found = {**found, "$eventCount": count}
    return found


def options(required, optional):
    """An object with some options always there and some only at times."""
    return st.fixed_dictionaries(required, optional=optional)


picks = {"event": types, "criteria": fields()}
zones = {"timezone": st.sampled_from(ZONES)}
period_types = st.sampled_from(["day", "week", "month", "quarter", "year"])
small = st.sampled_from([0, 0.1, 1, 2.5, 24, 100])
ends = options({"type": types}, {"criteria": fields()})

event_entries = options({"event": types}, {"criteria": fields(counted=True)})
time_periods = options(
    {"periodType": period_types},
    {**picks, **zones, "periodCount": counts, "excludeWeekends": st.booleans()},
) | options(
    {"periodType": period_types, "excludeHolidays": st.booleans(), "holidays": st.just(["2026-03-30", "2026-03-31"])},
    {**picks, **zones, "periodCount": counts},
)
_pattern = {"periodType": st.sampled_from(["day", "week", "month"])}
_pattern_options = {**picks, **zones, "includeCurrent": st.booleans(), "minPeriods": st.integers(2, 3)}
patterns = st.one_of(
    options({**_pattern, "pattern": st.just("consistent")}, {**_pattern_options, "maxDeviation": small}),
    options(
        {**_pattern, "pattern": st.just("increasing")},
        {**_pattern_options, "strict": st.booleans(), "minIncreasePct": small},
    ),
    options({**_pattern, "pattern": st.just("decreasing")}, {**_pattern_options, "maxDecreasePct": small}),
)
sequences = options(
    {"sequence": st.lists(types | options({"event": types}, {"criteria": fields()}), min_size=1, max_size=3)},
    {"maxGapSeconds": st.sampled_from([3600, 7200, 0.5, 86400]), "requireStrict": st.booleans()},
)
gaps = st.one_of(
    options({"minGapHours": small}, {**picks, "excludeConditions": plain_fields}),
    options({"maxGapHours": small}, {**picks, "excludeConditions": plain_fields}),
)
durations = options(
    {"startEvent": ends, "endEvent": ends, "duration": threshold(small)},
    {
        "unit": st.sampled_from(["seconds", "minutes", "hours", "days"]),
        "matchProperty": st.sampled_from(FIELDS),
        "of": st.sampled_from(["total", "any"]),
    },
)
aggregates = options(
    {
        "type": st.sampled_from(["min", "max", "avg", "sum", "count"]),
        "field": st.sampled_from(FIELDS),
        "value": threshold(numbers),
    },
    picks,
)
stats = st.dictionaries(st.sampled_from(["xp", "current_streak"]), threshold(st.integers(0, 3)), min_size=1, max_size=2)
figures = st.dictionaries(st.sampled_from(["xp", "current_streak"]), st.integers(0, 3))

leaves = st.one_of(
    event_entries,
    event_entries,
    time_periods.map(lambda value: {"$timePeriod": value}),
    patterns.map(lambda value: {"$pattern": value}),
    sequences.map(lambda value: {"$sequence": value}),
    gaps.map(lambda value: {"$gap": value}),
    durations.map(lambda value: {"$duration": value}),
    aggregates.map(lambda value: {"$aggregate": value}),
    stats.map(lambda value: {"$stat": value}),
)
_days = {"businessDaysOnly": st.booleans(), **zones}
lasts = st.sampled_from(["1d", "3d", "1w", "1m", "2m", "1q", "1y"])


def _composed(inner):
    windows = st.one_of(
        options({"flow": inner, "last": lasts}, _days),
        options({"flow": inner, "start": st.just("2026-03-10T00:00:00+01:00")}, _days),
        options({"flow": inner, "end": st.just("2026-03-31T08:00:00Z")}, _days),
    )
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda entries: {"$and": entries}),
        st.lists(inner, min_size=1, max_size=3).map(lambda entries: {"$or": entries}),
        inner.map(lambda one: {"$not": one}),
        windows.map(lambda window: {"$timeWindow": window}),
        options({"window": st.sampled_from(["30m", "2h", "1d", "2w"]), "conditions": inner}, {}).map(
            lambda window: {"$withinTimeWindow": window}
        ),
    )


documents = st.recursive(leaves, _composed, max_leaves=4)
