"""Documents in plain language."""

from __future__ import annotations

import pytest
from hypothesis import given

from badges.rules import Translations, describe, parse_criteria
from tests.rules.criteria.documents import documents

LOGIN = {"event": "login"}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        (
            {
                "$timeWindow": {
                    "last": "30d",
                    "businessDaysOnly": True,
                    "flow": {"event": "login", "criteria": {"$eventCount": {"$gte": 5}}},
                }
            },
            "at least 5 'login' events in the last 30 days, weekends not counted",
        ),
        ({"event": "login", "criteria": {"$eventCount": 1}}, "exactly 1 'login' event"),
        (
            {"event": "login", "criteria": {"$eventCount": {"$gt": 1, "$lt": 9}}},
            "more than 1 and less than 9 'login' events",
        ),
        ({"$and": [LOGIN, {"$or": [LOGIN, LOGIN]}]}, "one 'login' event and (one 'login' event or one 'login' event)"),
        (
            {"event": "a", "criteria": {"x": {"$ne": "y", "$exists": True}}},
            "one 'a' event with x not 'y' and x present",
        ),
        ({"$timeWindow": {"last": "1m", "flow": LOGIN}}, "one 'login' event in the last 1 month"),
        ({"$timeWindow": {"last": "2q", "flow": LOGIN}}, "one 'login' event in the last 2 quarters"),
        (
            {"$timeWindow": {"start": "2026-03-01T00:00:00Z", "flow": LOGIN}},
            "one 'login' event from 2026-03-01T00:00:00Z on",
        ),
        (
            {"$timeWindow": {"end": "2026-03-01T00:00:00Z", "flow": LOGIN}},
            "one 'login' event until 2026-03-01T00:00:00Z",
        ),
        ({"$withinTimeWindow": {"window": "1m", "conditions": LOGIN}}, "one 'login' event within 1 minute"),
        ({"$timePeriod": {"periodType": "day"}}, "events of any type in at least 1 day"),
        (
            {"$pattern": {"pattern": "increasing", "periodType": "day", "strict": False, "includeCurrent": True}},
            "more and more events of any type per day on the whole, by 5 % or more on average, over at least 3 days, "
            "the current one included",
        ),
        (
            {"$sequence": {"sequence": ["a", "b"], "maxGapSeconds": 90}},
            "one 'a' event, then one 'b' event, at most 90 seconds from one to the next",
        ),
        (
            {"$gap": {"minGapHours": 0.5, "maxGapHours": 24}},
            "at least 30 minutes and at most 24 hours from each of the events of any type to the next",
        ),
        (
            {
                "$duration": {
                    "startEvent": {"type": "a"},
                    "endEvent": {"type": "b"},
                    "duration": {"$gte": 1},
                    "of": "any",
                }
            },
            "at least 1 hours from one 'a' event to one 'b' event",
        ),
        ({"$aggregate": {"type": "count", "event": "a", "value": {"$gte": 1}}}, "at least 1 'a' event"),
        (
            {"$aggregate": {"type": "max", "event": "a", "field": "score", "value": {"$gte": 0.5}}},
            "the highest score of 'a' events at least 0.5",
        ),
        (
            {"event": "a", "criteria": {"timestamp": {"$between": ["$NOW(-1y-3M)", "$NOW"]}}},
            "one 'a' event with its time between 1 year, 3 months before now and now",
        ),
        (
            {"event": "a", "criteria": {"timestamp": {"$lt": "$NOW(+1h)", "$gt": "$NOW(-1d+2h)"}}},
            "one 'a' event with its time before 1 hour after now and its time after $NOW(-1d+2h)",
        ),
    ],
)
def test_a_document_is_said_in_words(document, sentence):
    assert describe(parse_criteria(document)) == f"earned when: {sentence}"


@given(documents)
def test_every_document_can_be_said_in_words_and_names_what_it_reads(document):
    criteria = parse_criteria(document)
    sentence = describe(criteria)

    assert sentence.startswith("earned when: ")
    for name in (*criteria.event_types - {None}, *criteria.figures):
        assert name in sentence


class Backwards:
    """A catalog that marks every text, so that one that was not translated is seen."""

    def gettext(self, message):
        return f"<{message}>"

    def ngettext(self, singular, plural, number):
        return f"<{singular if number == 1 else plural}>"


def test_every_piece_of_text_is_translated():
    document = {"$timeWindow": {"last": "7d", "flow": {"event": "login", "criteria": {"$eventCount": {"$gte": 5}}}}}

    assert describe(parse_criteria(document), Translations(Backwards()), lambda name: name.upper()) == (
        "<earned when: <<<<at least> 5> <LOGIN events>> in the last <7 days>>>"
    )


def test_braces_in_a_document_are_no_placeholders():
    document = {"$timeWindow": {"last": "7d", "flow": {"event": "{criteria}", "criteria": {"{x}": "{0}"}}}}

    assert describe(parse_criteria(document)) == (
        "earned when: (one '{criteria}' event with {x} exactly '{0}') in the last 7 days"
    )
