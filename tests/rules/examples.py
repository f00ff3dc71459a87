"""Shapes and random data that several tests of the rules use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from badges.rules import Kind, Shape

TEXT = Shape(Kind.TEXT)
MAYBE_TEXT = Shape(Kind.TEXT, nullable=True)


def an_object(*, nullable: bool = False, **fields: Shape) -> Shape:
    """An object's shape, its fields by keyword."""
    return Shape(Kind.OBJECT, fields, nullable=nullable)


PASSING = an_object(
    is_passing=Shape(Kind.BOOLEAN),
    score=Shape(Kind.NUMBER, nullable=True),
    attempts=Shape(Kind.INTEGER, nullable=True),
    grade=MAYBE_TEXT,
    at=Shape(Kind.TIME, nullable=True),
    tags=Shape(Kind.LIST, item=TEXT, nullable=True),
    points=Shape(Kind.LIST, item=Shape(Kind.INTEGER), nullable=True),
    parts=Shape(Kind.LIST, nullable=True),
    labels=Shape(Kind.MAP, item=TEXT, nullable=True),
    course=an_object(course_key=TEXT, display_name=MAYBE_TEXT),
    user=an_object(
        id=Shape(Kind.INTEGER),
        is_active=Shape(Kind.BOOLEAN),
        pii=an_object(username=TEXT, email=TEXT, name=TEXT, nullable=True),
    ),
)

# Lone surrogates and NUL included: that is what a hostile or broken sender can get through a JSON parser.
any_text = st.text(st.characters(exclude_categories=()), max_size=8)
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


def data_for(shape: Shape) -> st.SearchStrategy[Any]:
    """Data that has the shape, spelled in the different ways that senders spell it."""
    value = _DATA[shape.kind](shape)
    return st.none() | value if shape.nullable else value


def _object(shape: Shape) -> st.SearchStrategy[Any]:
    required = {key: data_for(child) for key, child in shape.fields.items() if not child.nullable}
    optional = {key: data_for(child) for key, child in shape.fields.items() if child.nullable}
    return st.fixed_dictionaries(required, optional=optional)


def _times(shape: Shape) -> st.SearchStrategy[Any]:
    zones = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
    moments = st.datetimes(min_value=_EARLIEST, max_value=_LATEST, timezones=zones)
    return moments | moments.map(datetime.isoformat)


def _items(shape: Shape) -> st.SearchStrategy[Any]:
    return data_for(shape.item) if shape.item else _plain


# Without a zone, because hypothesis adds them.
_EARLIEST, _LATEST = datetime(1990, 1, 1), datetime(2090, 1, 1)  # noqa: DTZ001
_words = st.sampled_from(["", "5", "0.8", "1e3", "eighty", "José", "课程", "course-v1:a+b+c", "a,b", "[", "a.b"])
_whole = st.integers(-3, 3) | st.integers(-(2**70), 2**70)
_finite = _whole | st.floats(allow_nan=False, allow_infinity=False)
_plain = st.recursive(
    st.none() | st.booleans() | _finite | _words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_words, inner, max_size=3),
    max_leaves=6,
)
_DATA = {
    Kind.TEXT: lambda shape: _words,
    Kind.INTEGER: lambda shape: _whole | st.integers(-3, 3).map(float),
    Kind.NUMBER: lambda shape: _finite,
    Kind.BOOLEAN: lambda shape: st.booleans(),
    Kind.TIME: _times,
    Kind.LIST: lambda shape: st.lists(_items(shape), max_size=3),
    Kind.MAP: lambda shape: st.dictionaries(_words, _items(shape), max_size=3),
    Kind.OBJECT: _object,
}
