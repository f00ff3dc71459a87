"""
XP: how many an activity gives, by the rules of the settings. Pure.

The XP of an activity are never stored. So the rules may change, and then count for all activities that there are.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# The largest score and the largest number of cards of one activity, and the largest number in a rule.
MOST = 1_000_000

# What an activity gives when the settings say nothing about its kind. An activity of any other kind gives no XP.
DEFAULT_RULES: dict[str, dict[str, float]] = {
    "quiz": {"per_point": 1, "most": 100},
    "flashcards": {"per_card": 1, "most": 50},
}


@dataclass(frozen=True, slots=True)
class XPRule:
    """
    How many XP an activity of one kind gives.

    ``xp`` for each activity, ``per_point`` for each point of its score and ``per_card`` for each of its cards. The sum
    is rounded down, and is at most ``most``.
    """

    xp: Decimal = Decimal(0)
    per_point: Decimal = Decimal(0)
    per_card: Decimal = Decimal(0)
    most: Decimal | None = None

    def xp_of(self, *, score: float | None = None, cards: int | None = None) -> int:
        """Return the XP of one activity."""
        # Decimals, because 0.29 * 100 would be less than 29.
        total = self.xp + self.per_point * _decimal(score or 0) + self.per_card * (cards or 0)
        return int(total if self.most is None else min(total, self.most))


NO_XP = XPRule()
_KEYS = ("xp", "per_point", "per_card", "most")


def read_rules(given: Any) -> tuple[dict[str, XPRule], list[str]]:
    """
    Return the rules by kind of activity, and what is wrong with the given ones.

    ``given`` is the setting: rules by kind of activity. A rule replaces the default rule of its kind. One that is wrong
    is left out, and each problem begins with its place, such as ``['quiz']['xp']``.
    """
    rules = {kind: _rule(rule) for kind, rule in DEFAULT_RULES.items()}
    if not isinstance(given, Mapping):
        return rules, [": write a dict of rules by kind of activity"]
    problems: list[str] = []
    for kind, rule in given.items():
        found = list(_problems(rule))
        problems += [f"[{kind!r}]{problem}" for problem in found]
        if not found:
            rules[kind] = _rule(rule)
    return rules, problems


def _rule(given: Mapping[str, Any]) -> XPRule:
    return XPRule(**{key: _decimal(value) for key, value in given.items()})


def _problems(rule: Any) -> Iterator[str]:
    if not isinstance(rule, Mapping):
        yield f': write a dict, such as {{"xp": 10}}; known keys are {", ".join(_KEYS)}'
        return
    for key, value in rule.items():
        if key not in _KEYS:
            yield f"[{key!r}] is not known; known keys are {', '.join(_KEYS)}"
        elif isinstance(value, bool) or not isinstance(value, (int, float, Decimal)) or not _is_in_range(value):
            yield f"[{key!r}]: write a number from 0 to {MOST}"


def _is_in_range(value: Any) -> bool:
    return math.isfinite(value) and 0 <= value <= MOST


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(repr(value))
