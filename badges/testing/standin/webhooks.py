"""
Telling the world: every event is posted to the webhook address, in order, by a thread of its own.

A real provider retries for days. The stand-in retries as often as it was told to, and again when asked
(``send_again``).
"""

from __future__ import annotations

import http.client
import queue
import sqlite3
import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from badges.testing.standin.records import Delivery, Record
from badges.testing.standin.store import Store

TIMEOUT = 10.0
Encode = Callable[[Any], tuple[bytes, dict[str, str]]]


class Webhooks:
    """
    Posts events to ``url`` while there is one.

    ``event`` is the class of the records, whose first field is ``id``; ``encode`` returns the body of a request and its
    headers.
    """

    def __init__(self, store: Store, *, event: type[Record], encode: Encode, url: str | None = None) -> None:
        self._store = store
        self._event, self._encode = event, encode
        self._events: queue.Queue[Any] = queue.Queue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.url = url
        self.retries = 0
        self.retry_after = 0.1

    def record_event(self, event: Any) -> None:
        """Post this event, if anybody wants to know."""
        if self.url is None:
            return
        self._events.put(event)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="stand-in-webhooks", daemon=True)
            self._thread.start()

    def send_again(self, event_id: str | None = None) -> int:
        """Post one event once more, or all that were never answered with 200. Returns how many."""
        if event_id is not None:
            events = self._store.all(self._event, "id = ?", [event_id])
        else:
            events = self._store.all(self._event, "id NOT IN (SELECT event_id FROM delivery WHERE status = 200)")
        for event in events:
            self.record_event(event)
        return len(events)

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait until every event so far has been posted. False: it took too long."""
        with self._events.all_tasks_done:
            return self._events.all_tasks_done.wait_for(lambda: not self._events.unfinished_tasks, timeout)

    def stop(self) -> None:
        """Post nothing more."""
        self._stopping.set()
        self._events.put(None)

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._post_until_taken(event)
            finally:
                self._events.task_done()

    def _post_until_taken(self, event: Any) -> None:
        for _ in range(1 + self.retries):
            if self._stopping.is_set() or self._post(event):
                return
            self._stopping.wait(self.retry_after)

    def _post(self, event: Any) -> bool:
        url, status, error = self.url, None, None
        if url is None:
            return True
        try:
            status = _post_to(url, *self._encode(event))
        except (OSError, http.client.HTTPException) as problem:
            error = type(problem).__name__
        try:
            self._store.save(Delivery(str(uuid.uuid4()), event.id, datetime.now(UTC), url, status, error))
        except sqlite3.ProgrammingError:  # the store was closed while this was under way
            if not self._stopping.is_set():
                raise
        return status == 200


def _post_to(url: str, body: bytes, headers: dict[str, str]) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, body, {"Content-Type": "application/json", **headers})
        return connection.getresponse().status
    finally:
        connection.close()
