"""
The rate to compare with: insert again the rows that a run wrote, and do nothing else. A separate process, for one
database.

It reads the rows that the last run wrote, deletes them, and measures a loop that inserts them batch by batch, each in a
transaction: no decoding, no rules, no reading. It does so once with Django's ``bulk_create`` and once with the inserts
of the pipeline.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import django

BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["no match", "match", "completes"], required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    from badges.inserts import insert  # noqa: PLC0415 -- Django is ready only now

    tables = rows_of_last_run(options.kind)
    # The same as in the consumer: the garbage collector looks only at new objects.
    gc.collect()
    gc.freeze()
    rates = {
        "bulk_create": measure(tables, lambda model, rows: model.objects.bulk_create(rows)),
        "bare": measure(tables, lambda model, rows: insert(rows)),
    }
    sys.stdout.write(json.dumps(rates))


def rows_of_last_run(kind: str) -> list[tuple[Any, list[Any]]]:
    """Return the tables that a run wrote, in its order, each with its new rows; the first has one row an event."""
    from badges.history.models import LoggedEvent  # noqa: PLC0415
    from badges.issuers.credly.models import CredlyBadge  # noqa: PLC0415
    from badges.models import (  # noqa: PLC0415
        BadgeProgress,
        Fulfillment,
        InboxMessage,
        OutboxMessage,
        UserCredential,
    )

    if kind == "no match":
        return [(LoggedEvent, list(LoggedEvent.objects.order_by("id")))]
    inbox = list(InboxMessage.objects.order_by("id"))
    caused = list(Fulfillment.objects.order_by("id"))
    if kind == "completes":
        half = len(inbox) // 2
        inbox, caused = inbox[half:], caused[half:]
    tables: list[tuple[Any, list[Any]]] = [(InboxMessage, inbox), (Fulfillment, caused)]
    if kind == "match":
        begun = BadgeProgress.objects.in_bulk()
        # Each progress row is inserted before the fulfillment that points to it.
        tables.insert(1, (BadgeProgress, [begun[fulfillment.progress_id] for fulfillment in caused]))
    else:
        tables.append((UserCredential, list(UserCredential.objects.order_by("id"))))
        tables.append((CredlyBadge, list(CredlyBadge.objects.order_by("credential_id"))))
        tables.append((OutboxMessage, list(OutboxMessage.objects.order_by("sequence"))))
    if logged := list(LoggedEvent.objects.order_by("-id")[: len(inbox)]):
        tables.append((LoggedEvent, logged[::-1]))
    return tables


def measure(tables: Sequence[tuple[Any, list[Any]]], write: Callable[[Any, list[Any]], object]) -> float:
    """Delete the rows, write them again, and return the events per second."""
    from django.db import transaction  # noqa: PLC0415

    for model, rows in reversed(tables):
        _delete(model, [row.pk for row in rows])
    _vacuum_deleted()
    events = len(tables[0][1])
    began = time.perf_counter()
    for number in range(0, events, BATCH):
        with transaction.atomic():
            for model, rows in tables:
                share = len(rows) // events or 1
                write(model, rows[number * share : (number + BATCH) * share])
    return events / (time.perf_counter() - began)


def _delete(model: Any, keys: Sequence[Any]) -> None:
    for part in _parts(keys):
        model.objects.filter(pk__in=part)._raw_delete("default")


def _vacuum_deleted() -> None:
    """Let PostgreSQL remove the deleted rows, which would otherwise slow down the inserts."""
    from django.db import connection  # noqa: PLC0415

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def _parts(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for number in range(0, len(keys), BATCH):
        yield keys[number : number + BATCH]


if __name__ == "__main__":
    main()
