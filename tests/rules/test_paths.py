"""Key paths."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import join_path, split_path
from badges.rules.paths import NOTHING, walker
from tests.rules.examples import any_json, any_text


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("is_passing", ("is_passing",)),
        ("course.course_key", ("course", "course_key")),
        (r"course\.key", ("course.key",)),
        (r"a\\.b", ("a\\", "b")),  # an escaped backslash, then a dot that separates
        (r"a\b", (r"a\b",)),  # a backslash before anything else is just one
        ("", ("",)),
        ("a..b", ("a", "", "b")),
    ],
)
def test_a_path_is_taken_apart_at_its_dots(path, keys):
    assert split_path(path) == keys


@given(st.lists(any_text, min_size=1, max_size=4))
def test_joined_keys_come_apart_as_the_same_keys(keys):
    assert split_path(join_path(keys)) == tuple(keys)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        ({"course": {"key": "C1"}}, "C1"),
        ({"course": {"key": False}}, False),  # falsy is not missing
        ({"course": {"key": None}}, NOTHING),
        ({"course": {}}, NOTHING),
        ({"course": "key"}, NOTHING),  # text has attributes and indexes, and neither is walked
        ({"course": ["key"]}, NOTHING),
        (None, NOTHING),
    ],
)
def test_walking_goes_through_dictionaries_only(data, found):
    assert walker(("course", "key"))(data) is found


@given(any_json, st.lists(any_text, min_size=1, max_size=3))
def test_walking_never_raises(data, keys):
    assert walker(tuple(keys))(data) is not None
