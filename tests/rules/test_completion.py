"""Completion: set logic, nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from badges.rules import Completion, OpenGroup, completion


@pytest.mark.parametrize(
    ("requirements", "fulfilled", "complete"),
    [
        ([], set(), False),  # what demands nothing is not earned by everybody
        ([(1, None)], {1}, True),
        ([(1, None), (2, None)], {1}, False),  # one of two is no badge
        ([(1, None), (2, None)], {1, 2}, True),
        ([(1, "A"), (2, "A")], {2}, True),  # alternatives
        ([(1, "A"), (2, "B")], {1}, False),  # the second group is still open
        ([(1, "A"), (2, "A"), (3, None)], {1, 2}, False),
        ([(1, ""), (2, "")], {1}, False),  # a blank group is no group, or two would be alternatives
        ([(1, "1"), (2, None)], {1}, False),
        ([(1, None)], {1, 99}, True),  # fulfilments of removed requirements do no harm
        ([(number, None) for number in range(250)], set(range(249)), False),  # 99.6 % is not complete
        ([(number, None) for number in range(250)], set(range(250)), True),
    ],
)
def test_a_badge_is_complete_when_every_group_has_a_member(requirements, fulfilled, complete):
    assert completion(requirements, fulfilled).complete is complete


def test_what_is_open_is_named_in_order():
    weighed = completion([(1, "A"), (2, None), (3, "A"), (4, "B"), (5, "B")], {5})

    assert weighed == Completion(satisfied=1, total=3, open=(OpenGroup("A", (1, 3)), OpenGroup(None, (2,))))


@given(st.dictionaries(st.integers(0, 9), st.sampled_from([None, "A", "B"]), min_size=1), st.sets(st.integers(0, 9)))
def test_complete_means_all_that_stand_alone_and_one_of_each_group(groups, fulfilled):
    weighed = completion(groups.items(), fulfilled)
    named = {group for group in groups.values() if group}
    alone = {requirement for requirement, group in groups.items() if not group}

    assert weighed.total == len(named) + len(alone)
    assert weighed.satisfied + len(weighed.open) == weighed.total
    assert weighed.complete == (
        alone <= fulfilled and all(any(groups.get(one) == group for one in fulfilled) for group in named)
    )
