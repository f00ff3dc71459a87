"""Several works at the same time, each in a thread with a database connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection, connections


def outcomes_at_once(works: Sequence[Callable[[], Any]], *, seconds: float = 120) -> list[Any]:
    """Run works in threads that start together; return what each returned, or the exception that it raised."""
    barrier, outcomes = threading.Barrier(len(works)), []

    def run(work: Callable[[], Any]) -> None:
        try:
            connection.ensure_connection()
            barrier.wait(120)
            outcomes.append(work())
        except Exception as error:
            outcomes.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    return outcomes
