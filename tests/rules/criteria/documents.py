"""Generated documents and histories for the tests of criteria."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from badges.rules import CriteriaError, Event, parse_criteria

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
def histories(draw, min_size=0, max_size=7):
    """Events of one learner with distinct ids, in any order."""
    events = st.tuples(st.sampled_from(TYPES), moments, payloads)
    drawn = draw(st.lists(events, min_size=min_size, max_size=max_size))
    ids = draw(st.permutations([f"e{number}" for number in range(len(drawn))]))
    return [Event(name, *content) for name, content in zip(ids, drawn, strict=True)]


@st.composite
def dense_histories(draw):
    """Many events of two types at few moments: ties, equal gaps and full periods."""
    step = draw(st.sampled_from([timedelta(hours=1), timedelta(days=1)]))
    drawn = draw(st.lists(st.tuples(st.sampled_from(TYPES[:2]), st.integers(-5, 0)), min_size=3, max_size=8))
    return [Event(f"e{number}", name, NOW + steps * step, {}) for number, (name, steps) in enumerate(drawn)]


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
    # Most filter nothing, since two conditions drawn at random hardly ever hold.
    found = draw(plain_fields) if draw(st.integers(0, 4)) == 0 else {}
    if draw(st.integers(0, 5)) == 0:
        found = {**found, "$or": draw(st.lists(plain_fields, min_size=1, max_size=2))}
    if moving and draw(st.integers(0, 5)) == 0:
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


def named(name, strategy):
    """Entries of one name."""
    return strategy.map(lambda value: {name: value})


KINDS = {
    "event": event_entries,
    "$timePeriod": named("$timePeriod", time_periods),
    "$pattern": named("$pattern", patterns),
    "$sequence": named("$sequence", sequences),
    "$gap": named("$gap", gaps),
    "$duration": named("$duration", durations),
    "$aggregate": named("$aggregate", aggregates),
    "$stat": named("$stat", stats),
}
leaves = st.one_of(event_entries, *KINDS.values())
_days = {"businessDaysOnly": st.booleans(), **zones}
lasts = st.sampled_from(["1d", "3d", "1w", "1m", "2m", "1q", "1y"])


def windows(inner):
    """Windows over what the strategy gives."""
    flow = {"flow": inner}
    return named(
        "$timeWindow",
        options({**flow, "last": lasts}, _days)
        | options({**flow, "start": st.just("2026-03-31T08:00:00+02:00")}, _days)
        | options({**flow, "end": st.just("2026-03-31T08:00:00Z")}, _days),
    )


def intervals(inner):
    """Intervals of a fixed length over what the strategy gives."""
    lengths = st.sampled_from(["30m", "1h", "2h", "1d", "2w"])
    return named("$withinTimeWindow", options({"window": lengths, "conditions": inner}, {}))


def logic(inner):
    """$and, $or and $not over what the strategy gives."""
    several = st.lists(inner, min_size=1, max_size=3)
    return named("$and", several) | named("$or", several) | named("$not", inner)


def _composed(inner):
    return logic(inner) | windows(inner) | intervals(inner)


counted = options({"event": types}, {"criteria": counts.map(lambda count: {"$eventCount": count})})
KINDS |= {
    "$timeWindow": windows(counted | logic(counted)),
    "$withinTimeWindow": intervals(counted | logic(counted)),
}


def is_bounded(document):
    """Does the parser accept the intervals inside intervals of a document?"""
    try:
        parse_criteria(document)
    except CriteriaError as error:
        if error.kind != "limit":
            raise
        return False
    return True


documents = st.recursive(leaves, _composed, max_leaves=4).filter(is_bounded) | st.one_of(*KINDS.values())

# --- what more events never make false --------------------------------------------------------------------------------

_enough = st.dictionaries(st.sampled_from(["$gt", "$gte"]), st.integers(0, 3), min_size=1)
_too_many = st.dictionaries(st.sampled_from(["$lt", "$lte"]), st.integers(0, 3), min_size=1)


def _counted(threshold):
    return st.one_of(
        options({"event": types}, {}).flatmap(
            lambda entry: threshold.map(lambda count: {**entry, "criteria": {"$eventCount": count}})
        ),
        st.tuples(types, threshold, st.sampled_from(FIELDS)).map(
            lambda drawn: {"event": drawn[0], "criteria": {"$eventCount": {**drawn[1], "distinct": drawn[2]}}}
        ),
        named(
            "$timePeriod",
            options(
                {"periodType": period_types, "periodCount": threshold}, {**picks, "excludeWeekends": st.booleans()}
            ),
        ),
        named(
            "$aggregate", options({"type": st.just("count"), "value": threshold}, {**picks, "field": st.just("score")})
        ),
    )


_chains = options(
    {"sequence": st.lists(types | options({"event": types}, {"criteria": fields()}), min_size=1, max_size=3)},
    {"maxGapSeconds": st.sampled_from([3600, 7200, 0.5, 86400])},
)
_extremes = st.one_of(
    options({"type": st.just("max"), "field": st.just("score"), "value": _enough}, picks),
    options({"type": st.just("min"), "field": st.just("score"), "value": _too_many}, picks),
)
growing_leaves = st.one_of(
    options({"event": types}, {"criteria": fields()}),
    _counted(_enough),
    named("$not", _counted(_too_many) | named("$and", st.lists(_counted(_too_many), min_size=1, max_size=2))),
    named("$sequence", _chains),
    named("$aggregate", _extremes),
    named("$stat", stats),
)


def _growing(inner):
    several = st.lists(inner, min_size=1, max_size=3)
    return named("$and", several) | named("$or", several) | windows(inner) | intervals(inner)


growing_documents = st.recursive(growing_leaves, _growing, max_leaves=4)
