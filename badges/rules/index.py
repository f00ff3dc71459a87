"""
The index: which of many rule sets hold for an event, without asking each of them.

A rule set whose rules say ``course eq A`` and ``mode eq verified`` can only hold where the event has just these two
values. So rule sets are put into tables by their *signature*, which sources they want to be equal to something, and in
a table by the values they want. An event is looked up once per signature; only what was found is asked its remaining
rules. Taking all equalities together is what counts: when half of all badges share one course and differ in a second
value, no single equality tells them apart.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from badges.rules.data_rules import DataRule, RuleSet, Source

# A short list of choices is that many equalities. Longer ones would copy the entry too often and are asked instead.
MAX_KEYS_PER_ENTRY = 20

_Key = tuple[Hashable, ...]


class _Candidate(NamedTuple):
    position: int
    remaining: tuple[DataRule, ...]
    entry: Any


class RuleIndex:
    """
    Entries, each a rule set and whatever belongs to it.

    ``matching`` costs one look-up per signature plus the candidates found, however many entries there are.
    """

    def __init__(self, entries: Iterable[tuple[RuleSet, Any]]):
        tables: dict[tuple[int, ...], dict[_Key, list[_Candidate]]] = {}
        numbers: dict[Source, int] = {}
        for position, (rule_set, entry) in enumerate(entries):
            wanted, remaining = _split(rule_set)
            by_number = {numbers.setdefault(source, len(numbers)): choices for source, choices in wanted.items()}
            signature = tuple(sorted(by_number))
            table = tables.setdefault(signature, {})
            for key in itertools.product(*(by_number[number] for number in signature)):
                table.setdefault(key, []).append(_Candidate(position, remaining, entry))
        self._sources = list(numbers)
        self._tables = list(tables.items())

    def matching(self, data: Any) -> list[Any]:
        """Return what belongs to the rule sets that hold for an event's data, in the order in which it was given."""
        values = [source.observe(data) for source in self._sources]
        found = [candidate for candidate in self._candidates(values) if _holds(candidate.remaining, data)]
        found.sort(key=_position)
        return [candidate.entry for candidate in found]

    def _candidates(self, values: Sequence[Any]) -> Iterable[_Candidate]:
        for signature, table in self._tables:
            key = tuple([values[number] for number in signature])
            # What is missing equals nothing, and NOTHING is in no table.
            yield from table.get(key, ())


def _position(candidate: _Candidate) -> int:
    return candidate.position


def _holds(rules: tuple[DataRule, ...], data: Any) -> bool:
    return all(rule.holds(data) for rule in rules)


def _split(rule_set: RuleSet) -> tuple[dict[Source, frozenset[Hashable]], tuple[DataRule, ...]]:
    """The values that a rule set wants at its sources, and the rules that those do not answer."""
    wanted: dict[Source, frozenset[Hashable]] = {}
    remaining = []
    for rule in sorted(rule_set.rules, key=_breadth):
        if rule.choices is None:
            remaining.append(rule)
            continue
        # Two equalities at one source leave what both allow, perhaps nothing: then the entry is in no table at all.
        both = rule.choices & wanted.get(rule.source, rule.choices)
        narrowed = {**wanted, rule.source: both}
        if math.prod(map(len, narrowed.values())) > MAX_KEYS_PER_ENTRY:
            remaining.append(rule)
        else:
            wanted = narrowed
    return wanted, tuple(remaining)


def _breadth(rule: DataRule) -> int:
    return len(rule.choices) if rule.choices is not None else 0
