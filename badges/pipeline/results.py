"""Counting what became of events."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

# Why an event was ignored.
NOT_CONFIGURED, NO_LEARNER, NO_MATCH = "not configured", "no learner", "no match"


@dataclass
class BatchResult:
    """What became of events. ``ignored`` counts by (event type, reason); everything ignored cost no write."""

    seen: int = 0
    matched: int = 0
    awarded: int = 0
    duplicates: int = 0
    dead: int = 0
    postponed: int = 0
    ignored: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __iadd__(self, other: BatchResult) -> Self:
        for name in ("seen", "matched", "awarded", "duplicates", "dead", "postponed"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ignored.update(other.ignored)
        return self
