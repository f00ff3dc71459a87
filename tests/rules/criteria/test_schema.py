"""The JSON Schema of the language and the parser agree, in both directions."""

from __future__ import annotations

import copy
import re

import jsonschema
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import CriteriaError, criteria_schema, parse_criteria
from tests.rules.criteria.documents import documents
from tests.rules.examples import any_json
from tests.support.examples import examples

VALIDATOR = jsonschema.Draft202012Validator(criteria_schema())

# What a schema cannot say: beginnings of messages of the parser.
BEYOND_A_SCHEMA = re.compile(
    "write a regular expression that RE2 reads|write the lower bound first|write an end that is not before the start"
    "|write a number that is not below minGapHours|there is no time zone|there is no condition|write at most"
    # the 31st of February
    "|write a date|write a time with its offset|write a finite number, such as 80, or a time"
    # text that no database holds
    "|write text without NUL"
)


def parser_says(document):
    """The error of the parser, None if it accepts the document."""
    try:
        parse_criteria(copy.deepcopy(document))
    except CriteriaError as error:
        return error
    return None


def agree(document):
    """Do both say the same about a document?"""
    error = parser_says(document)
    if error is None:
        VALIDATOR.validate(document)
    elif error.kind not in ("limit", "invalid_json") and not BEYOND_A_SCHEMA.match(error.message):
        assert not VALIDATOR.is_valid(document), error


def test_the_schema_is_one_of_2020_12():
    jsonschema.Draft202012Validator.check_schema(criteria_schema())
    assert criteria_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@given(documents)
def test_the_schema_accepts_what_is_generated(document):
    assert parser_says(document) is None
    VALIDATOR.validate(document)


KEYS = sorted(
    {
        *criteria_schema()["$defs"]["entry"]["properties"],
        *(name for part in criteria_schema()["$defs"].values() for name in part.get("properties", {})),
        "steps",
        "condition",
        "unheard",
        "$unheard",
    }
)
VALUES = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 0.5, 1.0, 10**4, "", "5", [], {}, [1], [1, 2], ["a"], [{}]]),
    st.sampled_from(["7d", "24h", "day", "increasing", "decreasing", "consistent", "sum", "count", "UTC", "Nowhere"]),
    st.sampled_from(["$NOW", "$NOW(-1M)", "$NOW(1M)", "2026-03-01T00:00:00Z", "2026-03-01"]),
    st.sampled_from([{"$gte": 1}, {"$gte": 0.5}, {"$comment": 1}, {"score": 5}, {"a": {"$exists": True}}]),
    st.sampled_from([{"event": "login"}, [{"event": "login"}], {"type": "a"}]),
    any_json,
)


def places(value, path=()):
    """Every place in a document."""
    yield path
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*path, key))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from places(item, (*path, number))


@st.composite
def damaged(draw):
    """A valid document with one or two changes."""
    document = copy.deepcopy(draw(documents))
    for _ in range(draw(st.integers(1, 2))):
        path = draw(st.sampled_from(list(places(document))))
        holder, target = {"document": document}, document
        for key in path:
            holder, target = target, target[key]
        key = path[-1] if path else "document"
        change = draw(st.sampled_from(["replace", "remove", "add", "rename"]))
        if change == "add" and isinstance(target, dict):
            target[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(VALUES))
        elif change == "remove" and path:
            del holder[key]
        elif change == "rename" and isinstance(holder, dict) and path:
            holder[draw(st.sampled_from(KEYS))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(draw(VALUES))
            document = holder["document"] if not path else document
    return document


@examples(1500)
@given(damaged())
def test_schema_and_parser_agree_about_damaged_documents(document):
    agree(document)


@given(any_json | st.dictionaries(st.sampled_from(KEYS), VALUES))
def test_schema_and_parser_agree_about_anything(document):
    agree(document)
