"""A row that another worker is locking at the moment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from django.db import connection, transaction
from django.db.models import Model, QuerySet


@contextmanager
def taken_by_another(row: QuerySet[Model]) -> Iterator[bool]:
    """
    Hold the lock of the one row of the query in another thread; yield whether other workers must skip the row.

    SQLite has one writer at a time. There the other worker has already finished, and nothing is skipped.
    """
    is_passed_over = connection.features.has_select_for_update_skip_locked
    is_taken, may_go = threading.Event(), threading.Event()

    def take() -> None:
        with transaction.atomic():
            row.select_for_update().get()
            is_taken.set()
            may_go.wait(120 if is_passed_over else 0)
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(take)
        is_taken.wait(120)
        try:
            yield is_passed_over
        finally:
            may_go.set()
        taking.result()
