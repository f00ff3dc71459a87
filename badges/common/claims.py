"""
Claims: several workers share the rows of a table, and each row has one worker at a time.

A claim is a lease. It is committed before any work, so a worker that is killed leaves a row whose lease ends, and the
next worker finds it due. Only the holder of a claim can change the row: a worker that was too slow changes nothing.

A table that is shared in this way has

* ``claim``, a nullable UUID: who holds the row, NULL when nobody does,
* a nullable time, ``due_at`` by default: when the row may be claimed. A claim moves it ahead by the lease. It is NULL
  once nothing is left to do, and an index begins with it,
* usually a number of attempts.

The package that owns the table makes one ``Claims`` of it and offers verbs of its own over these::

    claims = Claims(OutboxMessage, unfinished=Q(state="pending"))

    rows = claims.claim(due, limit=50, now=now, lease=120)  # committed
    claims.renew(rows, now=later, lease=120)                # long work: the lease begins again
    claims.release(rows, due_at=now)                        # not tried: the attempt does not count
    claims.reschedule(rows, due_at=later, error="...")      # tried, and to be tried again
    claims.finish(rows, state="done")                       # nothing is left to do
    claims.still_claimed(rows)                              # the query for anything else, such as a lock

All but ``claim`` are one UPDATE. They may be called in a transaction, and return how many rows were still claimed by
the caller. They do not change the rows in memory.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import F, Model, Q, QuerySet

Row = TypeVar("Row", bound=Model)

# Other workers look at the same rows at the same time. Each looks at more rows than it takes, so that some are left.
LOOK_AHEAD = 4

# When other workers took all rows that were seen, look again this often. After that the rest is theirs.
ROUNDS = 3


class ClaimLostError(Exception):
    """
    This worker no longer has the claim of a row, so it must not change it.

    It took longer than its lease and another worker has claimed the row, or a person changed the row meanwhile.
    """


@dataclass(frozen=True, slots=True)
class Claims(Generic[Row]):
    """
    How the rows of one table are claimed.

    ``unfinished`` is true of a row until it is finished: a row that somebody finished is no longer claimed. ``due`` is
    the column of the due time. ``counts`` are the numbers that a claim raises by one and a release lowers again.
    Without any, the owner counts an attempt when it begins: ``renew(..., attempts=F("attempts") + 1)``.
    """

    model: type[Row]
    unfinished: Q
    due: str = "due_at"
    counts: tuple[str, ...] = ()

    def claim(self, due: QuerySet[Row], *, limit: int, now: dt.datetime, lease: float) -> list[Row]:
        """
        Claim up to ``limit`` of the rows in ``due`` for ``lease`` seconds; committed when this returns.

        ``due`` says which rows may be claimed, in the order of preference. It is read without a lock, so it may have
        subqueries: it sees one snapshot. What is read there and is no longer due when it is locked is left out.

        When a claim counts as an attempt, a row that still has a claim is claimed alone. Its worker did not finish it,
        and the row may be what killed the worker: it must not take other rows with it.

        Rows that another worker has not finished have ``was_left_behind`` set to True.

        Returns the rows as they are now, by primary key. Empty: there is nothing, or other workers are at it. Raises
        RuntimeError in a transaction. Three statements besides BEGIN and COMMIT; one when nothing is due.
        """
        for _round in range(ROUNDS):
            seen = list(due.values_list("pk", "claim")[: limit * LOOK_AHEAD])
            if not seen:
                return []
            left_behind = [pk for pk, holder in seen if holder is not None]
            alone = left_behind if self.counts else []
            candidates = alone or [pk for pk, _holder in seen]
            rows = self._take(candidates, 1 if alone else limit, now, lease)
            for row in rows:
                if row.pk in left_behind:
                    row.was_left_behind = True  # type: ignore[attr-defined]
            if rows:
                return rows
        return []

    def still_claimed(self, rows: Collection[Row]) -> QuerySet[Row]:
        """Return the query for those of the rows that nobody else has claimed or finished meanwhile."""
        claims = {row.claim for row in rows}  # type: ignore[attr-defined]
        held = self.model._default_manager.filter(self.unfinished, pk__in=[row.pk for row in rows], claim__in=claims)
        return held.order_by()

    def renew(self, rows: Collection[Row], *, now: dt.datetime, lease: float, **changes: Any) -> int:
        """Let the lease begin again, and write ``changes`` to other columns."""
        return self._update(rows, {self.due: _end(now, lease), **changes})

    def release(self, rows: Collection[Row], *, due_at: dt.datetime, **changes: Any) -> int:
        """Give back rows that were not tried: they are due at ``due_at``, and the claim does not count."""
        uncounted = {name: F(name) - 1 for name in self.counts}
        return self._update(rows, {"claim": None, self.due: due_at, **uncounted, **changes})

    def reschedule(self, rows: Collection[Row], *, due_at: dt.datetime, **changes: Any) -> int:
        """Give back rows that were tried: they are tried again at ``due_at``, and the attempt counts."""
        return self._update(rows, {"claim": None, self.due: due_at, **changes})

    def finish(self, rows: Collection[Row], **changes: Any) -> int:
        """Let rows never be due again; ``changes`` say what became of them."""
        return self._update(rows, {"claim": None, self.due: None, **changes})

    def _update(self, rows: Collection[Row], values: dict[str, Any]) -> int:
        return self.still_claimed(rows).update(**values) if rows else 0

    def _take(self, candidates: Sequence[Any], limit: int, now: dt.datetime, lease: float) -> list[Row]:
        """Write a new claim on rows that nobody else has taken since they were seen."""
        claim, until = uuid.uuid4(), _end(now, lease)
        values = {"claim": claim, self.due: until, **{name: F(name) + 1 for name in self.counts}}
        table = self.model._default_manager
        with transaction.atomic(durable=True):
            if not connection.features.has_select_for_update_skip_locked:
                # SQLite: one writer at a time, and the first statement is the write.
                table.filter(pk__in=candidates[:limit], **{f"{self.due}__lte": now}).update(**values)
                return list(table.filter(pk__in=candidates[:limit], claim=claim).order_by("pk"))
            # By primary key alone, so that InnoDB locks these rows and no gap of an index that others insert into.
            unlocked = table.select_for_update(skip_locked=True).filter(pk__in=candidates).order_by("pk")[:limit]
            rows = [row for row in unlocked if _is_due(getattr(row, self.due), now)]
            if rows:
                table.filter(pk__in=[row.pk for row in rows]).update(**values)
        for row in rows:  # as they are in the table now, without another statement
            row.claim, counted = claim, {name: getattr(row, name) + 1 for name in self.counts}  # type: ignore[attr-defined]
            for name, value in {self.due: until, **counted}.items():
                setattr(row, name, value)
        return rows


def _end(now: dt.datetime, lease: float) -> dt.datetime:
    return now + dt.timedelta(seconds=lease)


def _is_due(due_at: dt.datetime | None, now: dt.datetime) -> bool:
    return due_at is not None and due_at <= now
