"""When a document is earned: the first moment at which it holds, whichever way the events arrive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import Answer, Criteria, Event, Moment, RuleIndex, earned, parse_criteria, rules_of
from tests.rules.criteria.documents import (
    KINDS,
    NOW,
    at,
    dense_histories,
    documents,
    event,
    histories,
    moments,
    payloads,
    types,
)
from tests.rules.criteria.naive import naive
from tests.rules.criteria.test_evaluation import moves_evenly
from tests.rules.examples import any_json
from tests.support.examples import examples

TICK = timedelta(microseconds=1)
COUNTED = {"event": "login", "criteria": {"$eventCount": {"$gte": 3}}}

any_history = histories(min_size=1) | dense_histories()
timeless = documents.filter(lambda document: not parse_criteria(document).needs_recheck)
at_least = st.tuples(types, st.integers(2, 4)).map(
    lambda pair: {"event": pair[0], "criteria": {"$eventCount": {"$gte": pair[1]}}}
)
moving = st.tuples(st.sampled_from(["1d", "3d", "1w"]), at_least).map(
    lambda pair: {"$timeWindow": {"last": pair[0], "flow": pair[1]}}
)
growing = (documents | moving).filter(lambda document: parse_criteria(document).root.grows and moves_evenly(document))


def past(history, moment):
    """The events up to a moment."""
    return [one for one in history if one.occurred_at <= moment]


def times_of(history):
    return sorted({one.occurred_at for one in history})


def ask(document, history, **given):
    """Ask for all moments of a history, the first one included."""
    return earned(parse_criteria(document), history, **{"since": times_of(history)[0], "now": NOW, **given})


class Learner:
    """Lets events arrive in batches, and asks as the pipeline does."""

    def __init__(self, document, limit=1000):
        self.criteria = parse_criteria(document)
        self.limit = limit
        self.known = []
        self.earned = None
        self.next_check = None

    def receive(self, batch):
        self.known += batch
        if self.earned is None:
            first = min(one.occurred_at for one in batch)
            newest = max(one.occurred_at for one in batch)
            if self.next_check is not None and self.next_check < newest:
                self.ask(min(first, self.next_check), now=newest)
            else:
                self.ask(first, now=newest, newest=newest)

    def check(self, now):
        """Do what has become due, as a worker does."""
        while self.earned is None and self.next_check is not None and self.next_check <= now:
            self.ask(self.next_check, now=now)

    def ask(self, since, **given):
        answer = earned(self.criteria, self.known, since=since, limit=self.limit, **given)
        self.earned, self.next_check = answer


def simultaneous(history):
    """The events in the order of time, those of one moment together."""
    ordered = sorted(history, key=lambda one: one.occurred_at)
    return [list(group) for _, group in groupby(ordered, key=lambda one: one.occurred_at)]


# --- against the simple evaluation -----------------------------------------------------------------------------------


@examples(400)
@given(timeless, any_history)
def test_a_document_is_earned_at_the_first_event_at_whose_time_it_holds(document, history):
    expected = next((when for when in times_of(history) if naive(document, past(history, when), when)), None)

    answer = ask(document, history)

    assert (answer.earned and answer.earned.time) == expected
    assert answer.next_check is None
    assert expected is None or (answer.earned.event in history and answer.earned.event.occurred_at == expected)


hourly = st.lists(st.tuples(types, st.integers(-40, 0)), min_size=1, max_size=5).map(
    lambda drawn: [Event(f"e{number}", name, NOW + timedelta(hours=at), {}) for number, (name, at) in enumerate(drawn)]
)
by_time = (KINDS["$timeWindow"] | KINDS["$pattern"] | documents).filter(
    lambda document: moves_evenly(document) and parse_criteria(document).needs_recheck
)


@examples(150)
@given(by_time, hourly)
def test_a_document_that_time_can_make_true_is_earned_at_the_first_moment_at_which_it_holds(document, history):
    # What is read of hourly events changes at half hours, or right after them.
    steps, end = [], NOW + timedelta(days=3)
    moment = times_of(history)[0]
    while moment <= end:
        steps += [moment, moment + TICK]
        moment += timedelta(minutes=30)
    expected = next((when for when in steps if naive(document, past(history, when), when)), None)

    learner = Learner(document)
    learner.receive(history)
    learner.check(end + TICK)

    assert (learner.earned and learner.earned.time) == expected


# --- arrival ---------------------------------------------------------------------------------------------------------


@st.composite
def batches(draw, history):
    """A history in any order, some of it twice, in batches of any size."""
    arriving = draw(st.permutations(history + draw(st.lists(st.sampled_from(history), max_size=3))))
    cuts = sorted(draw(st.sets(st.integers(1, len(arriving) - 1)))) if len(arriving) > 1 else []
    return [arriving[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(arriving)], strict=True)]


@examples(400)
@given(growing, any_history, st.data())
def test_documents_that_more_events_never_make_false_are_earned_in_any_order_of_arrival(document, history, data):
    together, apart = Learner(document), Learner(document)
    together.receive(history)
    for batch in data.draw(batches(history)):
        apart.receive(batch)
    for learner in (together, apart):
        learner.check(NOW + timedelta(days=30))

    assert (apart.earned is None) == (together.earned is None)


@examples(300)
@given(moving, dense_histories(), st.randoms(use_true_random=False))
def test_an_event_that_arrives_late_counts_at_later_moments(document, history, random):
    together, apart = Learner(document), Learner(document)
    together.receive(history)
    for one in random.sample(history, len(history)):
        apart.receive([one])

    assert (apart.earned is None) == (together.earned is None)


@examples(400)
@given(documents.filter(moves_evenly), any_history, st.data(), st.sampled_from([1, 2, 1000]))
def test_every_document_is_earned_at_the_same_moment_when_events_arrive_in_the_order_of_time(
    document, history, data, limit
):
    groups = simultaneous(history)
    cuts = data.draw(st.lists(st.booleans(), min_size=len(groups), max_size=len(groups)))
    together, apart = Learner(document), Learner(document, limit)
    together.receive(history)
    batch = []
    for group, cut in zip(groups, cuts, strict=True):
        batch += group
        if cut:
            apart.receive(batch)
            batch = []
    if batch:
        apart.receive(batch)
    for learner in (together, apart):
        learner.check(NOW + timedelta(days=30))

    assert apart.earned == together.earned


# --- what it costs ---------------------------------------------------------------------------------------------------


@pytest.fixture
def asked(monkeypatch):
    """The moments at which documents were evaluated."""
    seen, evaluate = [], Criteria.evaluate_in_order

    def counting(self, events, *, now, **given):
        seen.append(now)
        return evaluate(self, events, now=now, **given)

    monkeypatch.setattr(Criteria, "evaluate_in_order", counting)
    return seen


@pytest.mark.parametrize(
    "document",
    [
        COUNTED,
        {"$timeWindow": {"last": "30d", "flow": {"event": "quiz"}}},
        {"event": "login", "criteria": {"$eventCount": 5000}},
    ],
)
def test_an_event_that_arrives_in_the_order_of_time_costs_one_evaluation(document, asked):
    history = [event(f"e{number}", "done", NOW - timedelta(hours=number)) for number in range(1000)]
    latest = event("latest", "login", NOW)

    ask(document, [*history, latest], since=NOW, newest=NOW)

    assert len(asked) <= 1


def test_a_late_event_costs_few_evaluations_where_more_events_never_make_the_document_false(asked):
    history = [event(f"e{number}", "login", NOW - timedelta(hours=number)) for number in range(1000)]
    document = {"event": "login", "criteria": {"$eventCount": {"$gte": 700}}}

    answer = ask(document, history)

    assert answer.earned.time == NOW - timedelta(hours=300)
    assert len(asked) <= 12


def test_a_late_event_asks_no_moment_that_cannot_look_back_to_it(asked):
    history = [event(f"e{number}", "login", NOW - timedelta(days=number)) for number in range(100)]
    document = {"$timeWindow": {"last": "7d", "flow": {"event": "login", "criteria": {"$eventCount": {"$gte": 30}}}}}

    ask(document, history, since=NOW - timedelta(days=60), newest=NOW - timedelta(days=60))

    assert asked == [NOW - timedelta(days=60 - number) for number in range(8)]


def test_so_many_moments_are_asked_at_once_and_the_answer_says_where_to_go_on(asked):
    history = [event(f"e{number}", "login", NOW - timedelta(hours=number)) for number in range(100)]
    document = {"event": "login", "criteria": {"$eventCount": 90}}

    answer = ask(document, history, limit=50)
    assert answer == Answer(None, NOW - timedelta(hours=49))
    assert len(asked) == 50

    answer = ask(document, history, limit=50, since=answer.next_check)
    assert answer.earned.time == NOW - timedelta(hours=10)


# --- single questions ------------------------------------------------------------------------------------------------


def test_of_several_events_at_one_moment_all_count_and_the_last_that_is_read_is_the_cause():
    history = [event("c", "done"), event("a", "login"), event("b", "login"), event("d", "login")]

    assert ask(COUNTED, history) == Answer(Moment(NOW, history[3]))
    assert ask({"$and": [{"event": "login"}, {"$not": {"event": "done"}}]}, history) == Answer()


def test_an_event_that_is_later_than_others_does_not_count_at_their_moments():
    document = {"event": "login", "criteria": {"$eventCount": 2}}
    future = event("future", "login", NOW + timedelta(days=400))

    answer = ask(document, [event("a", "login", "2026-03-01"), event("b", "login", "2026-03-02"), future])

    assert answer.earned.event.id == "b"


def test_events_up_to_the_time_of_a_penalty_do_not_count():
    history = [event(f"e{day}", "login", f"2026-03-0{day}") for day in (1, 2, 3, 4, 5)]

    assert ask(COUNTED, history, void_until=at("2026-03-02")).earned.event.id == "e5"
    assert ask(COUNTED, history, void_until=at("2026-03-03")) == Answer()


def test_time_alone_is_asked_between_events_and_then_up_to_now():
    document = {"$and": [{"event": "login"}, {"$timeWindow": {"last": "7d", "flow": {"$not": {"event": "login"}}}}]}
    after_a_week = at("2026-03-08") + TICK
    history = [event("a", "login", "2026-03-01"), event("b", "login", "2026-03-20")]

    assert ask(document, history) == Answer(Moment(after_a_week))
    assert ask(document, history[:1], now=at("2026-03-05")).next_check == at("2026-03-08")
    assert ask(document, history[:1], since=at("2026-03-08"), now=after_a_week) == Answer(Moment(after_a_week))


def test_a_check_after_a_future_event_is_found_too():
    document = {"$and": [{"event": "quiz"}, {"$timeWindow": {"last": "7d", "flow": {"$not": {"event": "quiz"}}}}]}

    answer = ask(document, [event("a", "quiz", NOW + timedelta(days=30))])

    assert answer.next_check == NOW + timedelta(days=37)


@pytest.mark.parametrize(
    ("document", "cumulative"),
    [
        (COUNTED, True),
        ({"$sequence": {"sequence": ["login", "quiz"]}}, True),
        ({"$timeWindow": {"start": "2026-01-01T00:00:00Z", "flow": COUNTED}}, True),
        ({"$timeWindow": {"last": "7d", "flow": COUNTED}}, False),
        ({"event": "login", "criteria": {"timestamp": {"$gt": "$NOW(-7d)"}}}, False),
        ({"event": "login", "criteria": {"timestamp": {"$lt": "$NOW(-7d)"}}}, False),
        ({"$not": {"event": "login"}}, False),
        ({"event": "login", "criteria": {"$eventCount": 3}}, False),
    ],
)
def test_a_document_is_cumulative_if_it_depends_on_the_events_alone_and_more_never_make_it_false(document, cumulative):
    assert parse_criteria(document).cumulative is cumulative


# --- triggers and the index ------------------------------------------------------------------------------------------


def triggered(document, one):
    """Which event has to evaluate the document, as the index of rules finds it."""
    triggers = parse_criteria(document).triggers
    entries = [(rules_of(trigger), trigger) for trigger in triggers if trigger.event_type in (None, one.type)]
    return bool(RuleIndex(entries).matching(one.payload))


@examples(400)
@given(documents, st.builds(Event, st.just("e"), types, moments, payloads | any_json))
def test_the_index_finds_the_events_that_have_to_evaluate_a_document(document, one):
    assert triggered(document, one) is parse_criteria(document).is_triggered_by(one)


@pytest.mark.parametrize(
    ("document", "yes", "no"),
    [
        ({"event": "quiz", "criteria": {"score": {"$gte": 80}}}, {"score": 80}, {"score": 79}),
        ({"event": "quiz", "criteria": {"course.org": "X"}}, {"course.org": "X"}, {"course": {"org": "Y"}}),
        ({"event": "quiz", "criteria": {"score": 5}}, {"score": 5.0}, {"score": "5"}),
        ({"event": "quiz", "criteria": {"score": 1}}, {"score": 1}, {"score": True}),
        ({"event": "quiz", "criteria": {"score": {"$in": [1, "1"]}}}, {"score": "1"}, {"score": True}),
        ({"event": "quiz", "criteria": {"score": [1, 2]}}, {"score": [1, 2.0]}, {"score": [2, 1]}),
        ({"event": "quiz", "criteria": {"$or": [{"score": 5}, {"passed": True}]}}, {"passed": True}, {"passed": 1}),
        ({"event": "quiz", "criteria": {"score": 5, "timestamp": {"$gt": "$NOW"}}}, {"score": 5}, {"score": 6}),
        ({"$not": {"$not": {"event": "quiz", "criteria": {"score": 5}}}}, {"score": 5}, {"score": 6}),
        (
            {"$withinTimeWindow": {"window": "1h", "conditions": {"event": "quiz", "criteria": {"score": 5}}}},
            {"score": 5},
            {"score": 6},
        ),
    ],
)
def test_only_events_that_a_document_can_look_at_have_to_evaluate_it(document, yes, no):
    assert triggered(document, event("e", "quiz", **yes))
    assert not triggered(document, event("e", "quiz", **no))
    assert not triggered(document, event("e", "login", **yes))


@pytest.mark.parametrize(
    "document",
    [
        {"$not": {"event": "quiz", "criteria": {"score": 5}}},
        {"$timePeriod": {"periodType": "day", "periodCount": {"$gte": 2}}},
        {"$gap": {"minGapHours": 1}},
    ],
)
def test_a_document_that_needs_no_event_or_reads_all_types_is_evaluated_for_every_event(document):
    assert triggered(document, event("e", "done"))


def test_an_interval_may_begin_at_an_event_that_does_not_satisfy_what_is_asked():
    few = {"event": "quiz", "criteria": {"score": 5, "$eventCount": {"$lte": 1}}}

    assert triggered({"$withinTimeWindow": {"window": "1h", "conditions": few}}, event("e", "quiz", score=6))


def test_documents_that_share_a_type_and_a_field_are_told_apart_by_the_index():
    asked = []

    class Watched(dict):
        def get(self, key, default=None):
            asked.append(key)
            return super().get(key, default)

    documents = [{"event": "quiz", "criteria": {"course": "A", "unit": number}} for number in range(10_000)]
    entries = [
        (rules_of(trigger), number)
        for number, document in enumerate(documents)
        for trigger in parse_criteria(document).triggers
    ]

    assert RuleIndex(entries).matching(Watched(course="A", unit=7)) == [7]
    assert len(asked) < 10


def test_all_times_are_compared_as_instants():
    berlin = datetime.fromisoformat("2026-03-31T12:00:00+02:00")

    assert ask({"event": "login"}, [event("a")], since=berlin, now=berlin).earned.time.tzinfo is UTC
