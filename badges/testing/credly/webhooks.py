"""
Telling the world: every event is posted to the webhook address, in order, by a thread of its own.

Credly retries for up to 25 days. The stand-in retries as often as it was told to, and again when asked
(``send_again``).
"""

from __future__ import annotations

import http.client
import json
import queue
import sqlite3
import threading
import uuid
from datetime import UTC, datetime
from urllib.parse import urlsplit

from badges.testing.credly.records import Delivery, Event
from badges.testing.credly.store import Store
from badges.testing.credly.wording import webhook_json

TIMEOUT = 10.0


class Webhooks:
    """Posts events to ``url`` while there is one."""

    def __init__(self, store: Store, *, url: str | None = None) -> None:
        self._store = store
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.url = url
        self.retries = 0
        self.retry_after = 0.1

    def record_event(self, event: Event) -> None:
        """Post this event, if anybody wants to know."""
        if self.url is None:
            return
        self._events.put(event)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="credly-webhooks", daemon=True)
            self._thread.start()

    def send_again(self, event_id: str | None = None) -> int:
        """Post one event once more, or all that were never answered with 200. Returns how many."""
        if event_id is not None:
            events = self._store.all(Event, "id = ?", [event_id])
        else:
            events = self._store.all(Event, "id NOT IN (SELECT event_id FROM delivery WHERE status = 200)")
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

    def _post_until_taken(self, event: Event) -> None:
        for _ in range(1 + self.retries):
            if self._stopping.is_set() or self._post(event):
                return
            self._stopping.wait(self.retry_after)

    def _post(self, event: Event) -> bool:
        url, status, error = self.url, None, None
        if url is None:
            return True
        try:
            status = _post_json(url, webhook_json(event))
        except (OSError, http.client.HTTPException) as problem:
            error = type(problem).__name__
        try:
            self._store.save(Delivery(str(uuid.uuid4()), event.id, datetime.now(UTC), url, status, error))
        except sqlite3.ProgrammingError:  # the store was closed while this was under way
            if not self._stopping.is_set():
                raise
        return status == 200


def _post_json(url: str, body: dict[str, str]) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT)
    try:
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("POST", target, json.dumps(body), {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()
