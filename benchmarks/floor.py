"""
The floor: insert again the rows that a run wrote, in bulk, and do nothing else. A process of its own, for one database.

Reads the rows of the last ``--events`` inbox messages and what they caused, deletes them, and times a loop that inserts
them batch by batch, a transaction each. No decoding, no rules, no reading: nobody who stores these rows is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import django

BATCH = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", choices=["match", "completes"], required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "service.settings")
    django.setup()
    sys.stdout.write(json.dumps({"events_per_second": measure(options.kind)}))


def measure(kind: str) -> float:
    """Return events a second of the bare inserts."""
    from django.db import transaction  # noqa: PLC0415 -- Django is ready only now

    from badges.models import (  # noqa: PLC0415
        BadgeProgress,
        CredlyBadge,
        Fulfillment,
        InboxMessage,
        OutboxMessage,
        UserCredential,
    )

    inbox = list(InboxMessage.objects.order_by("id"))
    caused = list(Fulfillment.objects.order_by("id"))
    if kind == "completes":
        half = len(inbox) // 2
        inbox, caused = inbox[half:], caused[half:]
    tables: list[tuple[Any, list[Any]]] = [(InboxMessage, inbox), (Fulfillment, caused)]
    if kind == "match":
        tables.insert(1, (BadgeProgress, list(BadgeProgress.objects.order_by("id"))))
    else:
        tables.append((UserCredential, list(UserCredential.objects.order_by("id"))))
        tables.append((CredlyBadge, list(CredlyBadge.objects.order_by("credential_id"))))
        tables.append((OutboxMessage, list(OutboxMessage.objects.order_by("sequence"))))
    for model, rows in reversed(tables):
        _delete(model, [row.pk for row in rows])
    began = time.perf_counter()
    for number in range(0, len(inbox), BATCH):
        with transaction.atomic():
            for model, rows in tables:
                share = len(rows) // len(inbox) or 1
                model.objects.bulk_create(rows[number * share : (number + BATCH) * share])
    return len(inbox) / (time.perf_counter() - began)


def _delete(model: Any, keys: Sequence[Any]) -> None:
    for part in _parts(keys):
        model.objects.filter(pk__in=part)._raw_delete("default")


def _parts(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for number in range(0, len(keys), BATCH):
        yield keys[number : number + BATCH]


if __name__ == "__main__":
    main()
