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
from typing import Any, NamedTuple, Protocol

from badges.rules.data_rules import Source
from badges.rules.paths import NOTHING

# A short list of choices is that many equalities. Longer ones would copy the entry too often and are asked instead.
MAX_KEYS_PER_ENTRY = 20

_Key = tuple[Hashable, ...]


class IndexedRule(Protocol):
    """
    A rule, as the index sees it; a ``DataRule`` is one.

    ``choices`` is the set of values of its ``source`` for which it holds, None if that is no such set.
    """

    @property
    def source(self) -> Source | None: ...
    @property
    def choices(self) -> frozenset[Hashable] | None: ...
    def holds(self, data: Any) -> bool: ...


class IndexedRules(Protocol):
    """Rules that must all hold, as the index sees them; a ``RuleSet`` is one."""

    @property
    def rules(self) -> Iterable[IndexedRule]: ...
    def holds(self, data: Any) -> bool: ...


class _Candidate(NamedTuple):
    position: int
    remaining: tuple[IndexedRule, ...]
    entry: Any


_Entries = Iterable[tuple[IndexedRules, Any]]
_Table = dict[_Key, tuple[_Candidate, ...]]


class RuleIndex:
    """
    Entries, each a rule set and whatever belongs to it.

    ``matching`` costs one look-up per signature plus the candidates found, however many entries there are. An index is
    not changed after it was made; it is true when it has entries.
    """

    def __init__(self, entries: _Entries = ()):
        self._numbers: dict[Source, int] = {}
        self._tables: dict[tuple[int, ...], _Table] = {}
        self._next_position = 0
        self._add(entries)
        self._note_sources()

    def __bool__(self) -> bool:
        return bool(self._tables)

    def replace(self, removed: _Entries, added: _Entries) -> RuleIndex:
        """
        Return an index without ``removed`` and with ``added``, after the other entries. This index stays as it is.

        ``removed`` are pairs as they were given: what belongs to a rule set must be the same object. The cost depends
        on the number of entries that are removed and added; of the others, only references are copied.
        """
        changed = RuleIndex()
        changed._numbers = dict(self._numbers)
        changed._tables = {signature: dict(table) for signature, table in self._tables.items()}
        changed._next_position = self._next_position
        changed._remove(removed)
        changed._add(added)
        changed._note_sources()
        return changed

    def _add(self, entries: _Entries) -> None:
        lists: dict[tuple[tuple[int, ...], _Key], list[_Candidate]] = {}
        for rule_set, entry in entries:
            signature, keys, remaining = self._locate(rule_set)
            candidate = _Candidate(self._next_position, remaining, entry)
            self._next_position += 1
            for key in keys:
                lists.setdefault((signature, key), []).append(candidate)
        for (signature, key), candidates in lists.items():
            table = self._tables.setdefault(signature, {})
            table[key] = (*table.get(key, ()), *candidates)

    def _remove(self, entries: _Entries) -> None:
        gone: dict[tuple[tuple[int, ...], _Key], set[int]] = {}
        for rule_set, entry in entries:
            signature, keys, _ = self._locate(rule_set)
            for key in keys:
                gone.setdefault((signature, key), set()).add(id(entry))
        for (signature, key), ids in gone.items():
            table = self._tables.get(signature, {})
            left = tuple([candidate for candidate in table.get(key, ()) if id(candidate.entry) not in ids])
            if left:
                table[key] = left
            else:
                table.pop(key, None)
        self._tables = {signature: table for signature, table in self._tables.items() if table}

    def _locate(self, rule_set: IndexedRules) -> tuple[tuple[int, ...], Iterable[_Key], tuple[IndexedRule, ...]]:
        wanted, remaining = _split(rule_set)
        numbers = self._numbers
        by_number = {numbers.setdefault(source, len(numbers)): choices for source, choices in wanted.items()}
        signature = tuple(sorted(by_number))
        return signature, itertools.product(*(by_number[number] for number in signature)), remaining

    def _note_sources(self) -> None:
        """Observe only sources that some entry still asks for; the others keep their numbers."""
        used = {number for signature in self._tables for number in signature}
        self._sources = [source if number in used else None for source, number in self._numbers.items()]

    def matching(self, data: Any) -> list[Any]:
        """Return what belongs to the rule sets that hold for an event's data, in the order in which it was given."""
        values = [NOTHING if source is None else source.observe(data) for source in self._sources]
        found = [candidate for candidate in self._candidates(values) if _holds(candidate.remaining, data)]
        found.sort(key=_position)
        return [candidate.entry for candidate in found]

    def _candidates(self, values: Sequence[Any]) -> Iterable[_Candidate]:
        for signature, table in self._tables.items():
            key = tuple([values[number] for number in signature])
            # What is missing equals nothing, and NOTHING is in no table.
            yield from table.get(key, ())


def _position(candidate: _Candidate) -> int:
    return candidate.position


def _holds(rules: tuple[IndexedRule, ...], data: Any) -> bool:
    return all(rule.holds(data) for rule in rules)


def _split(rule_set: IndexedRules) -> tuple[dict[Source, frozenset[Hashable]], tuple[IndexedRule, ...]]:
    """The values that a rule set wants at its sources, and the rules that those do not answer."""
    wanted: dict[Source, frozenset[Hashable]] = {}
    remaining = []
    for rule in sorted(rule_set.rules, key=_breadth):
        if rule.choices is None or rule.source is None:
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


def _breadth(rule: IndexedRule) -> int:
    return len(rule.choices) if rule.choices is not None else 0
