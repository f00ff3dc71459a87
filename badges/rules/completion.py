"""
Completion: is a badge earned, and what is still open.

Requirements of the same group are alternatives, any one of them does; a requirement without a group stands alone. A
badge is complete when nothing is open. This is set logic: no ratio is ever rounded into a decision, and a template that
demands nothing is never complete.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterable
from dataclasses import dataclass
from typing import NamedTuple


class OpenGroup(NamedTuple):
    """What is still missing: any one of these requirements. ``group`` is None for one that stands alone."""

    group: str | None
    requirements: tuple[Hashable, ...]


@dataclass(frozen=True)
class Completion:
    """How far a learner is: ``satisfied`` of ``total`` groups, and the ones that are ``open``."""

    satisfied: int
    total: int
    open: tuple[OpenGroup, ...]

    @property
    def complete(self) -> bool:
        """Whether the badge is earned."""
        return self.total > 0 and not self.open


def completion(requirements: Iterable[tuple[Hashable, str | None]], fulfilled: Collection[Hashable]) -> Completion:
    """
    Return how far a learner is with the requirements of a template.

    ``requirements`` are (id, group) each; ``fulfilled`` are the ids of those that are fulfilled.

    A blank group is no group: forms store it for requirements that stand alone.
    """
    groups: dict[tuple[str | None, Hashable], list[Hashable]] = {}
    for requirement, group in requirements:
        key = (group, None) if group else (None, requirement)
        groups.setdefault(key, []).append(requirement)
    still_open = tuple(
        OpenGroup(group, tuple(members))
        for (group, _), members in groups.items()
        if not any(member in fulfilled for member in members)
    )
    return Completion(len(groups) - len(still_open), len(groups), still_open)
