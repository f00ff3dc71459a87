"""Criteria in the index of rules: which of many documents an event has to evaluate, without asking each of them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from badges.rules.criteria.entries import Trigger
from badges.rules.criteria.fields import MomentCondition, PayloadCondition, Predicate, all_of
from badges.rules.data_rules import Source
from badges.rules.paths import NOTHING, finder
from badges.rules.values import ValueType


class FieldSource(Source):
    """A field of the payload, seen as a type. Unlike a key path it has no declared shape: a key may hold the dot."""

    __slots__ = ("_find",)

    def __init__(self, keys: tuple[str, ...], seen: ValueType):
        super().__init__(keys, seen)
        self._find = finder(keys)
        self._identity = ("field", keys, seen)

    def find(self, data: Any) -> Any:
        """Return the value as the event holds it; NOTHING if missing or null."""
        found = self._find(data)
        return NOTHING if found is None else found

    def observe(self, data: Any) -> Any:
        """Return the value in the form that is compared; NOTHING if there is none of this type."""
        found = self._find(data)
        return self.seen.absent if found is None else self._observe(found)


@dataclass(frozen=True)
class FieldRule:
    """Conditions of a trigger's filter. With ``choices`` it is one condition, which holds for these values."""

    predicate: Predicate
    source: Source | None = None
    choices: frozenset[Hashable] | None = None

    def holds(self, data: Any) -> bool:
        """Return whether an event with this payload can satisfy the conditions."""
        return self.predicate(data)


@dataclass(frozen=True)
class TriggerRules:
    """A trigger as rules that an index takes. They hold for the payloads of the events that the trigger includes."""

    rules: tuple[FieldRule, ...] = ()

    def holds(self, data: Any) -> bool:
        """Return whether a trigger includes an event of its type that has this payload."""
        return all(rule.holds(data) for rule in self.rules)


def rules_of(trigger: Trigger) -> TriggerRules:
    """Return the rules of a trigger, for an index of the events of its type."""
    conditions = trigger.filter.conditions if trigger.filter else ()
    equalities = [each for each in conditions if isinstance(each, PayloadCondition) and each.choices is not None]
    rules = [FieldRule(each.predicate, FieldSource(each.keys, each.seen), each.choices) for each in equalities]
    # The time of the event is not asked here: it may be relative to now.
    others = [each for each in conditions if each not in equalities and not isinstance(each, MomentCondition)]
    if others:
        rules.append(FieldRule(all_of(tuple(each.predicate for each in others))))
    return TriggerRules(tuple(rules))
