"""Shapes and the canonical form of data."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import Kind, Shape, ShapeError, to_text
from tests.rules.examples import MAYBE_TEXT, PASSING, TEXT, an_object, any_json, data_for

ANNA = {"username": "anna", "email": "anna@example.org", "name": "Anna"}


def passing(**changes):
    """The data of a passing event, as a sender writes it."""
    return {
        "is_passing": True,
        "course": {"course_key": "course-v1:Marsu+Houba+1"},
        "user": {"id": 7, "is_active": True, "pii": dict(ANNA)},
    } | changes


# --- looking at shapes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("is_passing", Kind.BOOLEAN),
        ("course.course_key", Kind.TEXT),
        ("user.pii", Kind.OBJECT),
        ("user.pii.name", Kind.TEXT),  # through a nullable object
        ("labels.colour", Kind.TEXT),  # keys of maps are free
        ("tags", Kind.LIST),
    ],
)
def test_a_path_leads_to_the_shape_there(path, kind):
    assert PASSING.at(path).kind is kind


@pytest.mark.parametrize("path", ["", "nope", "course.nope", "course_key", "tags.0", "is_passing.x", "labels.a.b", "."])
def test_a_path_into_nowhere_has_no_shape(path):
    assert PASSING.at(path) is None


def test_a_key_spelled_with_the_dot_wins_over_two_keys():
    shape = an_object(**{"a.b": Shape(Kind.BOOLEAN), "a": an_object(b=TEXT, c=TEXT)})

    assert shape.at("a.b").kind is Kind.BOOLEAN
    assert shape.at(r"a\.b").kind is Kind.BOOLEAN
    assert shape.at("a.c").kind is Kind.TEXT


def test_key_paths_are_the_leaves_in_declared_order():
    shape = an_object(z=TEXT, a=an_object(**{"x.y": Shape(Kind.TIME)}), m=Shape(Kind.MAP, item=TEXT))

    assert list(shape.key_paths()) == [("z", Kind.TEXT), (r"a.x\.y", Kind.TIME), ("m", Kind.MAP)]


def test_every_key_path_is_found_again():
    assert all(PASSING.at(path).kind is kind for path, kind in PASSING.key_paths())


# --- the canonical form ----------------------------------------------------------------------------------------------


def test_absent_nullable_fields_are_present_and_unknown_ones_are_gone():
    canonical = PASSING.canonical(passing(secret="houba"))

    assert canonical["grade"] is None
    assert canonical["course"] == {"course_key": "course-v1:Marsu+Houba+1", "display_name": None}
    assert "secret" not in canonical


def test_a_nullable_object_may_be_missing_altogether():
    assert PASSING.canonical(passing(user={"id": 7, "is_active": True}))["user"]["pii"] is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"score": 5}, {"score": 5.0}),  # JSON writes 5 where Avro holds a double
        ({"score": 0}, {"score": -0.0}),
        ({"score": 2**60}, {"score": 2.0**60}),
        ({"attempts": 3}, {"attempts": 3.0}),
        ({"at": "2026-03-01T09:30:00Z"}, {"at": datetime(2026, 3, 1, 9, 30, tzinfo=UTC)}),
        ({"at": "2026-03-01T09:30:00Z"}, {"at": "2026-03-01T15:00:00+05:30"}),
        ({"tags": ["a"]}, {"tags": ("a",)}),
        ({"grade": None}, {}),
        ({"parts": [{"a": 1.0}]}, {"parts": [{"a": 1}]}),
    ],
)
def test_the_same_fact_spelled_differently_becomes_the_same_text(one, other):
    assert to_text(PASSING.canonical(passing(**one))) == to_text(PASSING.canonical(passing(**other)))


@given(data_for(PASSING))
def test_canonical_data_is_its_own_canonical_form(data):
    once = PASSING.canonical(data)

    assert to_text(PASSING.canonical(once)) == to_text(once)
    assert to_text(PASSING.canonical(json.loads(to_text(once)))) == to_text(once)


@given(data_for(PASSING), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(data, random):
    shuffled = list(data.items())
    random.shuffle(shuffled)

    assert to_text(PASSING.canonical(dict(shuffled))) == to_text(PASSING.canonical(data))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"is_passing": 1}, "is_passing: expected a boolean, got an integer"),
        ({"is_passing": "true"}, "is_passing: expected a boolean, got text"),
        ({"is_passing": None}, "is_passing: expected a boolean, got nothing"),
        ({"attempts": True}, "attempts: expected an integer, got a boolean"),
        ({"attempts": 2.5}, "attempts: expected an integer, got a number"),
        ({"attempts": 2.0**60}, "attempts: expected an integer, got a number"),  # no double says which integer it was
        ({"attempts": 2**2000}, "attempts: expected a number of at most 1024 bits"),
        ({"score": True}, "score: expected a number, got a boolean"),
        ({"score": float("nan")}, "score: expected a finite number"),
        ({"score": float("-inf")}, "score: expected a finite number"),
        ({"grade": 5}, "grade: expected text, got an integer"),
        ({"grade": "a\0b"}, "grade: expected text without NUL characters (\\u0000)"),
        ({"grade": "\ud800"}, "grade: expected text that is Unicode (it holds half of a surrogate pair)"),
        ({"at": "yesterday"}, "at: expected a time with its offset, such as 2026-03-01T09:30:00Z, got text"),
        ({"tags": "a"}, "tags: expected a list, got text"),
        ({"tags": ["a", None]}, "tags[]: expected text, got nothing"),
        ({"labels": {"houba": 5}}, "labels.*: expected text, got an integer"),  # keys of maps are data: not named
        ({"labels": {"hou\0ba": "5"}}, "labels.*: expected text without NUL characters (\\u0000)"),
        ({"parts": [{"a": ["\0"]}]}, "parts[]: expected text without NUL characters (\\u0000)"),
        ({"parts": [{1, 2}]}, "parts[]: expected JSON, got an object of Python type set"),
        ({"course": "x"}, "course: expected an object, got text"),
        ({"course": {}}, "course.course_key: expected text, got nothing"),
        ({"user": {"id": 7, "is_active": True, "pii": {}}}, "user.pii.email: expected text, got nothing"),
    ],
)
def test_a_value_of_another_shape_is_refused_by_path_and_expectation(change, message):
    with pytest.raises(ShapeError) as refused:
        PASSING.canonical(passing(**change))

    assert refused.value.message == str(refused.value) == message
    assert refused.value.path == message.split(":")[0]


def test_the_path_in_a_refusal_begins_where_the_caller_says():
    with pytest.raises(ShapeError) as inside:
        PASSING.canonical(passing(is_passing="maybe"), "data.course_passing_status")
    with pytest.raises(ShapeError) as whole:
        PASSING.canonical([], "data.course_passing_status")
    with pytest.raises(ShapeError) as nowhere:
        PASSING.canonical([])

    assert inside.value.path == "data.course_passing_status.is_passing"
    assert str(whole.value) == "data.course_passing_status: expected an object, got a list"
    assert str(nowhere.value) == "the data: expected an object, got a list"


def test_the_path_of_a_list_is_that_of_its_owner():
    with pytest.raises(ShapeError) as refused:
        Shape(Kind.LIST, item=TEXT).canonical([5], "data.tags")

    assert refused.value.path == "data.tags[]"


def test_canonical_text_is_plain_text():
    class Markup(str):
        """What a template engine would hand over."""

    assert type(PASSING.canonical(passing(grade=Markup("A")))["grade"]) is str


def test_undeclared_json_is_not_followed_down_forever():
    deep: list = []
    for _ in range(500):
        deep = [deep]

    with pytest.raises(ShapeError, match="at most 32 levels"):
        PASSING.canonical(passing(parts=deep))


@given(any_json)
def test_data_from_anywhere_is_made_canonical_or_refused(data):
    shape = an_object(anything=Shape(Kind.LIST, nullable=True), name=MAYBE_TEXT)
    try:
        canonical = shape.canonical({"anything": data, "name": data})
    except ShapeError:
        return
    assert json.loads(to_text(canonical).encode()) == canonical


@given(st.text(), st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_text_of_data_reads_back_as_the_data(text, whole, fraction):
    data = {"b": [text, whole], "a": {text: fraction}}

    assert json.loads(to_text(data)) == data


def test_text_is_sorted_compact_and_not_escaped():
    assert to_text({"b": [1, 2.5], "a": "José"}) == '{"a":"José","b":[1,2.5]}'


def test_there_is_no_text_for_what_is_no_number():
    with pytest.raises(ValueError, match="JSON compliant"):
        to_text({"score": float("nan")})


# --- personal data ---------------------------------------------------------------------------------------------------


def test_personal_fields_are_left_out_wherever_they_are_and_the_data_is_not_changed():
    person = Shape(Kind.OBJECT, {"id": Shape(Kind.INTEGER), "name": Shape(Kind.TEXT, personal=True)}, nullable=True)
    shape = Shape(
        Kind.OBJECT,
        {
            "user": person,
            "members": Shape(Kind.LIST, item=person),
            "by_role": Shape(Kind.MAP, item=person),
            "nicknames": Shape(Kind.LIST, item=Shape(Kind.TEXT, personal=True)),
            "title": Shape(Kind.TEXT),
        },
    )
    given = {"id": 5, "name": "Spirou"}
    data = {"user": given, "members": [given, None], "by_role": {"bellboy": given}, "nicknames": ["S"], "title": "T"}
    before = json.dumps(data)

    left = shape.without_personal(data)

    kept = {"id": 5}
    assert left == {"user": kept, "members": [kept, None], "by_role": {"bellboy": kept}, "nicknames": [], "title": "T"}
    assert json.dumps(data) == before


def test_data_without_personal_fields_is_given_back_as_it_is():
    data = {"score": 5}
    assert Shape(Kind.OBJECT, {"score": Shape(Kind.INTEGER)}).without_personal(data) is data
