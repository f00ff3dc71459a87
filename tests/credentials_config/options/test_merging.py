"""Options are merged key by key; what a configuration takes away is gone."""

from __future__ import annotations

import pytest

from credentials_config.options import merge


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ({}, {}, {}),
        ({"a": 1}, {}, {"a": 1}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"a": {"b": 1, "c": 3}}),
        # Lists are one value: nobody could say otherwise which entry is meant.
        ({"a": [1, 2]}, {"a": [3]}, {"a": [3]}),
        ({"a": {"b": 1}}, {"a": False}, {"a": False}),
        ({"a": False}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        # Taking away what is not there is nothing, also deeper down.
        ({}, {"a": {"b": None}}, {"a": {}}),
    ],
)
def test_options_are_laid_over_each_other(base, over, merged):
    assert merge(base, over) == merged


def test_merging_leaves_both_documents_as_they_were():
    base, over = {"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}}
    merge(base, over)["a"]["b"]["c"] = 99
    assert (base, over) == ({"a": {"b": {"c": 1}}}, {"a": {"b": {"d": 2}}})
