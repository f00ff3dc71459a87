"""Where the engagement figures of learners come from, which criteria documents ask for by ``$stat``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from typing import Any, Protocol


class FigureSource(Protocol):
    """
    Returns the figures of learners, by the primary key of the learner and by name.

    Called with the names that documents ask for: in the transaction of a batch that has locked the learners, and for
    explanations, outside of any transaction and with a moment that may be past. It may use a constant number of
    statements. A figure that is missing satisfies nothing.
    """

    def __call__(
        self, learner_ids: Collection[int], names: Collection[str], *, now: dt.datetime
    ) -> Mapping[int, Mapping[str, Any]]: ...


_source: FigureSource | None = None


def register(source: FigureSource | None) -> FigureSource | None:
    """Let figures come from this source; None: there are none. Return the source before."""
    global _source
    before, _source = _source, source
    return before


def figures_of(
    learner_ids: Collection[int], names: Collection[str], *, now: dt.datetime
) -> Mapping[int, Mapping[str, Any]]:
    """Return the figures of learners that documents ask for; no statement if they ask for none."""
    return _source(learner_ids, names, now=now) if _source and names else {}
