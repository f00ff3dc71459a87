"""
Rules that contradict each other: no event can satisfy all of them.

Only what is certain is called a contradiction. Rules about different key paths, patterns and parts of text are taken to
be possible.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from badges.rules.data_rules import DataRule, Source
from badges.rules.values import BOOLEAN, DECIMAL_TEXT, INTEGER, NUMBER, PRESENCE, TEXT, TIME

_SCALARS = (BOOLEAN, DECIMAL_TEXT, INTEGER, NUMBER, TEXT, TIME)
_NUMBERS = (DECIMAL_TEXT, INTEGER, NUMBER)
_COMPARISONS = ("ne", "nin", "gt", "gte", "lt", "lte", "between")


def contradicting_path(rules: Iterable[DataRule]) -> str | None:
    """Return a key path about which the rules contradict each other, so that no event satisfies all; None if none."""
    by_path: dict[str, list[DataRule]] = defaultdict(list)
    for rule in rules:
        by_path[rule.path].append(rule)
    return next((path for path, about in by_path.items() if not _can_hold(about)), None)


def _can_hold(rules: Sequence[DataRule]) -> bool:
    presence = {rule.value for rule in rules if rule.source.seen is PRESENCE}
    others = [rule for rule in rules if rule.source.seen is not PRESENCE]
    # Every rule but "exists false" needs a value.
    if False in presence and (others or True in presence):
        return False
    by_source: dict[Source, list[DataRule]] = defaultdict(list)
    for rule in others:
        by_source[rule.source].append(rule)
    return all(_can_hold_of_one_type(seen_alike) for seen_alike in by_source.values())


def _can_hold_of_one_type(rules: Sequence[DataRule]) -> bool:
    values = _values_to_try(rules)
    return values is None or any(all(rule.admits(value) for rule in rules) for value in values)


def _values_to_try(rules: Sequence[DataRule]) -> Collection[Hashable] | None:
    """Return values of which one satisfies the rules if any value does; None when no such values are known."""
    seen = rules[0].source.seen
    if seen not in _SCALARS:
        return None
    choices = [rule.choices for rule in rules if rule.choices is not None]
    if choices:
        return min(choices, key=len)
    if any(rule.operator not in _COMPARISONS for rule in rules):
        return None
    if seen is BOOLEAN:
        return (True, False)
    return list(_around_bounds(rules)) if seen in _NUMBERS else None


def _around_bounds(rules: Sequence[DataRule]) -> Iterator[Fraction]:
    """Yield the numbers that the rules name, and one number in each gap between and around them."""
    named = sorted(number for rule in rules for number in _numbers_in(rule.operand))
    for before, after in pairwise(named):
        yield (before + after) / 2
    if named:
        yield from (*named, named[0] - 1, named[-1] + 1)


def _numbers_in(operand: Any) -> Iterator[Fraction]:
    for value in operand if isinstance(operand, (list, tuple, frozenset)) else (operand,):
        if isinstance(value, (int, float, Decimal)):
            yield Fraction(value)
